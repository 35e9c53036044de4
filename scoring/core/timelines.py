"""The columns of many events at once: the same numbers as `windows`, for training and imports.

Both read the window (t - offset - length, t - offset] and add numbers from left to right in time
order, so they agree to rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.core.aggregates import NO_SPREAD, Aggregate
from scoring.core.types import Floats

MICRO = 1e6
LARGEST_KEY = 2**62


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events of many entities, sorted by entity, then time, then arrival.

    `rows` float64[n, columns] are state rows, `entity` int64[n] their entity numbers; entity e owns
    rows[bounds[e]:bounds[e + 1]].
    """

    rows: Floats
    entity: NDArray[np.int64]
    bounds: NDArray[np.int64]

    def spans(
        self, at: NDArray[np.int64], length: float, offset: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """[low, high) of rows inside (t - offset - length, t - offset] for the rows at `at`.

        Without an offset the row itself is the last one inside: what comes later in the timeline
        at the same instant arrived later.
        """
        # One sorted key for many entities: each gets a range of its own. In whole microseconds,
        # because float64 would lose them under many entities and move events over an edge.
        times = np.rint(self.rows[:, 0] * MICRO).astype(np.int64)
        times -= times.min() if len(times) else 0
        span, skip = round(length * MICRO), round(offset * MICRO)
        reach = int(times.max(initial=0)) + span + skip + 1
        low, high = np.empty(len(at), np.int64), at + 1
        # No key may pass int64: over many years it takes a few thousand entities to get there.
        most, n = max(LARGEST_KEY // reach, 1), len(self.bounds) - 1
        for first in range(0, n, most):
            begin, past = self.bounds[first], self.bounds[min(first + most, n)]
            key = times[begin:past] + (self.entity[begin:past] - first) * reach
            mine = (begin <= at) & (at < past)
            end = key[at[mine] - begin] - skip
            low[mine] = begin + np.searchsorted(key, end - span, "right")
            if offset != 0.0:
                high[mine] = begin + np.searchsorted(key, end, "right")
        return np.maximum(low, self.bounds[self.entity[at]]), np.maximum(high, low)


SLICE = 20_000


def aggregate_many(
    timeline: Timeline, at: NDArray[np.int64], wanted: Sequence[Aggregate]
) -> Floats:
    """float64[len(at), len(wanted)]: the aggregates as of each row named by `at`."""
    found = np.empty((len(at), len(wanted)))
    spans: dict[tuple[float, float], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for j, want in enumerate(wanted):
        key = (want.length, want.offset)
        if key not in spans:
            spans[key] = timeline.spans(at, want.length, want.offset)
        low, high = spans[key]
        if want.offset == 0.0 and not want.include_current:
            high = high - 1
        if want.how == "count":
            found[:, j] = high - low
            continue
        if want.is_risk:
            found[:, j] = _risk(timeline.rows, want, timeline.rows[at, 0], low, high)
            continue
        for first in range(0, len(at), SLICE):
            part = slice(first, first + SLICE)
            found[part, j] = _reduce(want.how, timeline.rows[:, want.column], low[part], high[part])
    return found


def _risk(
    rows: Floats, want: Aggregate, now: Floats, low: NDArray[np.int64], high: NDArray[np.int64]
) -> Floats:
    """What is known as fraud at `now` among rows[low:high]; see `aggregates.RISKS`."""
    since, until = rows[:, want.column], rows[:, want.column + 1]
    if want.how == "newest_risk":
        newest = np.maximum(high - 1, 0)
        return ((high > low) & (since[newest] <= now) & (now < until[newest])).astype(np.float64)
    # Only rows ever marked are looked at: there are few.
    marked = np.flatnonzero(~np.isnan(since))
    first, last = np.searchsorted(marked, low), np.searchsorted(marked, high)
    lengths = last - first
    owner = np.repeat(np.arange(len(low)), lengths)
    starts = np.cumsum(lengths) - lengths
    seen = marked[np.arange(len(owner)) - starts[owner] + first[owner]]
    known = (since[seen] <= now[owner]) & (now[owner] < until[seen])
    if want.how == "since_risk":
        longest = np.full(len(low), want.length + want.offset)
        longest[owner[known][::-1]] = (now[owner] - rows[seen, 0])[known][::-1]
        return longest
    share: Floats = np.bincount(owner[known], minlength=len(low)) / np.maximum(high - low, 1)
    return share


def _reduce(how: str, column: Floats, low: NDArray[np.int64], high: NDArray[np.int64]) -> Floats:
    """One aggregate of column[low:high] for many spans; cost is the spans' total length."""
    lengths = high - low
    owner = np.repeat(np.arange(len(low)), lengths)
    starts = np.cumsum(lengths) - lengths
    values = column[np.arange(len(owner)) - starts[owner] + low[owner]]
    known = ~np.isnan(values)
    owner, values = owner[known], values[known]
    n = np.bincount(owner, minlength=len(low))
    if how == "distinct":
        return _distinct(owner, values, len(low))
    if how == "changes":
        moved = (owner[1:] == owner[:-1]) & (values[1:] != values[:-1])
        return np.bincount(owner[1:][moved], minlength=len(low)).astype(float)
    if how in ("min", "max"):
        empty = np.inf if how == "min" else -np.inf
        extreme = np.full(len(low), empty)
        (np.minimum if how == "min" else np.maximum).at(extreme, owner, values)
        return np.where(n > 0, extreme, np.nan)
    total: Floats = np.bincount(owner, values, minlength=len(low)).astype(np.float64, copy=False)
    if how == "sum":
        return total
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        if how == "mean":
            return mean
        away = values - mean[owner]
        squares = np.bincount(owner, away * away, minlength=len(low))
        deviation = np.sqrt(squares / n)
        return np.where(deviation > NO_SPREAD * np.abs(mean), deviation, 0.0)


def _distinct(owner: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """How many different values each owner has."""
    order = np.lexsort((values, owner))
    owner, values = owner[order], values[order]
    new = np.ones(len(owner), bool)
    new[1:] = (owner[1:] != owner[:-1]) | (values[1:] != values[:-1])
    return np.bincount(owner[new], minlength=n).astype(float)
