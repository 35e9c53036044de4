"""The shapes of the scoring API: `prediction_body` makes them, the serializers document them."""

from typing import Any

from rest_framework import serializers

from accounts.body import Text
from scoring.core.types import SelectionReason, Stage
from scoring.models import Prediction
from scoring.screened import COMPLETE, NONE, PARTIAL, screening_answer


def prediction_body(prediction: Prediction, *, slug: str) -> dict[str, Any]:
    """A prediction as API clients see it. Personal data stays inside."""
    return {
        "prediction_id": prediction.pk,
        "external_id": prediction.external_id,
        "detector": slug,
        "event_time": prediction.event_time,
        "score": prediction.score,
        "probability": prediction.probability,
        "risk_level": str(prediction.risk_level),
        "decision": str(prediction.decision),
        "selection_reason": str(prediction.selection_reason),
        "reasons": prediction.reasons,
        "rule_hits": prediction.rule_hits,
        "screening_hits": prediction.screening_hits,
        "list_hits": prediction.list_hits,
        "degraded": prediction.degraded,
        "model_version": prediction.model_version,
        "bundle_digest": prediction.bundle_digest,
        "policy_digest": prediction.policy_digest,
        "latency_ms": prediction.latency_us / 1000.0,
    }


def scored_body(prediction: Prediction, *, slug: str) -> dict[str, Any]:
    """The answer to an event: its prediction, and whether its name was screened at all."""
    return prediction_body(prediction, slug=slug) | {"screening": screening_answer(prediction)}


class ReasonBody(serializers.Serializer[Any]):
    feature = serializers.CharField()
    value = serializers.JSONField(allow_null=True)
    contribution = serializers.FloatField(help_text="Share of the margin; positive raises risk.")
    text = serializers.CharField()
    usual = serializers.ListField(child=serializers.FloatField(), allow_null=True)


class RuleHitBody(serializers.Serializer[Any]):
    code = serializers.CharField()
    version = serializers.IntegerField()
    outcome = serializers.ChoiceField(
        ["REVIEW", "BLOCK"], allow_null=True, help_text="null: the rule adds weight."
    )
    weight = serializers.FloatField(required=False, help_text="0 where there is an outcome.")
    stage = serializers.ChoiceField(
        [Stage.LIVE.value, Stage.SHADOW.value], required=False, help_text="shadow decides nothing."
    )
    snoozed = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="Until when it decides nothing for the entity, in ISO 8601.",
    )
    text = serializers.CharField()
    values = serializers.DictField(help_text="What it read, by name; null: missing.")


class ScreeningHitBody(serializers.Serializer[Any]):
    """A name or a country of the event that stands on a list."""

    kind = serializers.ChoiceField(
        ["name", "country", "unavailable"],
        help_text="unavailable: the lists could not be read, so a human looks.",
    )
    list_name = serializers.CharField()
    list_digest = serializers.CharField(help_text="SHA-256 of the list as read.")
    entry = serializers.CharField(help_text="Its identifier on the list.")
    matched = serializers.CharField(help_text="As the list spells it.")
    score = serializers.FloatField(help_text="0 to 1: how well it matches.")
    severity = serializers.ChoiceField(["LOW", "MEDIUM", "HIGH", "CRITICAL"])
    outcome = serializers.ChoiceField(["APPROVE", "REVIEW", "BLOCK"])
    text = serializers.CharField()
    detail = serializers.DictField(help_text="What the likeness is made of.")


class ScreeningBody(serializers.Serializer[Any]):
    """Against which sanctions lists names were screened: no hit is no clearance without them."""

    status = serializers.ChoiceField(
        [COMPLETE, PARTIAL, NONE],
        help_text="complete: every declared list; partial: not `missing_lists`; none: no list.",
    )
    missing_lists = serializers.ListField(
        child=serializers.CharField(), help_text="Declared, and never synchronised or unreadable."
    )
    unknown_country = serializers.BooleanField(
        help_text="The event's country is none of ISO 3166, so no list of countries holds it."
    )


class ListHitBody(serializers.Serializer[Any]):
    """A value of the event that people put on the allow or the deny list."""

    entry_id = serializers.IntegerField()
    kind = serializers.ChoiceField(["allow", "deny"])
    field = serializers.CharField()
    reason = serializers.CharField(help_text="Why it was put there.")


