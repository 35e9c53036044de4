"""Contract B: any detector by its name, explanations on request, missing fields imputed."""

from typing import Any

from django.http import Http404, HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from accounts.api_errors import ValidationProblem
from scoring import deployment
from scoring.answers import contributions_of, imputed_fields
from scoring.api.asking import (
    ask,
    ask_one,
    documented,
    field_errors,
    whole_body,
    without_unread,
)
from scoring.api.base import ScoringView, answer
from scoring.api.serializers import FieldErrorBody
from scoring.core.spec import DetectorSpec
from scoring.deployment import UnknownDetector
from scoring.models import Prediction
from scoring.services import Conflicting, Outcome, Refused, Scored
from scoring.sources import slug_of_model

MOST = 1000
EXAMPLE = {
    "data": {
        "entity_id": "card-1",
        "amount": 120.5,
        "merchant_category": "travel",
        "time_of_day": "14:30",
    },
    "model_name": "credit_card_fraud",
    "include_explanations": True,
}


class NamedScoreIn(serializers.Serializer[Any]):
    """`data` holds the fields of the detector that `model_name` names."""

    data = serializers.DictField()  # type: ignore[assignment]
    model_name = serializers.CharField(max_length=100, help_text="A detector's slug or alias.")
    include_explanations = serializers.BooleanField(required=False, default=False, allow_null=True)


class NamedBatchIn(NamedScoreIn):
    data = serializers.ListField(child=serializers.DictField(), max_length=MOST)  # type: ignore[assignment]


class Explanation(serializers.Serializer[Any]):
    feature = serializers.CharField()
    value = serializers.JSONField(
        allow_null=True, help_text="As the record had it; null: missing, or personal data."
    )
    contribution = serializers.FloatField(help_text="Share of the margin; positive raises risk.")


class NamedScoreBody(serializers.Serializer[Any]):
    prediction_id = serializers.UUIDField()
    entity_id = serializers.CharField(allow_null=True, help_text="As sent.")
    external_id = serializers.CharField()
    score = serializers.FloatField(
        allow_null=True, help_text="Calibrated probability where there is one; 0 to 1."
    )
    risk_level = serializers.ChoiceField(["LOW", "MEDIUM", "HIGH", "CRITICAL"])
    decision = serializers.ChoiceField(["APPROVE", "REVIEW", "BLOCK"])
    model_name = serializers.CharField(help_text="The detector's slug.")
    model_version = serializers.CharField()
    imputed_fields = serializers.ListField(
        child=serializers.CharField(), help_text="What the model reads and the record lacked."
    )
    degraded = serializers.BooleanField()
    latency_ms = serializers.FloatField()
    explanations = Explanation(many=True, required=False)


class RecordProblem(serializers.Serializer[Any]):
    detail = serializers.CharField()
    errors = FieldErrorBody(many=True)  # type: ignore[assignment]


class NamedBatchResult(serializers.Serializer[Any]):
    """`result` or `error`, one per record, in the order sent."""

    index = serializers.IntegerField()
    result = NamedScoreBody(required=False)
    error = RecordProblem(required=False)


class NamedBatchBody(serializers.Serializer[Any]):
    results = NamedBatchResult(many=True)
    total = serializers.IntegerField()
    scored = serializers.IntegerField()
    failed = serializers.IntegerField()


class NamedScoreView(ScoringView):
    """Score one record by the model of that name."""

    on_the_lane = True
    judges_records = "data"
    required_scope = "score"
    required_permission = "scoring.score_event"

    @documented(NamedScoreIn, NamedScoreBody, EXAMPLE, operation_id="contract_b_score")
    def post(self, request: Request) -> HttpResponse:
        return answer(self.reply(request.data))

    def reply(self, data: Any) -> dict[str, Any]:
        """See ScoringView."""
        body = whole_body(data)
        record: Any = body.get("data")
        misfit = "" if isinstance(record, dict) else "must be an object"
        spec, explained = _model_and_wish(body, misfit)
        record = without_unread(spec.slug, record)
        prediction = ask_one(spec.slug, record, _place)
        return _body(prediction, record, spec, explained=explained)


