"""`/api/v1/`: the routes of the models API."""

from django.urls import path

from models_registry import api, model_api

urlpatterns = [
    path("model/info", model_api.ModelInfoView.as_view(), name="api_model_info"),
    path("drift/status", model_api.DriftStatusView.as_view(), name="api_drift_status"),
    path("drift/check", model_api.DriftCheckView.as_view(), name="api_drift_check"),
    path("models", api.ModelListView.as_view(), name="api_models"),
    path("models/<int:pk>/promote", api.PromoteView.as_view(), name="api_promote"),
    path("detectors/<slug:slug>/train", api.TrainView.as_view(), name="api_train"),
    path("detectors/<slug:slug>/roll_back", api.RollBackView.as_view(), name="api_roll_back"),
    path("jobs/<int:pk>", api.JobView.as_view(), name="api_job"),
]
