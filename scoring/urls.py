"""Pages about predictions, detectors and sources."""

from django.urls import include, path

from scoring import list_views, policy_views, source_views, views

urlpatterns = [
    path("predictions/<uuid:pk>/", views.prediction_detail, name="prediction_detail"),
    path("predictions/<uuid:pk>/reveal/", views.prediction_reveal, name="prediction_reveal"),
    path("predictions/<uuid:pk>/approve/", views.prediction_approve, name="prediction_approve"),
    path(
        "predictions/<uuid:pk>/surrogate/", views.prediction_surrogate, name="prediction_surrogate"
    ),
    path("predictions/<uuid:pk>/checks/", views.prediction_checks, name="prediction_checks"),
    path("predictions/<uuid:pk>/replay/", views.prediction_replay, name="prediction_replay"),
    path("predictions/<uuid:pk>/snooze/<slug:code>/", list_views.snooze, name="snooze"),
    path("predictions/<uuid:pk>/list/", policy_views.list_event_value, name="list_event_value"),
    path("rules/", policy_views.rules_overview, name="rules_overview"),
    path("watchlists/", policy_views.watchlists, name="watchlists"),
    path("sources/", source_views.source_list, name="source_list"),
    # Two steps, so that a source may be called anything.
    path("sources/declare/new/", source_views.source_new, name="source_new"),
    path("sources/<slug:slug>/", source_views.source_detail, name="source_detail"),
    path("detectors/", include("scoring.detector_urls")),
]
