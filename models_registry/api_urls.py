"""`/api/v1/`: the routes of the models API."""

from django.urls import path

from models_registry import api, evaluation_api, model_api, promotion_api, registry_api

urlpatterns = [
    path("model/info", model_api.ModelInfoView.as_view(), name="api_model_info"),
    path("drift/status", model_api.DriftStatusView.as_view(), name="api_drift_status"),
    path("drift/check", model_api.DriftCheckView.as_view(), name="api_drift_check"),
    path("models", api.ModelListView.as_view(), name="api_models"),
    path("models/compare", registry_api.CompareView.as_view(), name="api_compare"),
    path("models/integrity", registry_api.IntegrityView.as_view(), name="api_integrity"),
    path("models/<int:pk>", registry_api.VersionView.as_view(), name="api_model"),
    path("models/<int:pk>/card", registry_api.CardView.as_view(), name="api_model_card"),
    path(
        "models/<int:pk>/explanation",
        registry_api.ExplanationView.as_view(),
        name="api_model_explanation",
    ),
    path(
        "models/<int:pk>/evaluations",
        evaluation_api.EvaluationListView.as_view(),
        name="api_model_evaluations",
    ),
    path("models/<int:pk>/track", registry_api.TrackView.as_view(), name="api_model_track"),
    path("models/<int:pk>/bundle", registry_api.BundleView.as_view(), name="api_model_bundle"),
    path(
        "detectors/<slug:slug>/import", registry_api.ImportView.as_view(), name="api_model_import"
    ),
    path("models/<int:pk>/promote", promotion_api.PromoteView.as_view(), name="api_promote"),
    path("models/<int:pk>/shadow", promotion_api.ShadowView.as_view(), name="api_shadow"),
    path(
        "models/<int:pk>/shadow/judge",
        promotion_api.ShadowJudgeView.as_view(),
        name="api_shadow_judge",
    ),
    path("models/<int:pk>/reject", promotion_api.RejectView.as_view(), name="api_model_reject"),
    path("promotions", promotion_api.PromotionListView.as_view(), name="api_promotions"),
    path("promotions/<int:pk>/approve", promotion_api.ApproveView.as_view(), name="api_approve"),
    path("promotions/<int:pk>/refuse", promotion_api.RefuseView.as_view(), name="api_refuse"),
    path("promotions/<int:pk>/withdraw", promotion_api.WithdrawView.as_view(), name="api_withdraw"),
    path("detectors/<slug:slug>/train", api.TrainView.as_view(), name="api_train"),
    path("detectors/<slug:slug>/roll_back", api.RollBackView.as_view(), name="api_roll_back"),
    path("jobs/<int:pk>", api.JobView.as_view(), name="api_job"),
    path("jobs/<int:pk>/cancel", api.JobCancelView.as_view(), name="api_job_cancel"),
]
