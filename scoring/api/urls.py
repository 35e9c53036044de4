"""`/api/v1/`: the routes of the scoring API."""

from django.urls import path

from scoring.api import cache_views, explanation_views, list_views, source_views, views

urlpatterns = [
    path("detectors/<slug:slug>/score", views.ScoreView.as_view(), name="api_score"),
    path(
        "detectors/<slug:slug>/score/batch",
        views.ScoreBatchView.as_view(),
        name="api_score_batch",
    ),
    path(
        "detectors/<slug:slug>/list-entries",
        list_views.ListEntriesView.as_view(),
        name="api_list_entries",
    ),
    path(
        "detectors/<slug:slug>/list-entries/remove",
        list_views.ListRemovalView.as_view(),
        name="api_list_entries_remove",
    ),
    path(
        "detectors/<slug:slug>/list-entries/<int:pk>",
        list_views.ListEntryView.as_view(),
        name="api_list_entry",
    ),
    path("predictions", views.PredictionListView.as_view(), name="api_predictions"),
    path(
        "predictions/<uuid:pk>/explanation",
        explanation_views.ExplanationView.as_view(),
        name="api_explanation",
    ),
    # Last of its kind: an id may hold slashes.
    path("predictions/<path:pk>", views.PredictionView.as_view(), name="api_prediction"),
    path("feedback", views.FeedbackView.as_view(), name="api_feedback"),
    path("cache/flush", cache_views.CacheFlushView.as_view(), name="api_cache_flush"),
    path("sources", source_views.SourceListView.as_view(), name="api_sources"),
    path("sources/<slug:slug>", source_views.SourceDetailView.as_view(), name="api_source"),
    path(
        "sources/<slug:slug>/events",
        source_views.SourceEventsView.as_view(),
        name="api_source_events",
    ),
]
