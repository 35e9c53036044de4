"""`python -m benchmarks.guard_power`: how often the guard after a promotion rolls a worse champion
back, by how much worse it is and how many labels there are; and how often an equal one.

Each run draws what both champions did and lets the guard look LOOKS times while the new one serves
WATCHED events, by the platform's own code (models_registry.core.guard) and of what its reader hands
it (models_registry.guarding): the newest SEEN events a side, and the newest labels.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from math import exp
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ab_simulation import COSTS
from benchmarks.aims import Aim, judged
from models_registry.core import live
from models_registry.core.guard import Sample, breaches
from models_registry.core.live import decided_costs
from scoring.core.guard_spec import GuardSpec
from scoring.core.shares import wilson

SEEN, WATCHED, LOOKS = 5_000, 15_000, 30
FRAUD = 0.01
AMOUNTS = (4.0, 1.2)
"""Mean and spread of their logarithm: few are large."""


@dataclass(frozen=True)
class Champion:
    """How good one is. `latency`: factor on that of the first; `recall`: fraud that it flags;
    `alarms`: good events that it flags."""

    latency: float = 1.0
    degraded: float = 0.002
    flagged: float = 0.02
    precision: float = 0.6
    recall: float = 0.8
    alarms: float = 0.02

    def cost(self) -> float:
        """What an event costs on average."""
        missed = FRAUD * (1.0 - self.recall) * exp(AMOUNTS[0] + AMOUNTS[1] ** 2 / 2.0)
        reviewed = FRAUD * self.recall + (1.0 - FRAUD) * self.alarms
        return missed * COSTS.loss_share + reviewed * COSTS.review_cost


@dataclass(frozen=True)
class Known:
    """What the guard has of a side: events, labelled alerts, known frauds, labelled events."""

    events: int = SEEN
    alerts: int = 0
    frauds: int = 0
    labelled: int = 0


@dataclass(frozen=True)
class Cell:
    """How many of `runs` were rolled back, and the median of the new one's events until then."""

    caught: int
    runs: int
    events: int | None

    def __str__(self) -> str:
        low, high = wilson(self.caught, self.runs)
        share = 100 * self.caught / self.runs
        return f"{share:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def drawn(champion: Champion, known: Known, rng: np.random.Generator) -> Sample:
    """What a champion did, oldest first. Labelled alerts, known frauds and labelled events are
    drawn apart: each table is about one of them."""
    n = known.labelled
    bad = rng.random(n) < FRAUD
    flags = rng.random(n) < np.where(bad, champion.recall, champion.alarms)
    return Sample(
        latency_us=champion.latency * 4000.0 * rng.lognormal(0.0, 0.6, known.events),
        degraded=rng.random(known.events) < champion.degraded,
        alerted=(flagged := rng.random(known.events) < champion.flagged),
        over_time=flagged,
        precise=rng.random(known.alerts) < champion.precision,
        caught=rng.random(known.frauds) < champion.recall,
        costs=decided_costs(
            bad.astype(np.int8),
            np.where(flags, live.REVIEW, live.APPROVE).astype(np.int8),
            np.round(rng.lognormal(*AMOUNTS, n), 2),
            COSTS,
        ),
    )


