"""How long an alert takes: learnt from the stays of analysts on alerts that they finished.

No Django. Handling time of one alert is the sum of the stays on it; a stay that lasts longer than
IDLE counts as IDLE, because somebody went for coffee. The estimate for a cell (detector, level, how
many events) is the median there, drawn towards the estimate of the wider cell around it as n alerts
against PULL: wider * (median / wider) ** (n / (n + PULL)). Wider means without the events, then
without the level, then over all detectors, and at the top PRIOR. One alert that took all day moves
a median by one place. Three alerts, alike, of a new detector move the estimate of their cell a
fifth of the way from the overall one to theirs (of the logarithms), thirty four fifths.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

IDLE: Final = 15 * 60.0
"""Seconds that one stay counts at most."""
SHORTEST: Final = 0.25
LONGEST: Final = 60.0
"""Bounds of an estimate, minutes."""
PRIOR: Final = 3.0
"""Minutes an alert takes as long as nothing is known."""
PULL: Final = 40.0
"""How many alerts the wider cell weighs as much as."""
SIZES: Final = (2, 5, 20)
"""An alert of at least this many events is one size larger."""

Cell = tuple[int | None, int | None, int | None]
"""(detector, level, size); None stands for all."""


@dataclass(frozen=True, slots=True)
class Handled:
    """One finished alert: whose detector, how grave, of how many events, seconds spent on it."""

    detector: int
    level: int
    events: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Minutes, and the number of alerts of this very cell behind it."""

    minutes: float
    alerts: int


def size_of(events: int) -> int:
    """0 for a single event, 1 from 2 events on, 2 from 5, 3 from 20."""
    return sum(events >= least for least in SIZES)


def seconds_spent(stays: Iterable[float]) -> float:
    """Seconds on one alert from its stays, each counted up to IDLE; a negative one counts as 0."""
    return sum(min(max(stay, 0.0), IDLE) for stay in stays)


def bounded(minutes: float) -> float:
    """Minutes inside SHORTEST and LONGEST."""
    return min(max(minutes, SHORTEST), LONGEST)


def estimate(handled: Iterable[Handled]) -> dict[Cell, Estimate]:
    """Minutes for every cell that has an alert, and for the widest one in any case."""
    logs: dict[Cell, list[float]] = defaultdict(list)
    for one in handled:
        taken = math.log(bounded(one.seconds / 60.0))
        for cell in _cells(one.detector, one.level, size_of(one.events)):
            logs[cell].append(taken)
    found: dict[Cell, Estimate] = {}
    for cell in sorted(logs.keys() | {(None, None, None)}, key=_width):
        wider = found.get(_wider(cell), Estimate(PRIOR, 0)).minutes
        own = logs[cell]
        part = len(own) / (len(own) + PULL)
        moved = part * (median(own) - math.log(wider)) if own else 0.0
        found[cell] = Estimate(bounded(wider * math.exp(moved)), len(own))
    return found


def predict(minutes: Mapping[Cell, float], detector: int, level: int, events: int) -> float:
    """Minutes that an alert will take: the narrowest cell that is known, else PRIOR."""
    for cell in _cells(detector, level, size_of(events)):
        if cell in minutes:
            return bounded(minutes[cell])
    return PRIOR


def loss_per_minute(expected_loss: float, recoverability: float, minutes: float) -> float:
    """What a minute of an analyst saves: chance x amount at risk x what can be saved / minutes."""
    return expected_loss * recoverability / minutes


def _cells(detector: int, level: int, size: int) -> tuple[Cell, ...]:
    """From the narrowest to the widest."""
    return (
        (detector, level, size), (detector, level, None), (detector, None, None),
        (None, None, None),
    )  # fmt: skip


def _wider(cell: Cell) -> Cell:
    detector, level, size = cell
    if size is not None:
        return (detector, level, None)
    return (detector, None, None) if level is not None else (None, None, None)


def _width(cell: Cell) -> int:
    """Wide cells first: a narrow one leans on them."""
    return sum(part is not None for part in cell)
