"""The routes of the four contracts that earlier services left behind (docs/api.md)."""

from django.urls import path

from scoring.api.contracts import cards, named_models, payments, tabular

urlpatterns = [
    path("v1/fraud/predict", tabular.FraudPredictView.as_view(), name="contract_a_fraud"),
    path("v1/anomaly/predict", tabular.AnomalyPredictView.as_view(), name="contract_a_anomaly"),
    path("v1/metrics", tabular.MetricsView.as_view(), name="contract_a_metrics"),
    path("api/v1/scoring/score", named_models.NamedScoreView.as_view(), name="contract_b_score"),
    path(
        "api/v1/scoring/score/batch",
        named_models.NamedBatchView.as_view(),
        name="contract_b_score_batch",
    ),
    path("api/v1/predict", cards.PredictView.as_view(), name="contract_c_predict"),
    path("api/v1/predict/batch", cards.PredictBatchView.as_view(), name="contract_c_batch"),
    path("detect", payments.DetectView.as_view(), name="contract_d_detect"),
    path("batch-detect", payments.BatchDetectView.as_view(), name="contract_d_batch_detect"),
]
