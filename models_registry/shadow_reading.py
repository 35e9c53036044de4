"""Reads what the live comparison is made of: labelled events in columns, all others as counts.

Millions of events may have been scored by both. What nobody labelled is counted by the database,
and what is read is held in numpy columns: about 50 bytes an event.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from numpy.typing import NDArray

from models_registry.core import live
from models_registry.core.live import Coverage, LiveRows
from models_registry.core.selection import AUDITED, NOT_SELECTED, SELECTED
from models_registry.models import ModelVersion
from models_registry.shadow_models import Shadow, ShadowScore
from scoring.core.spec import DetectorSpec
from scoring.core.types import DECISIONS, SelectionReason
from scoring.models import Label

CHUNK = 5000
MOST_ROWS = 2_000_000
"""The newest labelled ones that are compared: docs/evidence/promotion.md has what they take."""
CODES = {str(decision): code for code, decision in enumerate(DECISIONS)}
LOOKED_AT: dict[str, int] = {
    SelectionReason.NONE: NOT_SELECTED,
    SelectionReason.RANDOM_AUDIT: AUDITED,
}


class LiveRead(NamedTuple):
    """Labelled rows since a moment (None: all there are), and what all events are covered by."""

    rows: LiveRows
    coverage: Coverage
    since: datetime | None


class Both(NamedTuple):
    """What is read of one event that both scored."""

    event_time: datetime
    entity: str
    exposure: Decimal | None
    currency: str
    decision: str
    score: float
    probability: float | None
    selection_reason: str
    propensity: float
    shadow_score: float
    shadow_probability: float | None
    shadow_decision: str
    truth: bool


READ = (
    "event_time", "prediction__entity", "prediction__exposure", "prediction__currency",
    "prediction__decision", "prediction__score", "prediction__probability",
    "prediction__selection_reason", "prediction__propensity", "score", "probability", "decision",
    "truth",
)  # fmt: skip


def read_live(
    shadow: Shadow,
    champion: ModelVersion,
    *,
    matured_before: datetime,
    known_at: datetime,
    since: datetime | None = None,
) -> LiveRead:
    """Events that both scored and that are old enough for their labels to have come.

    Labels count that were given by `known_at` and not taken back by then. Of more than MOST_ROWS
    the newest whole days are read.
    """
    scores = ShadowScore.objects.filter(
        version=shadow.version_id,
        event_time__lt=matured_before,
        prediction__bundle_digest=champion.digest,
        prediction__degraded=False,
        prediction__score__isnull=False,
    ).order_by()
    if since is not None:
        scores = scores.filter(event_time__gte=since)
    labels = Label.history.known_at(known_at).filter(prediction=OuterRef("prediction"))
    coverage = _covered(scores, labels)
    begins = _newest(_counting(scores, labels, coverage), coverage)
    if begins is not None:
        since, scores = begins, scores.filter(event_time__gte=begins)
        coverage = _covered(scores, labels)
    newest = labels.order_by("-label_time", "-id").values("is_fraud")[:1]
    counting = _counting(scores, labels, coverage).annotate(truth=Subquery(newest))
    found = counting.values_list(*READ).iterator(chunk_size=CHUNK)
    rows = _columns(shadow.detector.spec(), (Both(*row) for row in found))
    return LiveRead(rows, coverage, since)


Scores = QuerySet[ShadowScore]


def _covered(scores: Scores, labels: QuerySet[Label]) -> Coverage:
    groups = (
        scores.annotate(told=Exists(labels))
        .values_list("prediction__selection_reason", "prediction__decision", "decision", "told")
        .annotate(events=Count("pk"))
    )
    counts = np.zeros((3, 2, 2), np.int64)
    for reason, theirs, ours, told, events in groups:
        counts[LOOKED_AT.get(reason, SELECTED), int(theirs != ours), int(told)] += events
    return Coverage(counts)


def _counting(scores: Scores, labels: QuerySet[Label], coverage: Coverage) -> Scores:
    """Those with a label that counts (core.live.representative)."""
    if coverage.kind == live.AUDITED:
        scores = scores.exclude(prediction__selection_reason=SelectionReason.NONE)
    return scores.filter(Exists(labels))


def _newest(counting: Scores, coverage: Coverage) -> datetime | None:
    """The midnight from which on at most MOST_ROWS count; None when all do."""
    if coverage.events - coverage.unlabelled <= MOST_ROWS:
        return None
    times = counting.order_by("-event_time").values_list("event_time", flat=True)
    last = times[MOST_ROWS : MOST_ROWS + 1].first()
    if last is None:
        return None
    begins = day_of(last) + timedelta(days=1)
    # On a single day that is too long, its newest part is better than nothing.
    return begins if counting.filter(event_time__gte=begins).exists() else last


def day_of(moment: datetime) -> datetime:
    """The midnight (UTC) that a moment's day began with."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _columns(spec: DetectorSpec, rows: Iterable[Both]) -> LiveRows:
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in LiveRows.__slots__}
    for part in _parts(spec, rows):
        for name, found in parts.items():
            found.append(getattr(part, name))
    # Each column's parts are freed when it is whole, so that no second copy of all is held.
    return LiveRows(**{name: np.concatenate(parts.pop(name)) for name in tuple(parts)})


def _parts(spec: DetectorSpec, rows: Iterable[Both]) -> Iterator[LiveRows]:
    left = iter(rows)
    yield _part(spec, [])  # The types of the columns, where there is nothing else.
    while some := list(islice(left, CHUNK)):
        yield _part(spec, some)


def _part(spec: DetectorSpec, rows: list[Both]) -> LiveRows:
    reasons = np.array([LOOKED_AT.get(row.selection_reason, SELECTED) for row in rows], np.int8)
    return LiveRows(
        labels=np.array([row.truth for row in rows], np.int8),
        selected=reasons == SELECTED,
        audited=reasons == AUDITED,
        propensity=_floats(row.propensity for row in rows),
        event_time=_floats(row.event_time.timestamp() for row in rows),
        entities=np.array([_number(row.entity) for row in rows], np.int64),
        amounts=_floats(spec.own_amount(row.exposure, row.currency) for row in rows),
        champion_risk=_floats(
            row.score if row.probability is None else row.probability for row in rows
        ),
        challenger_risk=_floats(
            row.shadow_score if row.shadow_probability is None else row.shadow_probability
            for row in rows
        ),
        champion_decision=np.array([CODES[row.decision] for row in rows], np.int8),
        challenger_decision=np.array([CODES[row.shadow_decision] for row in rows], np.int8),
    )


def _floats(values: Iterable[float]) -> NDArray[np.float64]:
    return np.fromiter(values, np.float64)


def _number(entity: str) -> int:
    """An entity as eight bytes: of a million, two are one with a chance of 3 in 100 million."""
    return int.from_bytes(blake2b(entity.encode(), digest_size=8).digest(), signed=True)
