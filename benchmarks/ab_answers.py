"""`python -m benchmarks.ab_answers`: what is said of challengers where people answer in part.

As benchmarks.ab_simulation, but nothing that was approved has a label, unless it was drawn for a
random audit; and of the audits, and of what the champion flagged, a part is answered only.
"""

import argparse
from collections import Counter
from dataclasses import replace

import numpy as np

from benchmarks.ab_simulation import COSTS, World, rows_of, wilson
from models_registry.core import live
from models_registry.core.live import LiveRows, compare_live

MISSES = World(
    "equal, misses cost most", 1.0, days=30, events_a_day=1000, entities=1500, fraud=0.02
)
"""Fraud that is let through costs most of the money."""
ALARMS = World(
    "equal, false alarms cost most",
    4.0,
    4.0,
    days=30,
    events_a_day=2000,
    entities=3000,
    fraud=0.002,
)
"""False alarms do."""
WORSE = replace(MISSES, name="much worse", challenger_noise=3.0, events_a_day=4000, entities=4000)
BETTER = replace(
    MISSES, name="much better", challenger_noise=0.2, champion_noise=1.5,
    events_a_day=4000, entities=4000,
)  # fmt: skip
AUDITS = 0.2
SHARES = {
    "all": {"flagged": 1.0, "good": 1.0, "bad": 1.0},
    "all, of one audit in fifty": {"flagged": 1.0, "good": 1.0, "bad": 1.0, "audits": 0.02},
    "half of the audits": {"flagged": 1.0, "good": 0.5, "bad": 0.5},
    "half of the audits, and all that are fraud": {"flagged": 1.0, "good": 0.5, "bad": 1.0},
    "96 % of the audits, and all that are fraud": {"flagged": 1.0, "good": 0.96, "bad": 1.0},
    "half of what was flagged": {"flagged": 0.5, "good": 1.0, "bad": 1.0},
}


def answered(
    rows: LiveRows,
    rng: np.random.Generator,
    *,
    flagged: float,
    good: float,
    bad: float,
    audits: float = AUDITS,
) -> LiveRows:
    """The rows with an audit of a share of what was approved, and labels of what was answered.

    `flagged`: the share of flagged events that is answered; `good`, `bad`: of audits, by truth.
    """
    n = len(rows)
    audited = ~rows.selected & (rng.random(n) < audits)
    share = np.where(rows.selected, flagged, np.where(rows.labels == 1, bad, good))
    told = (rows.selected | audited) & (rng.random(n) < share)
    return replace(
        rows,
        labels=np.where(told, rows.labels, live.UNKNOWN).astype(np.int8),
        audited=audited,
        propensity=np.where(rows.selected, 1.0, audits),
    )


def verdict_of(seed: int, world: World, **shares: float) -> str:
    """What looks at every third day say first, other than undecided; else the last."""
    rng = np.random.default_rng(seed)
    rows = answered(rows_of(world, rng), rng, **shares)
    said = live.UNDECIDED
    for day in range(live.LEAST_DAYS, world.days + 1, 3):
        seen = rows.only(rows.event_time < day * live.DAY)
        said = compare_live(seen, costs=COSTS, least_positives=5, resamples=2).verdict
        if said in (live.BETTER, live.WORSE):
            break
    return said


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ab_answers", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    print("| challenger | answered | runs | better | worse | no verdict for want of answers |")
    print("|---|---|---|---|---|---|")
    for world in (MISSES, ALARMS, BETTER, WORSE):
        for name, shares in SHARES.items():
            said = Counter(verdict_of(seed, world, **shares) for seed in range(options.runs))
            cells = []
            for verdict in (live.BETTER, live.WORSE, live.NOT_ENOUGH):
                low, high = wilson(said[verdict], options.runs)
                cells.append(f"{said[verdict] / options.runs:.1%} ({low:.1%} to {high:.1%})")
            print(f"| {world.name} | {name} | {options.runs} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
