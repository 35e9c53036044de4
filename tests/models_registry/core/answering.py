"""Live comparisons of equal models where people answer a part of what they were asked."""

from dataclasses import replace

import numpy as np

from benchmarks.ab_simulation import COSTS, World, rows_of
from models_registry.core import live
from models_registry.core.live import LiveRows, compare_live

MISSES = World("equal", 1.0, days=30, events_a_day=1000, entities=1500, fraud=0.02)
"""Fraud that is let through costs most of the money."""
ALARMS = World("equal", 4.0, 4.0, days=30, events_a_day=2000, entities=3000, fraud=0.002)
"""False alarms do."""
AUDITS = 0.2


def answered(
    rows: LiveRows, rng: np.random.Generator, *, flagged: float, good: float, bad: float
) -> LiveRows:
    """The rows with an audit of AUDITS of what was approved, and labels of what was answered.

    `flagged`: the share of flagged events that is answered; `good`, `bad`: of audits, by truth.
    """
    n = len(rows)
    audited = ~rows.selected & (rng.random(n) < AUDITS)
    share = np.where(rows.selected, flagged, np.where(rows.labels == 1, bad, good))
    told = (rows.selected | audited) & (rng.random(n) < share)
    return replace(
        rows,
        labels=np.where(told, rows.labels, live.UNKNOWN).astype(np.int8),
        audited=audited,
        propensity=np.where(rows.selected, 1.0, AUDITS),
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