class NamedBatchView(ScoringView):
    """Score up to 1,000 records; a bad one gets its own error and does not fail the others."""

    judges_records = "data"
    required_scope = "score"
    required_permission = "scoring.score_event"

    @documented(
        NamedBatchIn,
        NamedBatchBody,
        {"data": [EXAMPLE["data"]], "model_name": "credit_card_fraud"},
        operation_id="contract_b_score_batch",
    )
    def post(self, request: Request) -> HttpResponse:
        body = whole_body(request.data)
        records: Any = body.get("data")
        fits = isinstance(records, list) and len(records) <= MOST
        misfit = "" if fits else f"must be a list of at most {MOST} records"
        spec, explained = _model_and_wish(body, misfit)
        records = [
            without_unread(spec.slug, one) if isinstance(one, dict) else one for one in records
        ]
        outcomes = ask(spec.slug, records) if records else []
        results = [
            {"index": i, **_result(outcome, record, spec, explained=explained)}
            for i, (outcome, record) in enumerate(zip(outcomes, records, strict=True))
        ]
        scored = sum("result" in result for result in results)
        return answer(
            {
                "results": results,
                "total": len(results),
                "scored": scored,
                "failed": len(results) - scored,
            }
        )


def _model_and_wish(body: dict[str, Any], misfit: str) -> tuple[DetectorSpec, bool]:
    """The detector that `model_name` names, and whether explanations are wanted.

    `misfit`: what is wrong with `data` as a whole, told with all else that is wrong.
    """
    name, wish = body.get("model_name"), body.get("include_explanations")
    problems = [("data", misfit)] if misfit else []
    is_name = isinstance(name, str) and 0 < len(name) <= 100
    if not is_name:
        problems.append(("model_name", "must be the name of a model"))
    if not (wish is None or isinstance(wish, bool)):
        problems.append(("include_explanations", "must be true or false"))
        problems += _record_problems(str(name), body.get("data")) if is_name else []
    if problems:
        raise ValidationProblem(field_errors(problems))
    try:
        return deployment.latest(slug_of_model(str(name))).bundle.spec, bool(wish)
    except UnknownDetector as error:
        raise Http404(f"There is no model '{name}'.") from error


def _record_problems(name: str, record: object) -> list[tuple[str, str]]:
    """What the named model's schema says of one record; those of a batch are judged apart."""
    try:
        parser = deployment.latest(slug_of_model(name)).bundle.parser
    except UnknownDetector:
        return []
    found = parser.problems(parser.without_unread(record)) if isinstance(record, dict) else []
    return [(_place(field), message) for field, message in found]


def _place(field: str) -> str:
    """Where the client wrote a field of its one record."""
    return f"data.{field}".rstrip(".")


def _result(
    outcome: Outcome, record: dict[str, Any], spec: DetectorSpec, *, explained: bool
) -> dict[str, Any]:
    match outcome:
        case Scored(prediction):
            return {"result": _body(prediction, record, spec, explained=explained)}
        case Refused(problems):
            errors = field_errors(problems)
            return {"error": {"detail": "Some fields are not valid.", "errors": errors}}
        case Conflicting(external_id):
            detail = f"'{external_id}' was scored before with another body."
            return {"error": {"detail": detail, "errors": []}}


def _body(
    prediction: Prediction, data: dict[str, Any], spec: DetectorSpec, *, explained: bool
) -> dict[str, Any]:
    entity = data.get(spec.entity_field)
    found: dict[str, Any] = {
        "prediction_id": str(prediction.pk),
        "entity_id": None if entity is None else str(entity),
        "external_id": prediction.external_id,
        "score": prediction.risk,
        "risk_level": str(prediction.risk_level),
        "decision": str(prediction.decision),
        "model_name": spec.slug,
        "model_version": prediction.model_version,
        "imputed_fields": imputed_fields(spec, data),
        "degraded": prediction.degraded,
        "latency_ms": prediction.latency_us / 1000.0,
    }
    if explained:
        found["explanations"] = contributions_of(prediction)
    return found
