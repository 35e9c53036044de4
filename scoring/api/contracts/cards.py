"""Contract C: card transactions in the layout of the public data (Time, V1..V28, Amount)."""

import re
import time
from typing import Any

from django.http import Http404, HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from accounts.api_errors import ValidationProblem
from scoring import deployment
from scoring.answers import imputed_fields, predict_answer
from scoring.api.asking import (
    ask_all_or_none,
    ask_one,
    documented,
    field_errors,
    whole_body,
)
from scoring.api.base import ScoringView, answer
from scoring.core.json_values import with_nul, without_value
from scoring.deployment import UnknownDetector
from scoring.models import Prediction

CREDITCARD = "creditcard"
LAYOUT = ("Time", *(f"V{i}" for i in range(1, 29)), "Amount")
SIMPLE = {"amount": "Amount", "time_of_day": "Time"}
OURS = ("transaction_id", "transaction", "features")
FORMS = "give either transaction or features"
MOST = 100
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
EXAMPLE = {
    "transaction_id": "transaction-1",
    "transaction": dict.fromkeys(LAYOUT, 0.0) | {"Amount": 149.62},
}


class PredictIn(serializers.Serializer[Any]):
    """One of three forms: `transaction` with Time, V1..V28 and Amount; `transaction` with amount
    and time_of_day (the rest is imputed); `features`, 30 numbers as [Time, V1..V28, Amount]."""

    transaction_id = serializers.CharField(max_length=100)
    transaction = serializers.DictField(required=False, allow_null=True)
    features = serializers.ListField(
        child=serializers.FloatField(),
        required=False,
        allow_null=True,
        min_length=30,
        max_length=30,
    )


class PredictBody(serializers.Serializer[Any]):
    transaction_id = serializers.CharField()
    prediction_id = serializers.UUIDField(help_text="What feedback names.")
    prediction = serializers.IntegerField(help_text="1: not approved; 0: approved.")
    fraud_probability = serializers.FloatField(
        allow_null=True, help_text="Calibrated, 0 to 1; null only while degraded."
    )
    risk_level = serializers.ChoiceField(["LOW", "MEDIUM", "HIGH", "CRITICAL"])
    anomaly_score = serializers.FloatField(
        allow_null=True, help_text="The model's score before calibration, 0 to 1."
    )
    threshold = serializers.FloatField(help_text="The probability that asks for a review.")
    timestamp = serializers.DateTimeField(help_text="When it was received.")
    model_version = serializers.CharField()
    decision = serializers.ChoiceField(["APPROVE", "REVIEW", "BLOCK"])
    degraded = serializers.BooleanField()
    latency_ms = serializers.FloatField()
    imputed_fields = serializers.ListField(child=serializers.CharField())


class PredictBatchIn(serializers.Serializer[Any]):
    transactions = PredictIn(many=True)


class PredictBatchBody(serializers.Serializer[Any]):
    predictions = PredictBody(many=True)
    total_processed = serializers.IntegerField()
    fraud_detected = serializers.IntegerField()
    processing_time_ms = serializers.FloatField()


class _Sent:
    """One transaction as sent: the event in it, and where each of its fields stood."""

    def __init__(self, raw: object, prefix: str = "") -> None:
        self.prefix = prefix
        self.problems: list[tuple[str, str]] = []
        self.event: dict[str, Any] = {}
        self._places: dict[str, str] = {}
        if isinstance(raw, dict):
            self._read(raw)
        else:
            self._bad("", "must be an object")

    def place(self, field: str) -> str:
        """Where the client wrote a field of the event."""
        return f"{self.prefix}{self._places.get(field, field)}".rstrip(".")

    def _bad(self, field: str, message: str) -> None:
        self.problems.append((f"{self.prefix}{field}".rstrip("."), message))

    def _read(self, raw: dict[str, Any]) -> None:
        self._look_at({name: value for name, value in raw.items() if name not in OURS})
        if raw.get("transaction_id") is None:
            self._bad("transaction_id", "is required")
        transaction, features = raw.get("transaction"), raw.get("features")
        if (transaction is None) == (features is None):
            given = [name for name in ("transaction", "features") if name in raw]
            self._bad(given[0] if len(given) == 1 else "transaction", FORMS)
        elif features is not None:
            self._list_form(features)
        elif not isinstance(transaction, dict):
            self._bad("transaction", "must be an object")
        else:
            self._by_name(transaction)
        self.event["transaction_id"] = raw.get("transaction_id")

    def _look_at(self, others: dict[str, Any]) -> None:
        """Of what nobody reads, only that it could be kept at all."""
        for place in without_value(others):
            self._bad(place, "must be a finite number")
        for place in with_nul(others):
            self._bad(place, "must not hold the character U+0000")

    def _by_name(self, transaction: dict[str, Any]) -> None:
        # Clients that know both forms send those fields of the other one as null.
        given = {name: value for name, value in transaction.items() if value is not None}
        named = given or transaction  # Where all is null, by what it is called.
        if named.keys() & SIMPLE.keys():
            self._simple_form(given)
        else:
            self._full_form(given)

    def _list_form(self, features: object) -> None:
        if not isinstance(features, list) or len(features) != len(LAYOUT):
            self._bad("features", f"must be a list of {len(LAYOUT)} numbers")
            return
        self._places = {name: f"features.{i}" for i, name in enumerate(LAYOUT)}
        self._take(dict(zip(LAYOUT, features, strict=True)))

    def _full_form(self, transaction: dict[str, Any]) -> None:
        self._places = {name: f"transaction.{name}" for name in {*LAYOUT, *transaction}}
        self._look_at({"transaction": {"transaction_id": transaction.get("transaction_id")}})
        self._take(transaction)

    def _simple_form(self, transaction: dict[str, Any]) -> None:
        self._places = {own: f"transaction.{theirs}" for theirs, own in SIMPLE.items()}
        for name in sorted(transaction.keys() - SIMPLE.keys()):
            self._bad(f"transaction.{name}", "does not belong to the form with amount")
        if transaction.get("amount") is None:
            self._bad("transaction.amount", "is required")
        self.event["Amount"] = _float(transaction.get("amount"))
        if transaction.get("time_of_day") is not None:
            seconds = _seconds(transaction["time_of_day"])
            if seconds is None:
                self._bad("transaction.time_of_day", "must be a time such as 14:30")
            self.event["Time"] = seconds

    def _take(self, values: dict[str, Any]) -> None:
        for name in LAYOUT:
            if values.get(name) is None:
                self._bad(self._places[name], "is required")
        self.event.update({name: _float(value) for name, value in values.items()})


