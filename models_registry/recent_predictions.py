"""Which of a champion's predictions a drift check reads: the newest, and those of a whole week.

The training window covers whole weeks. The newest events of a busy detector cover a morning: what
the calendar says of them (hour, night, weekend) differs from any week, though nothing moved. So
that is read off a week as a whole, and all else off the newest, where a sudden shift shows first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from models_registry.models import PromotionDecision
from scoring.core.bundle import Bundle
from scoring.models import Detector, Prediction

MOST_ROWS = 10_000
CHUNK = 2000
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
HOURS = WEEK // HOUR
TRIED = (0.001, 0.01, 0.1)
"""Shares of each hour that are counted, the least first, to find which share has MOST_ROWS."""
ENOUGH_COUNTED = MOST_ROWS // 10
BEGINNING = 100
"""First events whose middle one says since when the champion has served."""
GOLDEN = 0.618033988749895
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recent:
    """Recent predictions of a bundle: `vectors` float64[n, k] of the newest, `risk` float64[n] (NaN
    where no model scored), the span of their event times; `week` float64[m, k] of a whole week,
    None where the champion has not served for one."""

    vectors: FloatArray
    risk: FloatArray
    first_at: datetime | None
    last_at: datetime | None
    week: FloatArray | None


def read_recent(detector: Detector, bundle: Bundle) -> Recent:
    """At most MOST_ROWS of the newest, and about as many, spread evenly, of the last week."""
    own = Prediction.objects.filter(detector=detector, bundle_digest=bundle.digest)
    first = PromotionDecision.objects.filter(version__digest=bundle.digest, detector=detector)
    since = first.order_by("at").values_list("at", flat=True).first()
    if since is not None:
        # Without this bound the whole history is read to find the few events of a young champion.
        own = own.filter(received_at__gte=since)
    rows = own.order_by("-received_at").values_list("vector", "event_time", "score", "probability")[
        :MOST_ROWS
    ]
    vectors, times, risks = [], [], []
    for vector, event_time, score, probability in rows.iterator(chunk_size=CHUNK):
        vectors.append(bytes(vector))
        times.append(event_time)
        risks.append(score if probability is None else probability)
    width, last = len(bundle.plan.names), max(times, default=None)
    return Recent(
        vectors=_matrix(vectors, width),
        risk=np.array(risks, float),  # None becomes NaN.
        first_at=min(times, default=None),
        last_at=last,
        week=None if last is None else _whole_week(own, last, width),
    )


def _matrix(vectors: list[bytes], width: int) -> FloatArray:
    return np.frombuffer(b"".join(vectors), "<f8").reshape(-1, width)


def _whole_week(own: "QuerySet[Prediction]", end: datetime, width: int) -> FloatArray | None:
    """float64[m, width] of the week that ends then; None where the champion did not serve then."""
    begin = end - WEEK
    # One with a wrong clock, or late by weeks, is not when it began to serve.
    first = sorted(own.order_by("received_at").values_list("event_time", flat=True)[:BEGINNING])
    if not first or first[len(first) // 2] > begin:
        return None
    week = own.filter(event_time__gt=begin, event_time__lte=end)
    if week.order_by().values("pk")[: MOST_ROWS + 1].count() <= MOST_ROWS:
        parts = [week]
    else:
        # Shares of hours, not of rows: few look-ups by the index, and busy hours count for more.
        parts = list(_shares(week, begin, _share(week, begin)))
    found = [
        bytes(vector)
        for part in parts
        for vector in part.order_by("event_time").values_list("vector", flat=True)[:MOST_ROWS]
    ]
    return _matrix(found, width)


def _share(week: "QuerySet[Prediction]", begin: datetime) -> float:
    """The share of each hour in which about MOST_ROWS of the week's events lie."""
    for tried in TRIED:
        counted = sum(part.order_by().count() for part in _shares(week, begin, tried))
        if counted >= ENOUGH_COUNTED:
            return min(1.0, tried * MOST_ROWS / counted)
    return 1.0


def _shares(
    week: "QuerySet[Prediction]", begin: datetime, share: float
) -> Iterator["QuerySet[Prediction]"]:
    """A share of each hour of the week; it begins elsewhere in each, for some things come on the
    hour."""
    for i in range(HOURS):
        start = begin + HOUR * (i + (1.0 - share) * (i * GOLDEN % 1.0))
        yield week.filter(event_time__gt=start, event_time__lte=start + HOUR * share)
