"""Per-entity window state: what happened to one entity lately, read in event time.

Two ways to the same numbers. `EntityWindow.aggregate` answers for one event in time that depends
only on what lies inside the longest window; `timelines.aggregate_many` answers for whole columns of
events. Both read the window (t - offset - length, t - offset].

The state is a table with one row per event, oldest first: column 0 holds times (seconds since
1970, UTC), the others the values that the detector's windows read (NaN when an event lacks one;
categories as stable codes). What is older than `horizon` before the newest row is forgotten.
"""

import math
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import le

import numpy as np

from scoring.core.aggregates import Aggregate, Reading, summarise_few, summarise_many
from scoring.core.types import Floats

Columns = list[list[float]]
FORMAT = 1
HEADER = struct.Struct("<HHI")
SHORT = 200
"""Rows up to which a window is held as columns: numpy's cost per call meets plain Python's cost
per row there (measured over the shipped detectors' windows: between 150 and 250)."""
FEW = 60
"""Values of one span up to which plain Python is faster than numpy."""


class WindowStateError(ValueError):
    """Stored window state that was written for other columns, or is damaged."""


class EntityWindow:
    """One entity's recent events; what learns is a new window.

    Held as rows float64[n, columns] or as columns (lists of n numbers), oldest first; the other
    form is made when it is asked for. Up to SHORT rows the columns are used. What a long window
    learnt last joins its rows when these are next read: mostly only the tail is asked for.
    `tail` holds, as bytes, the rows that the stored base lacks, in order of arrival; None where
    there is no such base, and the window is stored whole (docs/adr/0013).
    """

    __slots__ = ("_columns", "_learnt", "_rows", "tail")

    def __init__(
        self,
        rows: Floats | None = None,
        tail: bytes | None = None,
        *,
        columns: Columns | None = None,
        learnt: tuple[Floats, float] | None = None,
    ) -> None:
        self._rows = rows
        self._columns = columns
        self._learnt = learnt  # A row to join `rows`, and the horizon to forget by.
        self.tail = tail

    @classmethod
    def empty(cls, columns: int) -> "EntityWindow":
        """No events yet; `columns` counts the time column too."""
        return cls(columns=[[] for _ in range(columns)])

    @classmethod
    def from_bytes(
        cls, base: bytes, tail: bytes = b"", *, columns: int, signature: int
    ) -> "EntityWindow":
        """Read what `to_bytes` wrote, and a tail. Raises WindowStateError when they are not for
        these columns."""
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
        rows = np.frombuffer(base + tail, "<f8", offset=HEADER.size).reshape(-1, columns)
        if len(rows) > SHORT:
            return cls(_in_time_order(rows, max(body // row, 1)) if tail else rows, tail)
        found: Columns = rows.T.tolist()
        return cls(None, tail, columns=_columns_in_time_order(found) if tail else found)

    def __len__(self) -> int:
        return len(self.rows) if self._columns is None else len(self._columns[0])

    @property
    def rows(self) -> Floats:
        """float64[n, columns], oldest first."""
        if self._rows is None:
            self._rows = np.array(self._columns, float).T
        if self._learnt is not None:
            row, horizon = self._learnt
            place = int(self._rows[:, 0].searchsorted(row[0], "right"))
            grown = np.concatenate((self._rows[:place], row[None, :], self._rows[place:]))
            self._rows, self._learnt = prune(grown, horizon), None
        return self._rows

    @property
    def columns(self) -> Columns:
        """The same numbers, column by column."""
        if self._columns is None:
            self._columns = self.rows.T.tolist()
        return self._columns

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
        if len(self) > SHORT:
            return self._aggregate_long(reading, at, current)
        columns = self.columns
        times = columns[0]
        edges = [bisect_right(times, at - reach) for reach in reading.reach]
        found = [0.0] * reading.size
        for low, high, with_current, place in reading.counts:
            found[place] = float(edges[high] - edges[low] + with_current)
        for column, spans in reading.columns:
            values = columns[column]
            for low, high, with_current, hows, places in spans:
                inside = values[edges[low] : edges[high]]
                if with_current:
                    inside.append(float(current[column]))
                for place, result in zip(places, summarise_few(hows, inside), strict=True):
                    found[place] = result
        for low, high, column, how, place in reading.risks:
            begin, end = edges[low], edges[high]
            marks = zip(columns[column][begin:end], columns[column + 1][begin:end], strict=True)
            known = [since <= at < until for since, until in marks]
            if how == "risk":
                found[place] = sum(known) / len(known) if known else 0.0
            elif how == "newest_risk":
                found[place] = float(known[-1]) if known else 0.0
            else:
                first = known.index(True) if True in known else -1
                found[place] = reading.reach[low] if first < 0 else at - times[begin + first]
        return found

    def _aggregate_long(
        self, reading: Reading, at: float, current: Sequence[float] | Floats
    ) -> list[float]:
        """For many rows: numpy finds the spans and takes the columns, the event's values behind;
        short spans are parts of one list of a column's newest values."""
        rows = self.rows
        edges = rows[:, 0].searchsorted(at - reading.reaches, "right").tolist()
        first, past = min(edges), edges[0]
        taken = np.empty((rows.shape[1], past - first + 1))
        taken[:, :-1] = rows[first:past].T
        taken[:, -1] = current
        newest = max(past - FEW, first)
        found = [0.0] * reading.size
        for low, high, with_current, place in reading.counts:
            found[place] = float(edges[high] - edges[low] + with_current)
        for column, spans in reading.columns:
            values = taken[column]
            few: list[float] = []
            for low, high, with_current, hows, places in spans:
                begin, end = edges[low], edges[high] + with_current
                if begin >= newest:
                    few = few or values[newest - first :].tolist()
                    results = summarise_few(hows, few[begin - newest : end - newest])
                elif end - begin > FEW:
                    results = summarise_many(hows, values[begin - first : end - first])
                else:
                    results = summarise_few(hows, values[begin - first : end - first].tolist())
                for place, result in zip(places, results, strict=True):
                    found[place] = result
        for low, high, column, how, place in reading.risks:
            span = rows[edges[low] : edges[high]]
            known = (span[:, column] <= at) & (at < span[:, column + 1])
            if how == "risk":
                found[place] = np.count_nonzero(known) / len(known) if len(known) else 0.0
            elif how == "newest_risk":
                found[place] = float(known[-1]) if len(known) else 0.0
            else:
                some = known.any()
                found[place] = float(at - span[known.argmax(), 0]) if some else reading.reach[low]
        return found

    def last_time(self, at: float) -> float:
        """Time of the newest event not after `at`; NaN when there is none."""
        times = self.columns[0] if len(self) <= SHORT else self.rows[:, 0]
        place = bisect_right(times, at)
        return float(times[place - 1]) if place else math.nan

    def values(self, column: int, at: float) -> Floats | list[float]:
        """Known values of one column up to `at`, oldest first."""
        if len(self) <= SHORT:
            found = self.columns[column][: bisect_right(self.columns[0], at)]
            return [value for value in found if value == value]
        part = self.rows[: int(self.rows[:, 0].searchsorted(at, "right")), column]
        return part[~np.isnan(part)]

    def mark(self, ident: float, column: int, since: float, until: float) -> "EntityWindow":
        """A window whose event `ident` (in the column before `column`) is known as fraud between
        two times; the same window when the event is not, or no longer, in it."""
        found = np.flatnonzero(self.rows[:, column - 1] == ident)
        if not len(found):
            return self
        rows = self.rows.copy()
        rows[found, column : column + 2] = since, until
        return EntityWindow(rows)

    def learn(self, current: Sequence[float] | Floats, *, horizon: float) -> "EntityWindow":
        """A window that also holds `current`, without what is older than `horizon` seconds."""
        values = current.tolist() if isinstance(current, np.ndarray) else current
        tail = None if self.tail is None else self.tail + struct.pack(f"<{len(values)}d", *values)
        if len(self) >= SHORT:
            return EntityWindow(self.rows, tail, learnt=(np.array(values), horizon))
        times = self.columns[0]
        place = bisect_right(times, values[0])
        oldest = (times[-1] if place < len(times) else values[0]) - horizon
        first = bisect_left(times, oldest)
        if values[0] < oldest:  # So late that it is forgotten at once.
            columns = [column[first:] for column in self.columns]
        else:
            columns = [
                [*column[first:place], value, *column[place:]]
                for column, value in zip(self.columns, values, strict=True)
            ]
        return EntityWindow(None, tail, columns=columns)

    def grown(self, rows: Floats, learnt: bytes) -> "EntityWindow":
        """A window of `rows`, which are this one's and those `learnt` since, in time order.

        `learnt` as `packed` gives them.
        """
        return EntityWindow(rows, None if self.tail is None else self.tail + learnt)

    def pruned(self, horizon: float) -> "EntityWindow":
        """Without what is older than `horizon` seconds before the newest row.

        Base and tail keep such rows in the store until they are merged; who reads prunes again.
        """
        if self._columns is None:
            rows = prune(self.rows, horizon)
            return self if rows is self.rows else EntityWindow(rows, self.tail)
        times = self._columns[0]
        first = bisect_left(times, times[-1] - horizon) if times else 0
        if not first:
            return self
        return EntityWindow(None, self.tail, columns=[column[first:] for column in self._columns])

    def thinned(self, whole: float) -> "EntityWindow":
        """A base of what is still read: the rows of the last `whole` seconds, and the newest before
        them, which tells the time since the last event. The newest SHORT rows in any case.
        """
        if len(self) <= SHORT:
            return self
        first = int(self.rows[:, 0].searchsorted(self.rows[-1, 0] - whole, "left")) - 1
        return EntityWindow(self.rows[max(min(first, len(self) - SHORT), 0) :])


def packed(rows: Floats) -> bytes:
    """Rows as little-endian float64."""
    return np.ascontiguousarray(rows, "<f8").tobytes()


def _in_time_order(rows: Floats, ordered: int) -> Floats:
    """Sorted by time; at one instant in the order given: the base, then order of arrival.

    The first `ordered` rows, at least one, are the base, which is in order."""
    times = rows[ordered - 1 :, 0]
    if (times[1:] >= times[:-1]).all():
        return rows
    return rows.take(rows[:, 0].argsort(kind="stable"), axis=0)


def _columns_in_time_order(columns: Columns) -> Columns:
    """As `_in_time_order`."""
    times = columns[0]
    if all(map(le, times, times[1:])):
        return columns
    order = sorted(range(len(times)), key=times.__getitem__)
    return [[column[i] for i in order] for column in columns]


def prune(rows: Floats, horizon: float) -> Floats:
    """Rows (in time order) without those older than `horizon` before the newest."""
    if len(rows) == 0 or rows[0, 0] >= rows[-1, 0] - horizon:
        return rows
    first = int(rows[:, 0].searchsorted(rows[-1, 0] - horizon, "left"))
    return rows[first:]