def newest(column: NDArray[Any], look: int) -> NDArray[Any]:
    """What the guard reads of a column of WATCHED events at a look (from 1)."""
    end = column.size * look // LOOKS
    return column[max(0, end - column.size * SEEN // WATCHED) : end]


def first_break(before: Sample, after: Sample) -> int | None:
    """Events after which the guard rolls back; None when it never does."""
    for look in range(1, LOOKS + 1):
        told = Sample(
            newest(after.latency_us, look),
            newest(after.degraded, look),
            newest(after.alerted, look),
            newest(after.precise, look),
            newest(after.caught, look),
            newest(after.costs, look),
        )
        if breaches(before, told, GuardSpec()):
            return WATCHED * look // LOOKS
    return None


def cell(
    new: Champion, *, former: Known, known: Known, runs: int, seed: int = 1, was: Champion
) -> Cell:
    """`former`: what is known of the one that was; `known`: of the new one in SEEN events."""
    longer = WATCHED // SEEN
    watched = Known(*(longer * count for count in astuple(known)))
    broke = []
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        broke.append(first_break(drawn(was, former, rng), drawn(new, watched, rng)))
    ended = sorted(events for events in broke if events is not None)
    return Cell(len(ended), runs, ended[len(ended) // 2] if ended else None)


@dataclass(frozen=True)
class Table:
    """Champions (across) against what is known of the former and of the new one (down)."""

    title: str
    was: Champion
    new: Mapping[str, Champion]
    known: Sequence[tuple[str, Known, Known]]

    def rows(self, runs: int, seed: int) -> Iterator[tuple[str, list[Cell]]]:
        """By row, what came of each champion."""
        for name, former, known in self.known:
            cells = [
                cell(new, former=former, known=known, runs=runs, seed=seed, was=self.was)
                for new in self.new.values()
            ]
            yield name, cells


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _costing(champion: Champion, share: float) -> str:
    return f"{_percent(share)}: {champion.cost() / FIRST.cost():.1f} times"


def _alerts(*pairs: tuple[int, int]) -> list[tuple[str, Known, Known]]:
    return [(f"{a:,} / {b:,}", Known(alerts=a), Known(alerts=b)) for a, b in pairs]


def _labelled(*pairs: tuple[int, int]) -> list[tuple[str, Known, Known]]:
    return [(f"{a:,} / {b:,}", Known(labelled=a), Known(labelled=b)) for a, b in pairs]


def _events(*counts: int) -> list[tuple[str, Known, Known]]:
    return [(f"{count:,} / {SEEN:,}", Known(count), Known()) for count in counts]


FIRST = Champion()
LOW = replace(FIRST, precision=0.1)
ALERTS = _alerts((50, 50), (50, 500), (100, 100), (100, 500), (200, 200), (500, 500))
FRAUDS = [
    (f"{a} / {b}", Known(frauds=a), Known(frauds=b))
    for a, b in ((20, 20), (20, 200), (50, 50), (50, 500), (100, 100), (200, 200))
]
LABELLED = _labelled((100, 5000), (500, 500), (500, 5000), (2000, 5000), (5000, 5000))
MISSING = [replace(FIRST, recall=recall) for recall in (0.8, 0.6, 0.4, 0.2, 0.0)]
ALARMING = [replace(FIRST, alarms=alarms) for alarms in (0.02, 0.05, 0.1, 0.2, 0.3)]
TABLES = (
    Table(
        "Right alerts, from 60 %; labelled alerts of the former / of the new one",
        FIRST,
        {_percent(p): replace(FIRST, precision=p) for p in (0.6, 0.5, 0.4, 0.35, 0.3, 0.2, 0.1)},
        ALERTS,
    ),
    Table(
        "Right alerts, from 10 %; labelled alerts of the former / of the new one",
        LOW,
        {_percent(p): replace(LOW, precision=p) for p in (0.1, 0.05, 0.03, 0.01, 0.0)},
        ALERTS,
    ),
    Table(
        "Known fraud that is flagged, from 80 %; known frauds of the former / of the new one",
        FIRST,
        {_percent(new.recall): new for new in MISSING},
        FRAUDS,
    ),
    Table(
        "Cost, by fraud that is found; labelled events of the former / of the new one",
        FIRST,
        {_costing(new, new.recall): new for new in MISSING},
        LABELLED,
    ),
    Table(
        "Cost, by good events that are reviewed; labelled events of the former / of the new one",
        FIRST,
        {_costing(new, new.alarms): new for new in ALARMING},
        LABELLED,
    ),
    Table(
        "99th percentile of the latency, times; events of the former / of the new one",
        FIRST,
        {f"{f:g}": replace(FIRST, latency=f) for f in (1.0, 1.5, 2.0, 2.25, 2.5, 3.0)},
        _events(500, SEEN),
    ),
    Table(
        "Degraded answers, from 0.2 %; events of the former / of the new one",
        FIRST,
        {_percent(d): replace(FIRST, degraded=d) for d in (0.002, 0.05, 0.06, 0.08, 0.1, 0.15)},
        _events(499, SEEN),
    ),
    Table(
        "Flagged events, from 2 %; events of the former / of the new one",
        FIRST,
        {_percent(a): replace(FIRST, flagged=a) for a in (0.02, 0.06, 0.07, 0.08, 0.1, 0.12)},
        _events(500, SEEN),
    ),
    Table(
        "Fewer flagged events, from 2 %; events of the former / of the new one",
        FIRST,
        {_percent(a): replace(FIRST, flagged=a) for a in (0.02, 0.004, 0.003, 0.002, 0.001, 0.0)},
        _events(500, SEEN),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard_power", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun, equal = monotonic(), []
    for table in TABLES:
        print(f"\n{table.title}\n\n| | {' | '.join(table.new)} | events |", flush=True)
        print(f"|---|{'--:|' * (len(table.new) + 1)}")
        for name, cells in table.rows(options.runs, options.seed):
            told = [str(each) for each in cells] + [f"{cells[-1].events or '-'}"]
            print(f"| {name} | {' | '.join(told)} |", flush=True)
            equal.append(cells[0])
    print(f"\n{options.runs} runs each; {monotonic() - begun:.0f} s")
    share = sum(each.caught for each in equal) / sum(each.runs for each in equal)
    return judged([Aim("equal champions rolled back", 0.001, share, most=True)])


if __name__ == "__main__":
    sys.exit(main())
