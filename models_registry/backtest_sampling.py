"""Which events a backtest reads: everything is counted, and so many of each kind are drawn.

Kinds are what an event is known to be and whether people were to look at it. The small ones, nearly
always the bad and the flagged, are read whole; of the others a part is drawn, and each event drawn
stands for as many as it represents.
"""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from django.db.models import Q
from numpy.typing import NDArray

from jobs.progress import JobProgress
from models_registry.core.backtest import BAD, GOOD, UNKNOWN, allot
from models_registry.core.selection import AUDITED, NOT_SELECTED, SELECTED
from scoring.core.types import SelectionReason
from scoring.models import Detector, Label, Prediction

CHUNK = 5000
MOST_COUNTED = 1_000_000
SEED = 20260131
KINDS = (
    "bad, looked at", "bad, not looked at", "good, looked at", "good, not looked at",
    "unlabelled, to be looked at", "unlabelled, not looked at", "not matured yet",
)  # fmt: skip
YOUNG = len(KINDS) - 1


@dataclass(frozen=True, slots=True)
class Census:
    """All events of the days, newest first; arrays [n]. `kinds` index KINDS, `labels` as known,
    `selection` as in core.selection. `cut`: there were more, older ones."""

    ids: bytes
    kinds: NDArray[np.int8]
    labels: NDArray[np.int8]
    selection: NDArray[np.int8]
    propensity: NDArray[np.float64]
    first: datetime | None
    cut: bool

    def id_at(self, i: int) -> UUID:
        """The prediction's id."""
        return UUID(bytes=self.ids[16 * i : 16 * i + 16])

    def days(self, first_day: date, last_day: date) -> int:
        """How many of these days its numbers are spread over: none before its oldest event."""
        oldest = self.first.astimezone(UTC).date() if self.first else first_day
        return (last_day - max(first_day, oldest)).days + 1


@dataclass(frozen=True, slots=True)
class Drawn:
    """Places in the census that are read, and how many events each stands for; arrays [m]."""

    places: NDArray[np.intp]
    weights: NDArray[np.float64]
    kinds: list[dict[str, Any]]


@contextmanager
def read_only() -> Iterator[None]:
    """A short transaction in which the database itself refuses every write."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only = ON")
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA query_only = OFF")
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        yield


def day_start(day: date) -> datetime:
    """Midnight, UTC."""
    return datetime.combine(day, datetime.min.time(), UTC)


def take_census(
    detector: Detector,
    first_day: date,
    last_day: date,
    *,
    known_at: datetime,
    label_delay: float,
    progress: JobProgress,
    span: float,
) -> Census:
    """Look at every event of the days, in chunks; progress goes from 0 to `span`."""
    ids, codes, labels = bytearray(), array("b"), array("b")
    selections, chances = array("b"), array("d")
    matured = known_at - timedelta(seconds=label_delay)
    start, end = day_start(first_day), day_start(last_day) + timedelta(days=1)
    last: tuple[datetime, UUID] | None = None
    oldest: datetime | None = None
    while True:
        progress.check_cancelled()
        with read_only():
            rows = _next(detector, start, end, last)
            known = labels_of([row[0] for row in rows], known_at)
        for pk, at, reason, propensity in rows:
            label = known.get(pk, UNKNOWN)
            ids += pk.bytes
            labels.append(label)
            selection = selection_of(reason)
            selections.append(selection)
            chances.append(propensity)
            codes.append(_kind(label, selection, young=at > matured))
        if rows:
            last = oldest, _ = rows[-1][1], rows[-1][0]
            done = (end - oldest) / (end - start)
            progress.report(span * min(done, 1.0), f"Counting events: {len(codes):,} so far")
        if len(rows) < CHUNK or len(codes) >= MOST_COUNTED:
            break
    return Census(
        ids=bytes(ids),
        kinds=np.frombuffer(codes, np.int8) if codes else np.empty(0, np.int8),
        labels=np.frombuffer(labels, np.int8) if labels else np.empty(0, np.int8),
        selection=np.frombuffer(selections, np.int8) if selections else np.empty(0, np.int8),
        propensity=np.frombuffer(chances, float) if chances else np.empty(0),
        first=oldest,
        cut=len(codes) >= MOST_COUNTED,
    )


def _next(
    detector: Detector, start: datetime, end: datetime, last: tuple[datetime, UUID] | None
) -> list[tuple[UUID, datetime, str, float]]:
    """The next events, newest first."""
    rows = Prediction.objects.filter(detector=detector, event_time__gte=start, event_time__lt=end)
    if last is not None:
        at, pk = last
        rows = rows.filter(event_time__lte=at).filter(
            Q(event_time__lt=at) | Q(event_time=at, id__lt=pk)
        )
    names = ("id", "event_time", "selection_reason", "propensity")
    return list(rows.order_by("-event_time", "-id").values_list(*names)[:CHUNK])


def labels_of(ids: list[UUID], known_at: datetime) -> dict[UUID, int]:
    """The newest label of each, as known then: one that was taken back later counts."""
    rows = (
        Label.history.known_at(known_at)
        .filter(prediction_id__in=ids, recorded_at__lte=known_at)
        .order_by("label_time", "id")
    )
    return {
        pk: BAD if is_fraud else GOOD
        for pk, is_fraud in rows.values_list("prediction_id", "is_fraud")
    }


def selection_of(reason: str) -> int:
    """A selection reason as in core.selection."""
    if not reason:
        return NOT_SELECTED
    return AUDITED if reason == SelectionReason.RANDOM_AUDIT else SELECTED


def _kind(label: int, selection: int, *, young: bool) -> int:
    if young:
        return YOUNG
    first = {BAD: 0, GOOD: 2, UNKNOWN: 4}[label]
    return first + (selection == NOT_SELECTED)


def draw(census: Census, most: int) -> Drawn:
    """Up to `most` events, in the order of the census; the same ones for the same census."""
    rng = np.random.default_rng(SEED)
    sizes = np.bincount(census.kinds, minlength=len(KINDS)).tolist()
    places, weights, kinds = [], [], []
    for code, (size, taken) in enumerate(zip(sizes, allot(sizes, most), strict=True)):
        of_kind = np.flatnonzero(census.kinds == code)
        chosen = of_kind if taken == size else rng.choice(of_kind, taken, replace=False)
        places.append(chosen)
        weights.append(np.full(taken, size / taken if taken else 0.0))
        kinds.append({"kind": KINDS[code], "events": size, "read": taken})
    joined, weight = np.concatenate(places), np.concatenate(weights)
    order = np.argsort(joined)
    return Drawn(joined[order], weight[order], kinds)
