"""Pages of detectors, mounted at `detectors/`."""

from django.urls import path

from scoring import detector_views

urlpatterns = [
    path("", detector_views.detector_list, name="detector_list"),
    path("<slug:slug>/", detector_views.detector_detail, name="detector_detail"),
]
