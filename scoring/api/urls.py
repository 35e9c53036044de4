"""`/api/v1/`: the routes of the scoring API."""

from django.urls import path

from scoring.api import views

urlpatterns = [
    path("detectors/<slug:slug>/score", views.ScoreView.as_view(), name="api_score"),
    path(
        "detectors/<slug:slug>/score/batch",
        views.ScoreBatchView.as_view(),
        name="api_score_batch",
    ),
    path("predictions", views.PredictionListView.as_view(), name="api_predictions"),
    path("predictions/<uuid:pk>", views.PredictionDetailView.as_view(), name="api_prediction"),
    path("feedback", views.FeedbackView.as_view(), name="api_feedback"),
]
