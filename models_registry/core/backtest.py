"""What another rule or other thresholds would have meant on events that are over. Arrays are [n].

An event counts in a confusion matrix once it is matured and somebody said what it was; the others
are counted apart and stand for nothing. Where only a sample was read, each event stands for
`weights` events of its kind, and intervals are as wide as the weights make them (Kish's effective
number of events in Wilson's interval), and as entities whose events are found together do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.live import APPROVE, BLOCK, REVIEW, decided_costs
from models_registry.core.resampling import effective_blocks
from scoring.core.shares import NORMAL_POINT, wilson
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


def share(part: FloatArray, whole: FloatArray, *, most: float = np.inf) -> dict[str, float] | None:
    """`value`, `low`, `high` (95 %) of sum(part) / sum(whole), both the weights of events, `part`
    of some of them; None where there are none. `most`: as how many independent events they count
    at most."""
    total = float(whole.sum())
    if total <= 0.0:
        return None
    value = float(part.sum()) / total
    effective = min(effective_blocks(whole), most)
    low, high = wilson(value * effective, effective)
    return {"value": value, "low": low, "high": high}


def _share_of(part: Truths, whole: Truths, rows: Sampled) -> dict[str, float] | None:
    """The share of `whole` that is `part`, with an interval that knows of bursts."""
    weights, most = rows.weights, _independent(part, whole, rows)
    return share(weights[part & whole], weights[whole], most=most)


def _independent(part: Truths, whole: Truths, rows: Sampled) -> float:
    """As how many independent events the `whole` ones count: by how much the share differs from one
    entity to the next (the design effect, Kish 1965, "Survey sampling"), and fewer where few
    entities tell by how much (Korn & Graubard 1998). Where it does not differ, because all of them
    are `part` or none is, as many as entities with an equal number each."""
    from scipy.special import stdtrit  # 20 MB that a web process need not hold

    weights = rows.weights[whole]
    group = np.unique(rows.entities[whole], return_inverse=True)[1]
    held, hit = np.bincount(group, weights), np.bincount(group, weights * part[whole])
    n, total = held.size, held.sum()
    if n < 2 or part[whole].all() or not part[whole].any():
        return effective_blocks(held)
    value = hit.sum() / total
    spread = float(np.square(hit - value * held).sum()) / total**2 * n / (n - 1)
    if spread <= 0.0:
        return np.inf
    surely = (NORMAL_POINT / float(stdtrit(n - 1.0, 0.975))) ** 2
    return float(value * (1.0 - value) / spread * surely)


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
    return counted | {
        "read": {name: int(where.sum()) for name, where in cells.items()},
        "precision": _share_of(bad, judged & predicted, rows),
        "recall": _share_of(predicted, bad, rows),
        "false_positive_rate": (_share_of(predicted, good, rows) if cells["tn"].any() else None),
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
