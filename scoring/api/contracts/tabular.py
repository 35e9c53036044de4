"""Contract A: one transaction or one infrastructure sample, judged by its own fields."""

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from scoring.api.asking import (
    ERRORS,
    ask_one,
    documented,
    new_id,
    whole_body,
    without_unread,
)
from scoring.api.base import ScoringView, answer
from scoring.models import Prediction
from scoring.tallies import Totals, totals_by_detector

FRAUD, ANOMALY = "fraud", "anomaly"
NO_TOTALS = Totals()


class FraudIn(serializers.Serializer[Any]):
    """`transaction_id`, `account_id` and `timestamp` may be added; without an id one is made."""

    transaction_amount = serializers.FloatField(help_text="US dollars, > 0.")
    merchant_type = serializers.CharField(max_length=60)
    country = serializers.CharField(help_text="ISO 3166-1 alpha-2.")
    time_delta = serializers.FloatField(help_text="Hours since the previous transaction, >= 0.")
    device_type = serializers.ChoiceField(["mobile", "desktop", "tablet"])


class AnomalyIn(serializers.Serializer[Any]):
    """`sample_id`, `host` and `timestamp` may be added; without an id one is made."""

    response_time = serializers.FloatField(help_text="Milliseconds, > 0.")
    error_rate = serializers.FloatField(min_value=0, max_value=1)
    cpu_usage = serializers.FloatField(min_value=0, max_value=100)
    memory_usage = serializers.FloatField(min_value=0, max_value=100)


class JudgedBody(serializers.Serializer[Any]):
    """What both answers share."""

    model_version = serializers.CharField()
    latency_ms = serializers.FloatField(help_text="Of the scoring itself, > 0.")
    prediction_id = serializers.UUIDField()
    decision = serializers.ChoiceField(["APPROVE", "REVIEW", "BLOCK"])
    degraded = serializers.BooleanField(help_text="No model scored; rules and lists decided.")


class FraudBody(JudgedBody):
    fraud_probability = serializers.FloatField(
        allow_null=True, help_text="0 to 1; null only while degraded."
    )


class AnomalyBody(JudgedBody):
    anomaly_score = serializers.FloatField(
        allow_null=True, help_text="0 to 1, higher is more anomalous; null only while degraded."
    )


class MetricsBody(serializers.Serializer[Any]):
    total_predictions = serializers.IntegerField()
    fraud_predictions = serializers.IntegerField()
    anomaly_predictions = serializers.IntegerField()
    avg_fraud_latency_ms = serializers.FloatField()
    avg_anomaly_latency_ms = serializers.FloatField()
    avg_fraud_probability = serializers.FloatField()
    avg_anomaly_score = serializers.FloatField()
    since = serializers.DateTimeField(allow_null=True, help_text="The first counted hour.")


class FraudPredictView(ScoringView):
    """How likely one transaction is fraud."""

    on_the_lane = True
    judges_records = ""
    required_scope = "score"
    required_permission = "scoring.score_event"

    @documented(
        FraudIn,
        FraudBody,
        {
            "transaction_amount": 9999.99,
            "merchant_type": "gaming",
            "country": "NG",
            "time_delta": 0.1,
            "device_type": "mobile",
        },
        operation_id="contract_a_fraud_predict",
    )
    def post(self, request: Request) -> HttpResponse:
        return answer(self.reply(request.data))

    def reply(self, data: Any) -> dict[str, Any]:
        """See ScoringView."""
        prediction = ask_one(FRAUD, without_unread(FRAUD, with_id(data, "transaction_id")))
        return {"fraud_probability": prediction.risk, **_shared(prediction)}


class AnomalyPredictView(ScoringView):
    """How unusual one sample of a host is."""

    on_the_lane = True
    judges_records = ""
    required_scope = "score"
    required_permission = "scoring.score_event"

    @documented(
        AnomalyIn,
        AnomalyBody,
        {"response_time": 950, "error_rate": 0.12, "cpu_usage": 91, "memory_usage": 87},
        operation_id="contract_a_anomaly_predict",
    )
    def post(self, request: Request) -> HttpResponse:
        return answer(self.reply(request.data))

    def reply(self, data: Any) -> dict[str, Any]:
        """See ScoringView."""
        prediction = ask_one(ANOMALY, without_unread(ANOMALY, with_id(data, "sample_id")))
        return {"anomaly_score": prediction.risk, **_shared(prediction)}


def with_id(data: object, name: str) -> dict[str, Any]:
    """The body, with an id of its own where it has none. Raises ValidationProblem."""
    body = whole_body(data)
    return body if body.get(name) is not None else body | {name: new_id()}


def _shared(prediction: Prediction) -> dict[str, Any]:
    return {
        "model_version": prediction.model_version,
        "latency_ms": prediction.latency_us / 1000.0,
        "prediction_id": str(prediction.pk),
        "decision": str(prediction.decision),
        "degraded": prediction.degraded,
    }


class MetricsView(ScoringView):
    """How much was predicted and how, from running totals."""

    required_scope = "models:read"
    required_permission = "scoring.view_detector"

    @extend_schema(operation_id="contract_a_metrics", responses={200: MetricsBody, **ERRORS})
    def get(self, request: Request) -> HttpResponse:
        totals = totals_by_detector([FRAUD, ANOMALY])
        fraud, anomaly = totals.get(FRAUD, NO_TOTALS), totals.get(ANOMALY, NO_TOTALS)
        return answer(
            {
                "total_predictions": fraud.count + anomaly.count,
                "fraud_predictions": fraud.count,
                "anomaly_predictions": anomaly.count,
                "avg_fraud_latency_ms": fraud.mean_latency_ms,
                "avg_anomaly_latency_ms": anomaly.mean_latency_ms,
                "avg_fraud_probability": fraud.mean_risk,
                "avg_anomaly_score": anomaly.mean_risk,
                "since": _earliest(fraud.since, anomaly.since),
            }
        )


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
