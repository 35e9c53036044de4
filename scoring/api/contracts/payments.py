"""Contract D: entity history, rules, sanctions and explanation in one answer."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from accounts.api_errors import ValidationProblem
from scoring.answers import detect_answer
from scoring.api.asking import (
    ERRORS,
    ask_all_or_none,
    ask_one,
    documented,
    whole_body,
    without_unread,
)
from scoring.api.base import ScoringView, answer
from scoring.api.serializers import ScreeningBody

PAYMENTS = "payments"
MOST = 100
EXAMPLE = {
    "transaction_id": "t-1",
    "user_id": "u-1",
    "amount": 25000,
    "location": "Berlin",
    "timestamp": "2026-11-21T03:00:00+01:00",
    "merchant_type": "electronics",
    "user_name": "Jane Doe",
    "country": "DE",
    "mcc_code": "5732",
}


class DetectIn(serializers.Serializer[Any]):
    """One payment. `currency`, `device_id`, `merchant_id` and `channel` may be added."""

    transaction_id = serializers.CharField(max_length=100)
    user_id = serializers.CharField(max_length=100)
    amount = serializers.FloatField(min_value=0)
    location = serializers.CharField(max_length=100, help_text="City.")
    timestamp = serializers.CharField(help_text="ISO 8601; its offset tells the local hour.")
    merchant_type = serializers.CharField(max_length=60)
    user_name = serializers.CharField(required=False, allow_null=True, max_length=200)
    country = serializers.CharField(
        required=False, allow_null=True, help_text="ISO 3166-1 alpha-2."
    )
    mcc_code = serializers.CharField(required=False, allow_null=True, max_length=8)


class SanctionsAlert(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="name, country or unavailable: not screened")
    severity = serializers.ChoiceField(["LOW", "MEDIUM", "HIGH", "CRITICAL"])
    list_name = serializers.CharField()
    matched_entry = serializers.CharField()
    description = serializers.CharField()
    risk_score = serializers.FloatField(help_text="How well it matches, 0 to 1.")


class Contribution(serializers.Serializer[Any]):
    feature = serializers.CharField()
    value = serializers.JSONField(allow_null=True)
    contribution = serializers.FloatField(help_text="Share of the margin; positive raises risk.")


class Explainability(serializers.Serializer[Any]):
    summary = serializers.CharField()
    contributions = Contribution(many=True)


class DetectBody(serializers.Serializer[Any]):
    """`reason_details` has a text for each of `reason_codes`."""

    transaction_id = serializers.CharField()
    prediction_id = serializers.UUIDField()
    risk_score = serializers.FloatField(min_value=0, max_value=1)
    risk_level = serializers.ChoiceField(["LOW", "MEDIUM", "HIGH"])
    reason_codes = serializers.ListField(child=serializers.CharField())
    reason_details = serializers.DictField(child=serializers.CharField())
    sanctions_alerts = SanctionsAlert(many=True)
    screening = ScreeningBody()
    explainability = Explainability()
    recommendation = serializers.ChoiceField(["APPROVE", "REVIEW", "BLOCK"])
    model_version = serializers.CharField()
    degraded = serializers.BooleanField()
    latency_ms = serializers.FloatField()


class DetectView(ScoringView):
    """One payment."""

    on_the_lane = True
    judges_records = ""
    required_scope = "score"
    required_permission = "scoring.score_event"

    @documented(DetectIn, DetectBody, EXAMPLE, operation_id="contract_d_detect")
    def post(self, request: Request) -> HttpResponse:
        return answer(self.reply(request.data))

    def reply(self, data: Any) -> dict[str, Any]:
        """See ScoringView."""
        return detect_answer(ask_one(PAYMENTS, without_unread(PAYMENTS, whole_body(data))))


class BatchDetectView(ScoringView):
    """A bare list of up to 100 payments; the answers come in its order."""

    judges_records = ""
    required_scope = "score"
    required_permission = "scoring.score_event"

    @extend_schema(
        operation_id="contract_d_batch_detect",
        request=DetectIn(many=True),
        responses={200: DetectBody(many=True), **ERRORS},
    )
    def post(self, request: Request) -> HttpResponse:
        events = request.data
        if not isinstance(events, list):
            message = "The body is a JSON list of transactions."
            raise ValidationProblem([{"field": "", "message": message}])
        if len(events) > MOST:
            raise ParseError(f"A batch has at most {MOST} transactions, not {len(events)}.")
        sent = [
            without_unread(PAYMENTS, event) if isinstance(event, dict) else event
            for event in events
        ]
        rows = ask_all_or_none(PAYMENTS, sent, lambda i, field: f"{i}.{field}".rstrip("."))
        return answer([detect_answer(row) for row in rows])
