"""What fraud scenarios have in common: their share, their pace and when the truth comes out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.draws import Columns, Floats
from scoring.simulation.geography import DAY_MS

FRAUD_SHARE: Final = 0.012  # of all events of a history
LIVE_FRAUD_SHARE: Final = 0.025  # of a live stream: something to see within minutes
LIVE_WAIT: Final = 0.05  # the first campaign of a live stream comes soon
LIVE_LONGEST_MS: Final = 20 * 60_000  # a live campaign is squeezed into this span


@dataclass(frozen=True, slots=True)
class LabelDelay:
    """A lognormal delay: half of the truths are known after `median_hours`."""

    median_hours: float
    spread: float
    least_hours: float = 0.05

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Delays in milliseconds, all positive."""
        hours = self.median_hours * np.exp(rng.normal(0.0, self.spread, size))
        return np.asarray(np.maximum(hours, self.least_hours) * 3_600_000, dtype=np.int64)


# A payment that nobody disputes counts as legitimate once the usual time of complaints is over.
UNDISPUTED: Final = LabelDelay(median_hours=7 * 24.0, spread=0.15)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to defraud.  `share` is its part of all fraudulent events, `mean_events` the
    expected number of fraudulent events of one campaign; `make(t_ms, rng)` draws a campaign."""

    name: str
    share: float
    mean_events: float
    delay: LabelDelay
    make: Callable[[Any, int, np.random.Generator], Columns]


def spread_over(t_ms: int, hours: float, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`size` sorted times within `hours` of `t_ms`."""
    return np.sort(t_ms + (rng.random(size) * hours * 3_600_000).astype(np.int64))


def in_bursts(t_ms: int, seconds: float, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`size` times one after another, `seconds` apart on average."""
    gaps = rng.exponential(seconds, size) + 1.0
    return np.asarray(t_ms + np.cumsum(gaps) * 1000.0, dtype=np.int64)


def squeeze(table: Columns, t_ms: int, longest_ms: int) -> Columns:
    """Begin a campaign at `t_ms` and shorten it to `longest_ms` without changing its shape."""
    first, last = int(table["t"].min()), int(table["t"].max())
    factor = min(1.0, longest_ms / max(last - first, 1))
    offset = (table["t"] - first).astype(np.float64) * factor
    return {**table, "t": t_ms + offset.astype(np.int64)}


class Starts:
    """Decides how many campaigns of each scenario begin in a block.

    An accumulator per scenario, first filled to staggered heights, instead of Poisson draws: each
    scenario shows up in turn and the fraud rate of a short history is close to the wanted one.
    """

    def __init__(
        self, scenarios: tuple[Scenario, ...], rng: np.random.Generator, *, wait: float = 0.35
    ) -> None:
        """`wait` is how far off the very first campaign is, in sixths of a full turn."""
        self.scenarios = scenarios
        ranks = rng.permutation(len(scenarios))
        self._level: Floats = 1.0 - (ranks + wait) / len(scenarios)

    def due(self, fraud_events: float) -> list[int]:
        """Indices of the campaigns that begin, given the expected fraud events of this block."""
        out: list[int] = []
        for index, scenario in enumerate(self.scenarios):
            self._level[index] += fraud_events * scenario.share / scenario.mean_events
            while self._level[index] >= 1.0:
                self._level[index] -= 1.0
                out.append(index)
        return out


def night_ms(t_ms: int, offset_minutes: int, rng: np.random.Generator) -> int:
    """The following 01:00-05:00 of a place, in epoch milliseconds."""
    local_midnight = (t_ms + offset_minutes * 60_000) // DAY_MS * DAY_MS
    begin = local_midnight + int(rng.uniform(1.0, 5.0) * 3_600_000) - offset_minutes * 60_000
    return begin if begin >= t_ms else begin + DAY_MS
