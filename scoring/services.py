"""Score events and keep what came of it; record labels. The writes of the scoring app."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from django.db import DatabaseError, IntegrityError, OperationalError, transaction
from django.utils import timezone

from accounts import vault
from accounts.models import User
from scoring import deployment, writer
from scoring.core import pipeline
from scoring.core.features import teach
from scoring.core.ids import uuid7
from scoring.core.schema import SchemaError
from scoring.core.types import Decision, Event, Reason, RuleHit, Verdict
from scoring.feature_store.base import Key
from scoring.feature_store.database import DatabaseFeatureStore
from scoring.models import Label, Prediction
from scoring.signals import predictions_recorded

logger = logging.getLogger(__name__)
store = DatabaseFeatureStore()
ATTEMPTS = 3
DEADLOCK, SERIALISATION = "40P01", "40001"
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Scored:
    """The stored prediction of an event; `created` is False when it had been scored before."""

    prediction: Prediction
    created: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that breaks its schema; nothing was stored. `problems`: (field, message)."""

    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Conflicting:
    """The event's id was scored before with another body; nothing was stored."""

    external_id: str


Outcome = Scored | Refused | Conflicting


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A valid event with what is stored of it. `keys` of the event are keyed tokens by now."""

    event: Event
    payload: dict[str, Any]
    body_digest: str
    entity: str


def score_event(slug: str, raw: object) -> Outcome:
    """Score one event; see `score_events`."""
    return score_events(slug, [raw])[0]


def score_events(slug: str, raws: Sequence[object], *, announce: bool = True) -> list[Outcome]:
    """Validate, score and store events of one detector; outcomes in the order of `raws`.

    All valid events are stored in one transaction, in which the windows of their entities are
    locked: what one event teaches, the next one of the same entity sees. An event that was scored
    before gives its stored prediction. Events of one call are scored in event-time order.
    `announce=False` leaves alerts to the sweep, for history whose labels follow at once.
    Raises UnknownDetector.
    """
    serving = deployment.serving(slug)
    received = time.time()
    outcomes: list[Outcome | None] = [None] * len(raws)
    parsed: dict[int, _Parsed] = {}
    for i, raw in enumerate(raws):
        try:
            parsed[i] = _parse(serving, raw, received)
        except SchemaError as error:
            outcomes[i] = Refused(tuple(error.problems))
    for attempt in range(ATTEMPTS):
        try:
            with writer.turn(), transaction.atomic():
                stored = _store(serving, parsed, announce=announce)
            break
        except (IntegrityError, OperationalError) as error:
            if attempt == ATTEMPTS - 1 or not _met_another(error):
                raise
    for i, outcome in stored.items():
        outcomes[i] = outcome
    return [outcome for outcome in outcomes if outcome is not None]


def _met_another(error: DatabaseError) -> bool:
    """Whether another process stored one of these events meanwhile (now it will be found), or
    PostgreSQL ended a deadlock between the two."""
    if isinstance(error, IntegrityError):
        return True
    return getattr(error.__cause__, "sqlstate", "") in (DEADLOCK, SERIALISATION)


def _parse(serving: deployment.Serving, raw: object, received: float) -> _Parsed:
    """Validate, encrypt PII, turn entity keys into tokens. Raises SchemaError."""
    spec = serving.bundle.spec
    event = serving.bundle.parser.parse(raw, received)
    body = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
    payload = {
        name: vault.encrypt(str(value)) if name in spec.pii_fields else value
        for name, value in event.fields.items()
    }
    keys = {field: vault.token(field, value) for field, value in event.keys.items()}
    entity = keys.get(spec.entity_field) or vault.token(serving.slug, event.external_id)
    return _Parsed(
        event=replace(event, keys=keys),
        payload=payload,
        body_digest=hashlib.blake2b(body, digest_size=16).hexdigest(),
        entity=entity,
    )


def _store(
    serving: deployment.Serving, parsed: Mapping[int, _Parsed], *, announce: bool
) -> dict[int, Outcome]:
    """Inside a transaction: leave out what is known, score the rest, write it."""
    known = writer.stored_predictions(
        serving.detector_id, [item.event.external_id for item in parsed.values()]
    )
    outcomes: dict[int, Outcome] = {}
    new: dict[str, _Parsed] = {}
    repeats: list[int] = []
    for i, item in parsed.items():
        external_id = item.event.external_id
        if external_id in known:
            outcomes[i] = _answer(known[external_id], item, created=False)
        elif external_id in new:
            repeats.append(i)
        else:
            new[external_id] = item
    rows = _score_new(serving, list(new.values()))
    made = {row.external_id: row for row in rows}
    flagged = [row for row in rows if row.decision != Decision.APPROVE]
    if flagged and announce:
        _announce(flagged)
    for i, item in parsed.items():
        if i not in outcomes:
            outcomes[i] = _answer(made[item.event.external_id], item, created=i not in repeats)
    return outcomes


def _announce(flagged: list[Prediction]) -> None:
    """After the commit, tell who listens which predictions need a human."""

    def send() -> None:
        predictions_recorded.send(sender=Prediction, predictions=flagged)

    # Robust: with the broker gone the stored answer still goes out; a sweep opens the alerts.
    transaction.on_commit(send, robust=True)


def _answer(row: Prediction, item: _Parsed, *, created: bool) -> Outcome:
    if row.body_digest != item.body_digest:
        return Conflicting(item.event.external_id)
    return Scored(row, created)


def _score_new(serving: deployment.Serving, items: Sequence[_Parsed]) -> list[Prediction]:
    if not items:
        return []
    bundle = serving.bundle
    ordered = sorted(items, key=lambda item: item.event.time)
    keys: list[Key] = [key for item in ordered for key in bundle.plan.keys(item.event)]
    windows = store.load(serving.detector_id, bundle.plan, keys, lock=True)
    started = time.perf_counter()
    if len(ordered) == 1:
        verdicts = [pipeline.score(ordered[0].event, windows, bundle)]
        elapsed = time.perf_counter() - started
        teach(bundle.plan, ordered[0].event, windows)
    else:
        verdicts = pipeline.score_many([item.event for item in ordered], windows, bundle)
        elapsed = time.perf_counter() - started
    latency = max(round(elapsed * 1e6 / len(ordered)), 1)
    rows = [
        _prediction(serving, item, verdict, latency)
        for item, verdict in zip(ordered, verdicts, strict=True)
    ]
    writer.write_predictions(rows)
    store.save(serving.detector_id, bundle.plan, windows)
    return rows


def _prediction(
    serving: deployment.Serving, item: _Parsed, verdict: Verdict, latency_us: int
) -> Prediction:
    event = item.event
    amount = event.amount
    return Prediction(
        id=uuid7(int(event.received * 1000)),
        detector_id=serving.detector_id,
        external_id=event.external_id,
        body_digest=item.body_digest,
        event_time=datetime.fromtimestamp(event.time, UTC),
        received_at=datetime.fromtimestamp(event.received, UTC),
        event=item.payload,
        entity=item.entity,
        vector=verdict.vector.astype("<f8").tobytes(),
        score=verdict.score,
        probability=verdict.probability,
        risk_level=verdict.risk_level,
        decision=verdict.decision,
        reasons=[_reason(reason) for reason in verdict.reasons],
        contributions=(
            None if verdict.contributions is None else verdict.contributions.astype("<f8").tobytes()
        ),
        additivity_error=verdict.additivity_error,
        rule_hits=[_rule_hit(hit) for hit in verdict.rule_hits],
        screening_hits=list(verdict.screening_hits),
        degraded=verdict.degraded,
        bundle_digest=serving.bundle.digest,
        model_version=serving.version,
        selection_reason=verdict.selection_reason,
        propensity=verdict.propensity,
        exposure=None if amount is None else Decimal(str(amount)).quantize(CENT),
        currency="" if amount is None else event.currency[:3],
        latency_us=latency_us,
    )


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "feature": reason.feature,
        "value": reason.value,
        "contribution": reason.contribution,
        "text": reason.text,
        "usual": None if reason.usual is None else list(reason.usual),
    }


def _rule_hit(hit: RuleHit) -> dict[str, Any]:
    values = {k: None if v != v else v for k, v in hit.values.items()}
    return {
        "code": hit.code,
        "version": hit.version,
        "outcome": str(hit.outcome),
        "text": hit.text,
        "values": values,
    }


def record_label(
    prediction: Prediction,
    *,
    is_fraud: bool,
    source: str,
    label_time: datetime | None = None,
    author: User | None = None,
    reason_code: str = "",
    confidence: float = 1.0,
    notes: str = "",
) -> Label:
    """Add ground truth to a prediction; earlier labels stay as history."""
    return Label.objects.create(
        prediction=prediction,
        detector_id=prediction.detector_id,
        is_fraud=is_fraud,
        event_time=prediction.event_time,
        label_time=label_time or timezone.now(),
        source=source,
        author=author,
        reason_code=reason_code,
        confidence=confidence,
        notes=notes,
    )


@transaction.atomic
def record_truths(
    detector_id: int, truths: Mapping[str, tuple[bool, datetime]], *, source: str
) -> int:
    """Label many predictions by external id: {id: (is fraud, when that became known)}.

    Predictions that have a label of this source already are left alone, so it may run twice.
    Returns how many labels were added.
    """
    rows = Prediction.objects.filter(detector_id=detector_id, external_id__in=list(truths)).exclude(
        labels__source=source
    )
    labels = [
        Label(
            prediction_id=pk,
            detector_id=detector_id,
            is_fraud=truths[external_id][0],
            event_time=event_time,
            label_time=truths[external_id][1],
            source=source,
        )
        for pk, external_id, event_time in rows.values_list("pk", "external_id", "event_time")
    ]
    writer.write_labels(labels)
    return len(labels)
