"""Per-entity window state: what happened to one entity lately, read in event time.

Two ways to the same numbers. `EntityWindow.aggregate` answers for one event in time that depends
only on what lies inside the longest window; `aggregate_many` answers for whole columns of events,
for training and imports. Both read the window (t - offset - length, t - offset]; both add numbers
from left to right in time order, so they agree to rounding.

The state is a table with one row per event, oldest first: column 0 holds times (seconds since
1970, UTC), the others the values that the detector's windows read (NaN when an event lacks one;
categories as stable codes). What is older than `horizon` before the newest row is forgotten.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul, ne
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.core.types import Floats

FORMAT = 1
HEADER = struct.Struct("<HHI")
MICRO = 1e6
SHORT = 500
"""Rows up to which plain Python is faster than numpy's cost per call (measured: sums and distinct
counts meet past 600 rows, extremes and deviations near 150)."""


class WindowStateError(ValueError):
    """Stored window state that was written for other columns, or is damaged."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One number over one window. `column` is a state column (1-based; 0 for count)."""

    how: str
    column: int
    length: float
    offset: float = 0.0
    include_current: bool = True

    @property
    def is_risk(self) -> bool:
        """Share of the window's events that are known as fraud by now (0 in an empty window).

        `column` holds the time from which the event was known as fraud, the next one the time until
        which it was; both NaN for an event never taken for fraud.
        """
        return self.how == "risk"


def summarise(how: str, values: Floats, count: int) -> float:
    """One aggregate over the `values` inside a window that holds `count` events.

    An empty window gives 0, except the mean, minimum and maximum, which are unknown (NaN).
    """
    if how == "count":
        return float(count)
    known = values[~np.isnan(values)] if np.isnan(values).any() else values
    n = len(known)
    if how == "sum":
        return float(known.sum())
    if how == "distinct":
        return float(len(set(known.tolist())))
    if how == "changes":
        return float(np.count_nonzero(known[1:] != known[:-1]))
    if n == 0:
        return np.nan if how != "std" else 0.0
    if how == "mean":
        return float(known.sum()) / n
    if how == "min":
        return float(known.min())
    if how == "max":
        return float(known.max())
    away = known - float(known.sum()) / n
    return float(np.sqrt(float((away * away).sum()) / n))


def _summarise_short(hows: Sequence[str], values: list[float]) -> list[float]:
    """Several aggregates over a few values: plain Python beats numpy's cost per call.

    The same numbers as `summarise`; the sum is made once for all that need it.
    """
    total = sum(values)
    if total != total:  # A NaN among them: an event without this value.
        values = [value for value in values if value == value]
        total = sum(values)
    n = len(values)
    found: list[float] = []
    for how in hows:
        if how == "sum":
            found.append(float(total))
        elif how == "distinct":
            found.append(float(len(set(values))))
        elif how == "changes":
            found.append(float(sum(map(ne, values, values[1:]))))
        elif n == 0:
            found.append(0.0 if how == "std" else math.nan)
        elif how == "mean":
            found.append(total / n)
        elif how == "std":
            mean = total / n
            away = [value - mean for value in values]
            found.append(math.sqrt(sum(map(mul, away, away)) / n))
        else:
            found.append(min(values) if how == "min" else max(values))
    return found


class Reading:
    """Aggregates compiled for reading one event: each span found once, each column taken once.

    `reach` float64[k] are distances back from the event's time; the first is 0. `groups` name the
    spans by their place in `reach`: (from, to, with the event itself, column, aggregates, places);
    `risks` are (from, to, column, place).
    """

    __slots__ = ("columns", "groups", "reach", "risks", "size")

    def __init__(self, wanted: Sequence[Aggregate]) -> None:
        reach: dict[float, int] = {0.0: 0}
        groups: dict[tuple[int, int, bool, int], tuple[list[str], list[int]]] = {}
        risks: list[tuple[int, int, int, int]] = []
        for place, want in enumerate(wanted):
            low = reach.setdefault(want.offset + want.length, len(reach))
            high = reach.setdefault(want.offset, len(reach))
            if want.is_risk:
                risks.append((low, high, want.column, place))
                continue
            current = want.include_current and want.offset == 0.0
            column = 0 if want.how == "count" else want.column
            hows, places = groups.setdefault((low, high, current, column), ([], []))
            hows.append(want.how)
            places.append(place)
        self.reach = np.array(list(reach))
        self.risks = tuple(risks)
        self.groups = tuple((*key, *group) for key, group in groups.items())
        self.columns = tuple(dict.fromkeys(key[3] for key in groups if key[3]))
        self.size = len(wanted)


