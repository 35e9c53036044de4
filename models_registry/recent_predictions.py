"""Which of a champion's predictions a drift check reads: the newest, and those of a whole week.

The training window covers whole weeks. The newest events of a busy detector cover a morning: what
the calendar says of them (hour, night, weekend) differs from any week, though nothing moved. So
that is read off a week as a whole, and all else off the newest, where a sudden shift shows first.
A week with a pause in it is no whole week: its hours and days differ because something stood still.
Nor is one with a burst in it, some hours of which hold many times what usually comes then.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db.models import Count, QuerySet, Value
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
EARLIER_WEEKS = 4
"""How many tell what usually comes in an hour of the week."""
LEAST_DAYS = 5
"""Of a week that tells what is usual: some are closed for two."""
LEAST_MISSED = 5
"""Events that a pause lets expect: with fewer it may be chance that none came."""
MOST_OFF = 0.02
"""Share of a week's usual events that pauses may cover, and of its own that bursts may add. From
2 % on such a week may look like moderate drift of whether it is night, or weekend, where few events
are (Wasserstein / std)."""
BURST, LEAST_SIGMAS = 3.0, 5.0
"""A burst is an hour with so many times its usual events, and so far beyond what chance brings."""
LONGEST_BURST = 24
"""Hours of a week; what comes in more of them is no burst but how it is now."""
BEGINNING = 100
"""First events whose middle one says since when the champion has served."""
GOLDEN = 0.618033988749895
FloatArray = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recent:
    """Recent predictions of a bundle: `vectors` float64[n, k] of the newest, `risk` float64[n] (NaN
    where no model scored), the span of their event times; `week` float64[m, k] of a whole week,
    None where the champion has not served for one; `paused`: hours of it in which nothing came
    though something usually does, `burst`: hours in which many times as much came as usually does,
    0 where that is little."""

    vectors: FloatArray
    risk: FloatArray
    first_at: datetime | None
    last_at: datetime | None
    week: FloatArray | None
    paused: int = 0
    burst: int = 0


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
    week, paused, burst = None, 0, 0
    if last is not None and (read := _whole_week(own, last, width)) is not None:
        week, came, share = read
        expected = expected_of(came, _usual(detector, last - WEEK, share))
        paused, burst = paused_hours(came, expected), burst_hours(came, expected)
    return Recent(
        vectors=_matrix(vectors, width),
        risk=np.array(risks, float),  # None becomes NaN.
        first_at=min(times, default=None),
        last_at=last,
        week=week,
        paused=paused,
        burst=burst,
    )


def _matrix(vectors: list[bytes], width: int) -> FloatArray:
    return np.frombuffer(b"".join(vectors), "<f8").reshape(-1, width)


def _whole_week(
    own: "QuerySet[Prediction]", end: datetime, width: int
) -> tuple[FloatArray, Counts, float] | None:
    """float64[m, width] of the week that ends then, how many of them came in each hour, int[168],
    and which share of each hour was read. None where the champion did not serve then."""
    begin = end - WEEK
    # One with a wrong clock, or late by weeks, is not when it began to serve.
    first = sorted(own.order_by("received_at").values_list("event_time", flat=True)[:BEGINNING])
    if not first or first[len(first) // 2] > begin:
        return None
    week, share = own.filter(event_time__gt=begin, event_time__lte=end), 1.0
    if week.order_by().values("pk")[: MOST_ROWS + 1].count() <= MOST_ROWS:
        parts = [week]
    else:
        # Shares of hours, not of rows: few look-ups by the index, and busy hours count for more.
        share = _share(week, begin)
        parts = list(_shares(week, begin, share))
    found = [
        (event_time, bytes(vector))
        for part in parts
        for event_time, vector in part.order_by("event_time").values_list("event_time", "vector")[
            :MOST_ROWS
        ]
    ]
    # An hour ends with its last moment, as in `_shares`.
    came = np.bincount([-((begin - at) // HOUR) - 1 for at, _ in found], minlength=HOURS)
    return _matrix([vector for _, vector in found], width), came, share


def _days(weeks: Counts) -> Counts:
    """On how many days of each week there were events."""
    days: Counts = weeks.reshape(-1, 7, 24).any(axis=2).sum(axis=1)
    return days


def expected_of(came: Counts, usual: Counts) -> FloatArray:
    """What usually comes in each hour of the week, float64[168].

    `came` int[168] by hour of the week, `usual` int[n, 168] of n earlier weeks. Those with events
    on fewer than LEAST_DAYS days, and on fewer than this week, tell nothing: they are of before it
    all began, or a few strays. Without others, the same hours of the other days tell what is usual.
    """
    least = min(LEAST_DAYS, _days(came)[0])
    usual = usual[_days(usual) >= least]
    expected: FloatArray = (
        usual.mean(axis=0) if len(usual) else np.tile(came.reshape(7, 24).mean(axis=0), 7)
    )
    return expected


def paused_hours(came: Counts, expected: FloatArray) -> int:
    """Hours in which nothing came though something usually does; 0 where that is few events."""
    silent = came == 0
    # The hours from one with events to the next are one pause.
    pause = np.cumsum(~silent)
    missed = np.bincount(pause, weights=np.where(silent, expected, 0.0))
    counted = silent & (expected > 0) & (missed[pause] >= LEAST_MISSED)
    too_much = expected[counted].sum() > MOST_OFF * expected.sum()
    return int(counted.sum()) if too_much else 0


def burst_hours(came: Counts, expected: FloatArray) -> int:
    """Hours in which many times as much came as usually does; 0 where that is little of a week, or
    in so many that it is no burst. Hours in which nothing usually comes are none: something new
    began."""
    known = expected > 0
    if not known.any():
        return 0
    # Where all grew, each hour may.
    expected = expected * max(1.0, float(np.median(came[known] / expected[known])))
    beyond = came - expected
    chance = LEAST_MISSED + LEAST_SIGMAS * np.sqrt(expected)
    burst = known & (came > BURST * expected) & (beyond > chance)
    too_much = beyond[burst].sum() > MOST_OFF * came.sum()
    return int(burst.sum()) if too_much and burst.sum() <= LONGEST_BURST else 0


def _usual(detector: Detector, begin: datetime, share: float) -> Counts:
    """Events in that share of each hour of the weeks before, int[EARLIER_WEEKS, 168], whatever
    scored them; a query a week."""
    events = Prediction.objects.filter(detector=detector).order_by()
    found = np.zeros((EARLIER_WEEKS, HOURS), np.int64)
    for back in range(EARLIER_WEEKS):
        hours = [
            part.annotate(hour=Value(i)).values("hour").annotate(count=Count("pk"))
            for i, part in enumerate(_shares(events, begin - WEEK * (back + 1), share))
        ]
        for row in hours[0].union(*hours[1:], all=True):
            found[back, row["hour"]] = row["count"]
    return found


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