class PredictionBody(serializers.Serializer[Any]):
    """One stored prediction."""

    prediction_id = serializers.UUIDField()
    external_id = serializers.CharField()
    detector = serializers.CharField()
    event_time = serializers.DateTimeField()
    score = serializers.FloatField(allow_null=True, help_text="0 to 1; null when degraded.")
    probability = serializers.FloatField(allow_null=True, help_text="Calibrated, 0 to 1.")
    risk_level = serializers.ChoiceField(["LOW", "MEDIUM", "HIGH", "CRITICAL"])
    decision = serializers.ChoiceField(["APPROVE", "REVIEW", "BLOCK"])
    selection_reason = serializers.ChoiceField(
        [reason.value for reason in SelectionReason if reason],
        allow_blank=True,
        help_text="Who asked for a review, a block or a look; rules and lists: `rule`. Else empty.",
    )
    reasons = ReasonBody(many=True)
    rule_hits = RuleHitBody(many=True)
    screening_hits = ScreeningHitBody(many=True)
    list_hits = ListHitBody(many=True)
    degraded = serializers.BooleanField(
        help_text="No model scored; rules, lists and screening alone decided."
    )
    model_version = serializers.CharField()
    bundle_digest = serializers.CharField()
    policy_digest = serializers.CharField(help_text="Rules, lists and settings that decided it.")
    latency_ms = serializers.FloatField()


class ScoredBody(PredictionBody):
    """The answer to one event."""

    screening = ScreeningBody()


class StoredPredictionBody(PredictionBody):
    """One stored prediction, with the names that clients of contract C read."""

    transaction_id = serializers.CharField()
    prediction = serializers.IntegerField(help_text="1: not approved; 0: approved.")
    fraud_probability = serializers.FloatField(allow_null=True)
    anomaly_score = serializers.FloatField(allow_null=True)
    threshold = serializers.FloatField(
        allow_null=True, help_text="The probability that asks for a review; null: bundle gone."
    )
    timestamp = serializers.DateTimeField(help_text="When the event was received.")


class FieldErrorBody(serializers.Serializer[Any]):
    """One wrong field of a body or of a record."""

    loc = serializers.ListField(  # Names, and places in lists.
        child=serializers.JSONField(), help_text='The way to it: `["features", 1]`.'
    )
    field = serializers.CharField(allow_blank=True, help_text="The same as text: `features.1`.")
    message = serializers.CharField()


class BatchIn(serializers.Serializer[Any]):
    events = serializers.ListField(child=serializers.DictField(), max_length=1000)


class BatchResult(serializers.Serializer[Any]):
    """Either a prediction or what is wrong with the event, in the order sent."""

    prediction = ScoredBody(required=False)
    errors = FieldErrorBody(many=True, required=False)  # type: ignore[assignment]


class BatchBody(serializers.Serializer[Any]):
    results = BatchResult(many=True)
    scored = serializers.IntegerField()
    refused = serializers.IntegerField()


class PredictionPage(serializers.Serializer[Any]):
    predictions = StoredPredictionBody(many=True)
    skip = serializers.IntegerField()
    limit = serializers.IntegerField()


class FeedbackIn(serializers.Serializer[Any]):
    """What turned out to be true about a prediction."""

    prediction_id = serializers.CharField(  # Ids of events are kept as sent, with their blanks.
        max_length=200,
        trim_whitespace=False,
        help_text="Of a prediction, or the client's own id of its event (of `?detector=`).",
    )
    actual_label = serializers.BooleanField(help_text="true: fraud (or a real incident)")
    feedback_source = Text(
        required=False, max_length=100, default="", allow_blank=True, allow_null=True
    )
    reason_code = Text(required=False, max_length=40, default="", allow_blank=True, allow_null=True)
    label_time = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="When it became known (a chargeback's date); now by default.",
    )
    notes = Text(required=False, max_length=5000, default="", allow_blank=True, allow_null=True)


class FeedbackBody(serializers.Serializer[Any]):
    label_id = serializers.IntegerField()
    prediction_id = serializers.UUIDField()
    actual_label = serializers.BooleanField()
    label_time = serializers.DateTimeField()
    ignored_fields = serializers.ListField(
        child=serializers.CharField(), help_text="What was sent and passed over: a slip, maybe."
    )


class Problem(serializers.Serializer[Any]):
    """Every error of the API."""

    detail = serializers.CharField()
    errors = FieldErrorBody(many=True, required=False)  # type: ignore[assignment]
