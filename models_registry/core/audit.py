"""Recall, prevalence and precision when only selected events ever get a label.

People look at what a model or a rule flagged, so known frauds are mostly those that were found, and
the recall among them flatters every model. The random audit looks at a known share of the rest.
Each labelled event stands for 1 / (chance that it was looked at) events (Horvitz & Thompson 1952);
selected events that nobody labelled are made up for by the others of their kind, so that the
weights of each kind add up to its number of events (Hajek's ratio, within strata).

Intervals are about these very events: what is uncertain is which of them the audit drew. A weighted
count of rare events gets the gamma interval of Fay & Feuer (1997) with the variance of the draw,
sum w (w - 1): nothing for events that were looked at for certain, and an honest upper end when the
audit found no fraud at all. Ratios of two such counts are joined by MOVER (Zou & Donner 2008).
"""

from dataclasses import asdict, dataclass, replace
from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.metrics import NAN
from models_registry.core.selection import AUDITED, NOT_SELECTED, SELECTED

MINIMUM_AUDITED: Final = 100
"""Fewer labelled audits than this say nothing about the rest."""
TAIL: Final = 0.025

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A corrected share with its 95 % interval; `value` is NaN where nothing can be said."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Audited:
    """Shares of all events, corrected for who was looked at.

    `audited` labelled audits, of `drawn` that were drawn, found `audited_positives` frauds;
    `effective_size` is Kish's effective number of labelled events. `naive_recall` is the recall
    among labelled events as they stand. The three estimates are None below `MINIMUM_AUDITED`.
    """

    events: int
    drawn: int
    audited: int
    audited_positives: int
    looked_at: int
    answered: float
    effective_size: float
    naive_recall: float
    recall: Estimate | None = None
    precision: Estimate | None = None
    prevalence: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able but for NaN."""
        return asdict(self)


def correct(
    labels: NDArray[Any],
    flagged: NDArray[np.bool_],
    selection: NDArray[Any],
    propensity: FloatArray,
    *,
    minimum: int = MINIMUM_AUDITED,
) -> Audited:
    """Judge a model on all events of a period; all arrays [n].

    `labels` 1, 0 or -1 (unknown; labels of events that nobody selected are not used), `flagged` by
    the model that is judged, `selection` NOT_SELECTED, SELECTED or AUDITED by what served then,
    `propensity` the chance that each event was to be looked at.
    """
    weights = _weights(labels, selection, propensity)
    known = weights > 0
    positive = known & (labels == 1)
    drawn, looked_at = selection == AUDITED, selection == SELECTED
    audited = drawn & known
    found = Audited(
        events=int(labels.size),
        drawn=int(drawn.sum()),
        audited=int(audited.sum()),
        audited_positives=int((audited & positive).sum()),
        looked_at=int(looked_at.sum()),
        answered=_share(int(known.sum()), int((selection != NOT_SELECTED).sum())),
        effective_size=_share(float(weights.sum()) ** 2, float((weights**2).sum())),
        naive_recall=_share(int((positive & flagged).sum()), int(positive.sum())),
    )
    if found.audited < minimum:
        return found
    heaviest = _heaviest(weights, selection)
    among = float(heaviest[flagged].max(initial=1.0))
    hits = _count(weights[positive & flagged], among)
    false = _count(weights[known & flagged & (labels == 0)], among)
    missed = _count(weights[positive & ~flagged], float(heaviest[~flagged].max(initial=1.0)))
    everything = _count(weights[positive], float(heaviest.max()))
    return replace(
        found,
        recall=_part(hits, missed),
        precision=_part(hits, false),
        prevalence=Estimate(*(bound / labels.size for bound in everything)),
    )


def _weights(labels: NDArray[Any], selection: NDArray[Any], propensity: FloatArray) -> FloatArray:
    """How many events each labelled selected event stands for; 0 for all others."""
    weights = np.zeros(labels.size)
    answered = (selection != NOT_SELECTED) & (labels >= 0)
    for kind, stratum in (
        (SELECTED, selection == SELECTED),
        (AUDITED, selection != SELECTED),
    ):
        rows = answered & (selection == kind)
        if not rows.any():
            continue
        inverse = 1.0 / np.clip(propensity[rows], 1e-9, 1.0)
        weights[rows] = inverse * (float(stratum.sum()) / float(inverse.sum()))
    return weights


def _heaviest(weights: FloatArray, selection: NDArray[Any]) -> FloatArray:
    """For every event the largest weight of its kind: what one more of it would have counted."""
    surely = selection == SELECTED
    found = np.ones(weights.size)
    for rows in (surely, ~surely):
        found[rows] = weights[rows].max(initial=1.0)
    return found


def _count(weights: FloatArray, heaviest: float) -> tuple[float, float, float]:
    """(estimate, low, high) of a number of events from the weights of those that were seen.

    `heaviest` 1: every such event was surely seen, and the number is exact.
    """
    total = float(weights.sum())
    variance = float((weights * (weights - 1.0)).sum())
    sampled = weights[weights > 1.0 + 1e-9]
    certain = total - float(sampled.sum())
    if heaviest <= 1.0 + 1e-9:
        return total, total, total
    seen = float(sampled.sum())
    low = _gamma(seen, variance, TAIL) if seen > 0 else 0.0
    # One more event than was seen, of the heaviest kind: what the audit may have just missed.
    high = _gamma(seen + heaviest, variance + heaviest * (heaviest - 1.0), 1.0 - TAIL)
    return total, certain + min(low, seen), certain + high


def _gamma(mean: float, variance: float, at: float) -> float:
    """A point of the gamma distribution with this mean and variance."""
    if variance <= 0:
        return mean
    from scipy.special import gammaincinv  # 20 MB that a web process need not hold

    return float(gammaincinv(mean**2 / variance, at)) * variance / mean


def _part(one: tuple[float, float, float], other: tuple[float, float, float]) -> Estimate:
    """one / (one + other) with its interval; the two counts come from different events."""
    if one[0] + other[0] <= 0:
        return Estimate(NAN, NAN, NAN)
    if one[0] <= 0:
        return Estimate(0.0, 0.0, _share(one[2], one[2] + other[1]))
    low, high = _ratio_bounds(other, one)
    return Estimate(_share(one[0], one[0] + other[0]), 1.0 / (1.0 + high), 1.0 / (1.0 + low))


def _ratio_bounds(
    top: tuple[float, float, float], bottom: tuple[float, float, float]
) -> tuple[float, float]:
    """MOVER's interval of top / bottom, both (estimate, low, high) and not negative."""
    (a, a_low, a_high), (b, b_low, b_high) = top, bottom
    product = a * b
    inside = product**2 - a_low * b_high * (2 * a - a_low) * (2 * b - b_high)
    under = b_high * (2 * b - b_high)
    # With a denominator that may be twice its estimate the formula breaks down: use the corners.
    low = (product - sqrt(max(inside, 0.0))) / under if under > 0 else a_low / b_high
    inside = product**2 - a_high * b_low * (2 * a - a_high) * (2 * b - b_low)
    under = b_low * (2 * b - b_low)
    high = (product + sqrt(max(inside, 0.0))) / under if under > 0 else float("inf")
    return max(low, 0.0), high


def _share(part: float, whole: float) -> float:
    return part / whole if whole else NAN
