"""What is asked of an entity's windows: aggregates, and the numbers they give for some values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul, ne
from typing import Final

import numpy as np

from scoring.core.types import Floats

RISKS: Final = ("risk", "newest_risk", "since_risk")
"""Share of the window's events that are known as fraud; whether its newest event is; seconds since
its first one that is, at most the window's far end. Without an event: 0, 0 and the far end."""


NO_SPREAD: Final = 1e-9
"""A standard deviation of this share of the mean, or less, is 0: what is left of equal values is
the rounding of their mean, and whatever is divided by that is noise."""

ONLY_DISTINCT: Final = ("distinct",)


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
        """Whether it tells of events that are known as fraud at the time of asking.

        `column` holds the time from which an event was known as fraud, the next one the time until
        which it was; both NaN for an event never taken for fraud.
        """
        return self.how in RISKS


def summarise_few(hows: Sequence[str], values: list[float]) -> list[float]:
    """Several aggregates over the `values` inside one window: plain Python beats numpy's cost per
    call. The sum is made once for all that need it.

    Without any value: 0, except the mean, minimum and maximum, which are unknown (NaN).
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
            found.append(spread_of(math.sqrt(sum(map(mul, away, away)) / n), mean))
        else:
            found.append(min(values) if how == "min" else max(values))
    return found


def spread_of(deviation: float, mean: float) -> float:
    """The standard deviation of some values; 0 where rounding alone tells them apart."""
    return deviation if deviation > NO_SPREAD * abs(mean) else 0.0


def summarise_many(hows: Sequence[str], values: Floats) -> list[float]:
    """As `summarise_few`; a thousand values are sorted faster than a set of them is made."""
    if hows == ONLY_DISTINCT:
        return [_distinct(values)]
    total = float(np.add.reduce(values))
    if total != total:
        values = values[~np.isnan(values)]
        total = float(np.add.reduce(values))
    n = len(values)
    if n == 0:
        return summarise_few(hows, [])
    found: list[float] = []
    for how in hows:
        if how == "sum":
            found.append(total)
        elif how == "distinct":
            found.append(_distinct(values))
        elif how == "changes":
            found.append(float(np.count_nonzero(values[1:] != values[:-1])))
        elif how == "mean":
            found.append(total / n)
        elif how == "std":
            mean = total / n
            away = values - mean
            found.append(spread_of(math.sqrt(float(np.add.reduce(away * away)) / n), mean))
        else:
            extreme = np.minimum if how == "min" else np.maximum
            found.append(float(extreme.reduce(values)))
    return found


def _distinct(values: Floats) -> float:
    """How many different values there are; NaN, which sorting puts last, is none."""
    ordered = values.copy()
    ordered.sort()
    if len(ordered) and ordered[-1] != ordered[-1]:
        ordered = ordered[: np.count_nonzero(ordered == ordered)]
    return float(np.count_nonzero(ordered[1:] != ordered[:-1]) + (len(ordered) > 0))


class Reading:
    """Aggregates compiled for reading one event: each span found once, each column taken once.

    `reach` are distances back from the event's time; the first is 0. Spans are named by their
    place in it. `counts` are (from, to, with the event itself, place); `columns` name each column
    with its spans: (from, to, with the event itself, aggregates, places); `risks` are
    (from, to, column, how, place).
    """

    __slots__ = ("columns", "counts", "reach", "reaches", "risks", "size")

    def __init__(self, wanted: Sequence[Aggregate]) -> None:
        reach: dict[float, int] = {0.0: 0}
        counts: list[tuple[int, int, bool, int]] = []
        columns: dict[int, dict[tuple[int, int, bool], tuple[list[str], list[int]]]] = {}
        risks: list[tuple[int, int, int, str, int]] = []
        for place, want in enumerate(wanted):
            low = reach.setdefault(want.offset + want.length, len(reach))
            high = reach.setdefault(want.offset, len(reach))
            if want.is_risk:
                risks.append((low, high, want.column, want.how, place))
                continue
            current = want.include_current and want.offset == 0.0
            if want.how == "count":
                counts.append((low, high, current, place))
                continue
            spans = columns.setdefault(want.column, {})
            hows, places = spans.setdefault((low, high, current), ([], []))
            hows.append(want.how)
            places.append(place)
        self.reach = tuple(reach)
        self.reaches = np.array(self.reach)
        self.counts = tuple(counts)
        self.columns = tuple(
            (column, tuple((*span, tuple(hows), tuple(places)) for span, (hows, places) in asked))
            for column, asked in ((column, spans.items()) for column, spans in columns.items())
        )
        self.risks = tuple(risks)
        self.size = len(wanted)