class EntityWindow:
    """The recent events of one entity. Rows are kept in time order; late events fit in.

    Stored as a base and a tail, so that an event need not write all rows anew: `tail` holds, in
    order of arrival, the rows that the stored base lacks; None when there is no such base.
    """

    __slots__ = ("rows", "tail")

    def __init__(self, rows: Floats, tail: Floats | None = None) -> None:
        self.rows = rows
        self.tail = tail

    @classmethod
    def empty(cls, columns: int) -> "EntityWindow":
        """No events yet; `columns` counts the time column too."""
        return cls(np.empty((0, columns)))

    @classmethod
    def from_bytes(
        cls, base: bytes, tail: bytes = b"", *, columns: int, signature: int
    ) -> "EntityWindow":
        """Read what `to_bytes` wrote, and a `packed` tail. Raises WindowStateError when they are
        not for these columns."""
        body, row = len(base) - HEADER.size, 8 * columns
        if (
            body < 0
            or body % row
            or len(tail) % row
            or HEADER.unpack_from(base) != (FORMAT, columns, signature)
        ):
            raise WindowStateError(
                "The stored windows were kept for other columns; run `rebuild_windows`."
            )
        rows = np.frombuffer(base, "<f8", offset=HEADER.size).reshape(-1, columns)
        fresh = np.frombuffer(tail, "<f8").reshape(-1, columns)
        return cls(_in_time_order(rows, fresh) if len(fresh) else rows, fresh)

    def to_bytes(self, *, signature: int) -> bytes:
        """All rows as a base: a header of 8 bytes, then little-endian float64."""
        return HEADER.pack(FORMAT, self.rows.shape[1], signature) + packed(self.rows)

    def aggregate(
        self, wanted: Sequence[Aggregate] | Reading, at: float, current: Sequence[float] | Floats
    ) -> list[float]:
        """The aggregates as of time `at` for the event `current` (one state row).

        Who asks often compiles `wanted` into a Reading once.
        """
        reading = wanted if isinstance(wanted, Reading) else Reading(wanted)
        edges = np.searchsorted(self.rows[:, 0], at - reading.reach, "right").tolist()
        first, past = min(edges), edges[0]
        short = past - first <= SHORT
        columns: dict[int, Any] = {}
        for column in reading.columns:
            values = self.rows[first:past, column]
            now = float(current[column])
            columns[column] = [*values.tolist(), now] if short else np.append(values, now)
        found = [0.0] * reading.size
        for low, high, with_current, column, hows, places in reading.groups:
            begin, end = edges[low], edges[high] + with_current
            if column == 0:
                results = [float(end - begin)] * len(places)
            elif short:
                results = _summarise_short(hows, columns[column][begin - first : end - first])
            else:
                inside = columns[column][begin - first : end - first]
                results = [summarise(how, inside, end - begin) for how in hows]
            for place, result in zip(places, results, strict=True):
                found[place] = result
        for low, high, column, place in reading.risks:
            span = self.rows[edges[low] : edges[high], column : column + 2]
            if len(span):
                known = np.count_nonzero((span[:, 0] <= at) & (at < span[:, 1]))
                found[place] = known / len(span)
        return found

    def last_time(self, at: float) -> float:
        """Time of the newest event not after `at`; NaN when there is none."""
        place = int(np.searchsorted(self.rows[:, 0], at, "right"))
        return float(self.rows[place - 1, 0]) if place else np.nan

    def values(self, column: int, at: float) -> Floats:
        """Known values of one column up to `at`, oldest first."""
        place = int(np.searchsorted(self.rows[:, 0], at, "right"))
        found = self.rows[:place, column]
        return found[~np.isnan(found)]

    def mark(self, ident: float, column: int, since: float, until: float) -> "EntityWindow":
        """A window whose event `ident` (in the column before `column`) is known as fraud between
        two times; the same window when the event is not, or no longer, in it."""
        found = np.flatnonzero(self.rows[:, column - 1] == ident)
        if not len(found):
            return self
        rows = self.rows.copy()
        rows[found, column : column + 2] = since, until
        return EntityWindow(rows)

    def learn(self, current: Floats, *, horizon: float) -> "EntityWindow":
        """A window that also holds `current`, without what is older than `horizon` seconds."""
        place = int(np.searchsorted(self.rows[:, 0], current[0], "right"))
        rows = np.concatenate((self.rows[:place], current[None, :], self.rows[place:]))
        return self.grown(rows, current[None, :]).pruned(horizon)

    def grown(self, rows: Floats, learnt: Floats) -> "EntityWindow":
        """A window of `rows`, which are this one's and those `learnt` since, in time order."""
        tail = self.tail
        return EntityWindow(rows, None if tail is None else np.concatenate((tail, learnt)))

    def pruned(self, horizon: float) -> "EntityWindow":
        """Without what is older than `horizon` seconds before the newest row.

        Base and tail keep such rows in the store until they are merged; who reads prunes again.
        """
        return EntityWindow(prune(self.rows, horizon), self.tail)


