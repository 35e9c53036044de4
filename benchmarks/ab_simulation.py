"""`python -m benchmarks.ab_simulation`: how often an equal challenger is called better, and how
often a better one is found, when somebody looks every day and stops at the first yes.

Each run is a live comparison of many days. Both models see the true risk of an event through noise
of their own; an equal challenger's noise is as strong as the champion's, a better one's is weaker.
Events belong to entities, amounts have a heavy tail, and all is judged by the platform's own code
(models_registry.core.live). Beside it stands what daily looks at an ordinary 95 % interval give.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from benchmarks.aims import Aim, judged
from models_registry.core import live
from models_registry.core.live import DAY, LiveRows, compare_live, decided_costs
from models_registry.core.sequential import ALPHA, per_unit, sequence_of
from scoring.core.spec import CostSpec

COSTS = CostSpec(review_cost=5.0, false_block_cost=20.0, loss_share=1.0, capacity=0.01)
LEAST_POSITIVES = 20
FLAGGED = 0.01
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """One setting: events a day, entities, days, share of fraud and both models' noise."""

    name: str
    challenger_noise: float
    champion_noise: float = 1.0
    days: int = 60
    events_a_day: int = 1000
    entities: int = 2000
    fraud: float = 0.01


def rows_of(world: World, rng: np.random.Generator) -> LiveRows:
    """All days of one run, labelled."""
    n = world.days * world.events_a_day
    labels = (rng.random(n) < world.fraud).astype(np.int8)
    truth = np.where(labels == 1, 3.0, 0.0) + rng.normal(0.0, 1.0, n)
    risks = [
        truth + rng.normal(0.0, noise, n)
        for noise in (world.champion_noise, world.challenger_noise)
    ]
    decided = [
        np.where(risk >= np.quantile(risk[: 5 * world.events_a_day], 1 - FLAGGED), 1, 0).astype(
            np.int8
        )
        for risk in risks
    ]
    return LiveRows(
        labels=labels,
        selected=decided[0] != live.APPROVE,
        audited=np.zeros(n, dtype=bool),
        propensity=np.ones(n),
        event_time=np.repeat(np.arange(world.days, dtype=np.float64), world.events_a_day) * DAY,
        entities=rng.integers(world.entities, size=n),
        amounts=np.round(rng.lognormal(4.0, 1.2, n), 2),
        champion_risk=risks[0],
        challenger_risk=risks[1],
        champion_decision=decided[0],
        challenger_decision=decided[1],
    )


@dataclass(frozen=True)
class Run:
    """The day (from 1) of the first yes, None for never; likewise by the ordinary interval."""

    promoted: int | None
    naive: int | None


def run(world: World, seed: int) -> Run:
    """Look at the end of every day from live.LEAST_DAYS on; stop at the first `better`."""
    rows = rows_of(world, np.random.default_rng(seed))
    saved = decided_costs(rows.labels, rows.champion_decision, rows.amounts, COSTS) - decided_costs(
        rows.labels, rows.challenger_decision, rows.amounts, COSTS
    )
    moved = np.flatnonzero(saved)
    # What live.savings adds up at every look, added up once: units never span two days.
    days = (rows.event_time[moved] // DAY).astype(np.int64)
    sums, day = per_unit(saved[moved], rows.entities[moved], days)
    promoted = naive = None
    for today in range(live.LEAST_DAYS, world.days + 1):
        end = int(np.searchsorted(day, today))
        total = float(today * world.events_a_day)
        if promoted is None and sequence_of(sums[:end], day[:end], total=total).is_above:
            # The bootstraps cost more than all the rest, and are asked only where they count.
            promoted = today if _is_better(rows, today * world.events_a_day) else None
        if naive is None and _naive_yes(sums[:end], total):
            naive = today
        if promoted is not None and naive is not None:
            break
    return Run(promoted, naive)


def _is_better(rows: LiveRows, end: int) -> bool:
    seen = np.arange(len(rows)) < end
    found = compare_live(
        rows.only(seen), costs=COSTS, least_positives=LEAST_POSITIVES, resamples=100
    )
    return found.verdict == live.BETTER


def _naive_yes(sums: FloatArray, total: float) -> bool:
    """Whether a plain 95 % interval of the mean over `total` events lies above 0."""
    gained = float(sums.sum())
    spread = np.sqrt(float((sums**2).sum()) - gained**2 / total)
    return bool(gained > 1.96 * spread > 0.0)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z, p = 1.96, hits / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def row_of(world: World, runs: list[Run]) -> str:
    """A line of the table."""
    cells = []
    for days in ([r.promoted for r in runs], [r.naive for r in runs]):
        said = sorted(day for day in days if day is not None)
        low, high = wilson(len(said), len(runs))
        median = f"{said[len(said) // 2]}" if said else "-"
        cells += [f"{len(said) / len(runs):.1%} ({low:.1%} to {high:.1%})", median]
    return f"| {world.name} | {len(runs)} | {' | '.join(cells)} |"


WORLDS = (
    World("equal", 1.0),
    World("equal, ten times the events", 1.0, events_a_day=10_000, entities=20_000),
    World("slightly better (noise 0.8)", 0.8),
    World("better (noise 0.6)", 0.6),
    World("much better (noise 0.3)", 0.3),
    World("worse (noise 1.5)", 1.5),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ab_simulation", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun, better = monotonic(), {}
    print("| challenger | runs | called better | median day | 95 % interval, daily | median day |")
    print("|---|---|---|---|---|---|")
    for world in WORLDS:
        # The promise is about many equal challengers; the power needs no such precision.
        plain = world.name == "equal" or world.champion_noise < world.challenger_noise
        count = options.runs if plain else max(options.runs // 5, 1)
        runs = [run(world, options.seed * 1_000_003 + i) for i in range(count)]
        print(row_of(world, runs), flush=True)
        better[world.name] = sum(one.promoted is not None for one in runs) / count
    print(f"\n{monotonic() - begun:.0f} s")
    if options.json:
        options.json.write_text(json.dumps({"called better": better}, indent=1))
    return judged(
        [
            Aim(f"called better: {world.name}", ALPHA, better[world.name], most=True)
            for world in WORLDS
            if world.champion_noise <= world.challenger_noise
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
