"""Look every day and be wrong no more often than promised: an always-valid test of paired losses.

A test that is right 95 times in 100 when it is done once is wrong far more often when it is done
daily until it says yes. Here the promise holds for all looks together, whenever they are taken.

For paired differences d with sum S and sum of squares V, exp(l * S - l * l * V / 2) is a
supermartingale for every l where the signs of d are fair coins (de la Pena, Annals of Probability
27, 1999), which is so for two equally good models, however heavy the tails of money are. Mixing
over positive l with a half-normal of precision rho gives one test that is never wrong more often
than alpha, at any number of looks (the one-sided normal mixture of Howard, Ramdas, McAuliffe and
Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49,
2021). Where differences are skewed it holds in the limit, as a confidence sequence of the mean
(Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 52, 2024).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ALPHA: Final = 0.05
"""At most this share of challengers that are no better is ever called better."""
TIGHT_AT_DAYS: Final = 4.0
"""The sequence is tightest when it has seen this many times the first day's information."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sequence:
    """What all looks so far together say of a mean paired difference.

    `low` and `high`: each bounds the mean with confidence 1 - alpha at every look; NaN before
    there was any difference. `units` are the paired differences that were not 0.
    """

    mean: float
    low: float
    high: float
    units: int
    alpha: float = ALPHA

    @property
    def is_above(self) -> bool:
        """The mean lies surely above 0."""
        return self.low > 0.0

    @property
    def is_below(self) -> bool:
        """The mean lies surely below 0."""
        return self.high < 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def boundary(v: float, rho: float, alpha: float = ALPHA) -> float:
    """What the sum of differences with sum of squares `v` passes, at any look, with chance alpha.

    The closed form of the one-sided normal mixture (Howard et al. 2021, section 3.2).
    """
    return sqrt(2.0 * (v + rho) * log(1.0 + sqrt((v + rho) / rho) / (2.0 * alpha)))


@dataclass(frozen=True, slots=True)
class DayTotals:
    """What one day adds to a sequence, so that it may be kept when its rows are forgotten.

    `gained` is the sum of the paired differences of the day's units, `squares` the sum of their
    squares, `units` how many were not 0; `events` is the number (or weight) of its events.
    """

    gained: float
    squares: float
    units: int
    events: float


def totals_by_day(
    differences: FloatArray, days: NDArray[Any], *, events: Mapping[int, float]
) -> dict[int, DayTotals]:
    """The totals of each day in `events` (day to number or weight of events).

    `differences` float64[n], one per independent unit, are of the `days` int64[n].
    """
    place, unit = np.unique(days, return_inverse=True)
    sums = {
        name: dict(zip(place.tolist(), np.bincount(unit, weights=w).tolist(), strict=True))
        for name, w in (
            ("gained", differences),
            ("squares", differences**2),
            ("units", (differences != 0.0).astype(np.float64)),
        )
    }
    return {
        day: DayTotals(
            gained=sums["gained"].get(day, 0.0),
            squares=sums["squares"].get(day, 0.0),
            units=int(sums["units"].get(day, 0)),
            events=float(number),
        )
        for day, number in events.items()
    }


def sequence_of_days(days: Mapping[int, DayTotals], *, alpha: float = ALPHA) -> Sequence:
    """The sequence after all `days`, by their number in time.

    The first day with a difference sets the scale (a choice that depends on sizes alone, not on
    signs, so the promise stands), and has to stay the first at every look.
    """
    moved = [day for day in sorted(days) if days[day].units]
    total = sum(day.events for day in days.values())
    if not moved or total <= 0:
        return Sequence(0.0, float("nan"), float("nan"), 0, alpha)
    squares = sum(days[day].squares for day in moved)
    rho = TIGHT_AT_DAYS * days[moved[0]].squares
    width = boundary(squares, rho, alpha)
    gained = sum(days[day].gained for day in moved)
    return Sequence(
        mean=gained / total,
        low=(gained - width) / total,
        high=(gained + width) / total,
        units=sum(days[day].units for day in moved),
        alpha=alpha,
    )


def sequence_of(
    differences: FloatArray, days: NDArray[Any], *, total: float, alpha: float = ALPHA
) -> Sequence:
    """The sequence after all `differences` float64[n], one per independent unit.

    `days` [n] orders them. `total` is the number of events that the mean is taken over, units
    without a difference included.
    """
    present = np.unique(days).tolist()
    # Which day the events are of makes no difference to their sum.
    events = {day: total / len(present) for day in present}
    return sequence_of_days(totals_by_day(differences, days, events=events), alpha=alpha)


def per_unit(
    values: FloatArray, entities: NDArray[Any], days: NDArray[Any]
) -> tuple[FloatArray, NDArray[Any]]:
    """(sums, days): `values` [n] added up by entity and day, in order of the days.

    The events of one entity on one day are not independent; together they are one unit.
    """
    if values.size == 0:
        return np.zeros(0), np.zeros(0, np.int64)
    entity = np.unique(entities, return_inverse=True)[1].astype(np.int64)
    day, place = np.unique(days, return_inverse=True)
    key = place.astype(np.int64) * (int(entity.max()) + 1) + entity
    keys, unit = np.unique(key, return_inverse=True)
    sums = np.bincount(unit, weights=values, minlength=keys.size)
    return sums.astype(np.float64), day[keys // (int(entity.max()) + 1)]
