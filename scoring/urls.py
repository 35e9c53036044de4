"""Pages about predictions and detectors."""

from django.urls import include, path

from scoring import list_views, views

urlpatterns = [
    path("predictions/<uuid:pk>/", views.prediction_detail, name="prediction_detail"),
    path("predictions/<uuid:pk>/reveal/", views.prediction_reveal, name="prediction_reveal"),
    path("predictions/<uuid:pk>/approve/", views.prediction_approve, name="prediction_approve"),
    path(
        "predictions/<uuid:pk>/surrogate/", views.prediction_surrogate, name="prediction_surrogate"
    ),
    path("predictions/<uuid:pk>/snooze/<slug:code>/", list_views.snooze, name="snooze"),
    path("detectors/", include("scoring.detector_urls")),
]
