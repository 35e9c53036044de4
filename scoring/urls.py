"""Pages about predictions and detectors."""

from django.urls import include, path

from scoring import views

urlpatterns = [
    path("predictions/<uuid:pk>/", views.prediction_detail, name="prediction_detail"),
    path("predictions/<uuid:pk>/reveal/", views.prediction_reveal, name="prediction_reveal"),
    path("detectors/", include("scoring.detector_urls")),
]
