"""What another rule or other thresholds would have meant on events that are over. Arrays are [n].

An event counts in a confusion matrix once it is matured and somebody said what it was; the others
are counted apart and stand for nothing. Where only a sample was read, each event stands for
`weights` events of its kind, and intervals are as wide as the weights make them (Kish's effective
number of events in Wilson's interval).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.live import APPROVE, BLOCK, REVIEW, decided_costs
from scoring.core.shares import wilson
from scoring.core.spec import CostSpec

BAD: Final = 1
GOOD: Final = 0
UNKNOWN: Final = -1
RESAMPLES: Final = 1000
SEED: Final = 20260131

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Truths = NDArray[np.bool_]
Decisions = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Sampled:
    """Events that were read. `labels` BAD, GOOD or UNKNOWN as known when it was asked; `young`: not
    matured, whatever its label says; `weights` how many events each stands for; `amounts` NaN where
    unknown; `entities` and `days` whole numbers."""

    labels: NDArray[np.int8]
    young: Truths
    weights: FloatArray
    amounts: FloatArray
    entities: IntArray
    days: IntArray

    @property
    def judged(self) -> Truths:
        """Matured and labelled."""
        found: Truths = ~self.young & (self.labels != UNKNOWN)
        return found


def share(part: FloatArray, whole: FloatArray) -> dict[str, float] | None:
    """`value`, `low`, `high` (95 %) of sum(part) / sum(whole), both the weights of events, `part`
    of some of them; None where there are none."""
    total = float(whole.sum())
    if total <= 0.0:
        return None
    value = float(part.sum()) / total
    effective = total**2 / float((whole**2).sum())
    low, high = wilson(value * effective, effective)
    return {"value": value, "low": low, "high": high}


def confusion(predicted: Truths, rows: Sampled) -> dict[str, Any]:
    """Counts (weighted) of each cell, of what has no label or is young, and the rates.

    `false_positive_rate` is None unless somebody said of some event that was not predicted that it
    was good: without such labels it would be a share of alarms alone.
    """
    weights, judged = rows.weights, rows.judged
    bad, good = judged & (rows.labels == BAD), judged & (rows.labels == GOOD)
    unknown = ~rows.young & (rows.labels == UNKNOWN)
    cells = {
        "tp": bad & predicted,
        "fp": good & predicted,
        "fn": bad & ~predicted,
        "tn": good & ~predicted,
        "unlabelled": unknown & predicted,
        "unlabelled_rest": unknown & ~predicted,
        "young": rows.young & predicted,
        "young_rest": rows.young & ~predicted,
    }
    counted: dict[str, Any] = {name: float(weights[where].sum()) for name, where in cells.items()}
    hits, known = weights[cells["tp"]], judged & predicted
    return counted | {
        "read": {name: int(where.sum()) for name, where in cells.items()},
        "precision": share(hits, weights[known]),
        "recall": share(hits, weights[bad]),
        "false_positive_rate": (
            share(weights[cells["fp"]], weights[good]) if cells["tn"].any() else None
        ),
    }


def volume(decided: Decisions, rows: Sampled) -> dict[str, float]:
    """How many events were to be looked at and how many blocked, labelled or not."""
    return {
        "flagged": float(rows.weights[decided != APPROVE].sum()),
        "blocked": float(rows.weights[decided == BLOCK].sum()),
    }


def costs_of(decided: Decisions, rows: Sampled, costs: CostSpec) -> dict[str, float]:
    """Money on judged events: `lost` by approving bad ones, `reviews`, `false_blocks`, `total`; and
    `reviews_unlabelled`, which cost the same whatever they turn out to be."""
    spent = _spent(decided, rows, costs)
    parts = {"lost": APPROVE, "reviews": REVIEW, "false_blocks": BLOCK}
    found = {
        name: float(spent[rows.judged & (decided == decision)].sum())
        for name, decision in parts.items()
    }
    unjudged = ~rows.judged & (decided == REVIEW)
    return found | {
        "total": sum(found.values()),
        "reviews_unlabelled": float(rows.weights[unjudged].sum()) * costs.review_cost,
    }


def _spent(decided: Decisions, rows: Sampled, costs: CostSpec) -> FloatArray:
    """The weighted cost of each judged event, 0 for the others."""
    labels = np.where(rows.judged, rows.labels, GOOD)
    each = decided_costs(labels, decided, rows.amounts, costs) * rows.weights
    found: FloatArray = np.where(rows.judged, each, 0.0)
    return found


def saving(
    before: Decisions, after: Decisions, rows: Sampled, costs: CostSpec
) -> dict[str, float] | None:
    """What the second decisions save on judged events: `value`, `low`, `high` (95 %).

    Poisson bootstrap of whole entities, whose events belong together. None without judged events.
    """
    if not rows.judged.any():
        return None
    saved = _spent(before, rows, costs) - _spent(after, rows, costs)
    _, group = np.unique(rows.entities, return_inverse=True)
    sums = np.bincount(group, saved)
    sums = sums[sums != 0.0]
    value = float(saved.sum())
    if not sums.size:
        return {"value": value, "low": value, "high": value}
    rng = np.random.default_rng(SEED)
    drawn = np.array([rng.poisson(1.0, sums.size) @ sums for _ in range(RESAMPLES)])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"value": value, "low": float(low), "high": float(high)}


def changes(before: Decisions, after: Decisions, rows: Sampled) -> dict[str, float]:
    """How many events would be decided otherwise, in which way, and of them known bad and good."""
    raised, eased = after > before, after < before
    bad, good = rows.judged & (rows.labels == BAD), rows.judged & (rows.labels == GOOD)
    return {
        f"{way}{kind}": float(rows.weights[where & also].sum())
        for way, where in (("raised", raised), ("eased", eased))
        for kind, also in (("", np.ones_like(bad)), ("_bad", bad), ("_good", good))
    }


def by_day(arms: Sequence[tuple[str, Decisions]], rows: Sampled) -> list[dict[str, float]]:
    """For every day from the first with events to the last: `day`, and how many each arm flagged;
    zero on days without events."""
    if not rows.days.size:
        return []
    first = int(rows.days.min())
    place = rows.days - first
    length = int(place.max()) + 1
    flagged = {
        name: np.bincount(place, np.where(decided != APPROVE, rows.weights, 0.0), length)
        for name, decided in arms
    }
    return [
        {"day": first + i} | {name: float(counts[i]) for name, counts in flagged.items()}
        for i in range(length)
    ]


def allot(sizes: Sequence[int], most: int) -> list[int]:
    """How many of each kind to read, `most` in all: small kinds whole, the rest in equal parts."""
    taken = [0] * len(sizes)
    left = most
    order = sorted(range(len(sizes)), key=lambda i: sizes[i])
    for position, i in enumerate(order):
        fair = left // (len(sizes) - position)
        taken[i] = min(sizes[i], fair)
        left -= taken[i]
    return taken