def packed(rows: Floats) -> bytes:
    """Rows as little-endian float64."""
    return np.ascontiguousarray(rows, "<f8").tobytes()


def _in_time_order(base: Floats, tail: Floats) -> Floats:
    """All rows; at one instant the base comes first, then order of arrival."""
    rows = np.concatenate((base, tail))
    times = rows[:, 0]
    if (times[1:] >= times[:-1]).all():
        return rows
    return rows[np.argsort(times, kind="stable")]


def prune(rows: Floats, horizon: float) -> Floats:
    """Rows (in time order) without those older than `horizon` before the newest."""
    if len(rows) == 0:
        return rows
    first = int(np.searchsorted(rows[:, 0], rows[-1, 0] - horizon, "left"))
    return rows[first:]


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
        # One sorted key for all entities: each gets a range of its own. In whole microseconds,
        # because float64 would lose them under many entities and move events over an edge.
        times = np.rint(self.rows[:, 0] * MICRO).astype(np.int64)
        start = times.min() if len(times) else 0
        span, skip = round(length * MICRO), round(offset * MICRO)
        reach = (times.max() - start if len(times) else 0) + span + skip + 1
        key = times - start + self.entity * reach
        end = key[at] - skip
        low = np.searchsorted(key, end - span, "right")
        high = at + 1 if offset == 0.0 else np.searchsorted(key, end, "right")
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
            found[:, j] = _risk(timeline.rows, want.column, timeline.rows[at, 0], low, high)
            continue
        for first in range(0, len(at), SLICE):
            part = slice(first, first + SLICE)
            found[part, j] = _reduce(want.how, timeline.rows[:, want.column], low[part], high[part])
    return found


def _risk(
    rows: Floats, column: int, now: Floats, low: NDArray[np.int64], high: NDArray[np.int64]
) -> Floats:
    """Share of rows[low:high] known as fraud at `now`; only rows ever marked are looked at."""
    marked = np.flatnonzero(~np.isnan(rows[:, column]))
    first, last = np.searchsorted(marked, low), np.searchsorted(marked, high)
    lengths = last - first
    owner = np.repeat(np.arange(len(low)), lengths)
    starts = np.cumsum(lengths) - lengths
    seen = marked[np.arange(len(owner)) - starts[owner] + first[owner]]
    known = (rows[seen, column] <= now[owner]) & (now[owner] < rows[seen, column + 1])
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
        return np.where(n > 0, np.sqrt(squares / n), 0.0)


def _distinct(owner: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """How many different values each owner has."""
    order = np.lexsort((values, owner))
    owner, values = owner[order], values[order]
    new = np.ones(len(owner), bool)
    new[1:] = (owner[1:] != owner[:-1]) | (values[1:] != values[:-1])
    return np.bincount(owner[new], minlength=n).astype(float)