def _float(value: Any) -> Any:
    """Whole numbers as floats, so that the forms of one transaction are one body."""
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
    return float(value) if whole else value


def _seconds(given: object) -> float | None:
    """Seconds since midnight of `HH:MM`, `HH:MM:SS` or hours as a number from 0 to below 24."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return given * 3600.0 if 0 <= given < 24 else None
    found = CLOCK.fullmatch(given) if isinstance(given, str) and given.isascii() else None
    if found is None:
        return None
    hours, minutes, seconds = found.groups(default="0")
    return int(hours) * 3600.0 + int(minutes) * 60.0 + int(seconds)


class PredictView(ScoringView):
    """One card transaction. The same id and body again gives the stored prediction."""

    on_the_lane = True
    judges_records = ""
    required_scope = "score"
    required_permission = "scoring.score_event"

    @documented(PredictIn, PredictBody, EXAMPLE, operation_id="contract_c_predict")
    def post(self, request: Request) -> HttpResponse:
        return answer(self.reply(request.data))

    def reply(self, data: Any) -> dict[str, Any]:
        """See ScoringView."""
        sent = _Sent(whole_body(data))
        _refuse_wrong([sent])
        return _body(ask_one(CREDITCARD, sent.event, sent.place), sent)


class PredictBatchView(ScoringView):
    """Up to 100 card transactions; when one is not valid, none is scored."""

    judges_records = "transactions"
    required_scope = "score"
    required_permission = "scoring.score_event"

    @documented(
        PredictBatchIn,
        PredictBatchBody,
        {"transactions": [EXAMPLE]},
        operation_id="contract_c_predict_batch",
    )
    def post(self, request: Request) -> HttpResponse:
        started = time.perf_counter()
        given = whole_body(request.data).get("transactions")
        if not isinstance(given, list):
            raise ValidationProblem([{"field": "transactions", "message": "must be a list"}])
        if len(given) > MOST:
            message = f"has at most {MOST} transactions, not {len(given)}"
            raise ValidationProblem([{"field": "transactions", "message": message}])
        sent = [_Sent(raw, f"transactions.{i}.") for i, raw in enumerate(given)]
        _refuse_wrong(sent)
        rows = ask_all_or_none(
            CREDITCARD, [one.event for one in sent], lambda i, field: sent[i].place(field)
        )
        bodies = [_body(row, one) for row, one in zip(rows, sent, strict=True)]
        return answer(
            {
                "predictions": bodies,
                "total_processed": len(bodies),
                "fraud_detected": sum(body["prediction"] for body in bodies),
                "processing_time_ms": (time.perf_counter() - started) * 1000.0,
            }
        )


def _refuse_wrong(sent: list[_Sent]) -> None:
    """Everything that is wrong with any of them: our form's errors and the detector's."""
    if not any(one.problems for one in sent):
        return
    problems = []
    for one in sent:
        named = {field for field, _ in one.problems}
        problems += one.problems
        problems += [(f, m) for f, m in _schema_problems(one) if f not in named]
    raise ValidationProblem(field_errors(problems))


def _schema_problems(sent: _Sent) -> list[tuple[str, str]]:
    """What the detector says of the values that were sent; what lacks, the form has said."""
    try:
        parser = deployment.serving(CREDITCARD).bundle.parser
    except UnknownDetector as error:
        raise Http404(f"There is no detector '{CREDITCARD}'.") from error
    return [
        (sent.place(field), message)
        for field, message in parser.problems(sent.event)
        if sent.event.get(field) is not None
    ]


def _body(prediction: Prediction, sent: _Sent) -> dict[str, Any]:
    spec = deployment.latest(CREDITCARD).bundle.spec
    return predict_answer(prediction) | {"imputed_fields": imputed_fields(spec, sent.event)}
