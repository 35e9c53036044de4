"""Where to review and where to block, from what decisions cost and how much analysts can see."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.costs import losses
from models_registry.core.metrics import count_of
from scoring.core.decision import Thresholds
from scoring.core.spec import CostSpec

NEVER: Final = 2.0
EDGE: Final = 1e-9
CRITICAL_SHARE_OF_ALERTS: Final = 0.1
LEAST_PLACES: Final = 4
MOST_PLACES: Final = 17

FloatArray = NDArray[np.float64]
Labels = NDArray[Any]


def choose_thresholds(
    probabilities: FloatArray,
    labels: Labels,
    amounts: FloatArray | None,
    costs: CostSpec,
    *,
    everything: FloatArray | None = None,
) -> Thresholds:
    """Thresholds on calibrated probabilities float64[n], chosen on validation rows.

    Blocking beats a review once (1 - p) * false_block_cost < review_cost, whatever the amount.
    The review threshold is the cut with the lowest total cost among those that flag at most
    `capacity` of the events; without amounts there is no loss to weigh, and capacity decides.
    `everything` float64[m] are the probabilities of all events of that time, where only some of
    them have labels: people see alerts of all.
    """
    everything = probabilities if everything is None else everything
    block = _block_threshold(costs)
    if amounts is None or not np.isfinite(amounts).any():
        review = _capacity_cut(everything, costs.capacity)
    else:
        review = _cheapest_cut(probabilities, labels, amounts, block, costs, everything)
    block = max(block, review)
    return with_levels(review=review, block=block, critical=block)


def choose_thresholds_without_labels(scores: FloatArray, capacity: float) -> Thresholds:
    """Thresholds on uncalibrated scores: review the `capacity` highest, block nothing.

    Nothing says that an unlabelled anomaly is bad, so none is blocked; CRITICAL is the highest
    tenth of what is reviewed.
    """
    review = _capacity_cut(scores, capacity)
    critical = max(review, _capacity_cut(scores, capacity * CRITICAL_SHARE_OF_ALERTS))
    return with_levels(review=review, block=NEVER, critical=critical)


def _block_threshold(costs: CostSpec) -> float:
    if costs.false_block_cost <= 0:
        return 0.0
    return max(0.0, 1.0 - costs.review_cost / costs.false_block_cost)


def moved(current: Thresholds, *, review: float, block: float) -> Thresholds:
    """The thresholds of a person, and the bands that go with them; `block` above 1 means never."""
    critical = block if block <= 1.0 else max(review, min(current.critical, 1.0))
    return with_levels(review=review, block=block, critical=critical)


def with_levels(*, review: float, block: float, critical: float) -> Thresholds:
    """Bands: MEDIUM from the review threshold on, CRITICAL as told, HIGH halfway in log-odds."""
    high = min(max(_between(review, critical), review), critical)
    return Thresholds(review=review, block=block, medium=review, high=high, critical=critical)


def _between(low: float, high: float) -> float:
    """The midpoint in log-odds."""
    p = np.clip([low, high], EDGE, 1.0 - EDGE)
    return float(1.0 / (1.0 + np.exp(-np.mean(np.log(p / (1.0 - p))))))


def _cut_after(ranked: FloatArray, count: int) -> float:
    """A threshold that flags the first `count` of `ranked` (falling), in the gap below them."""
    if count == 0:
        return float(np.nextafter(ranked[0], np.inf))
    if count == ranked.size:
        return float(ranked[-1])
    middle = _between(float(ranked[count]), float(ranked[count - 1]))
    # Rounding and the clip may leave the gap; the last flagged value itself is always right.
    return middle if ranked[count] < middle <= ranked[count - 1] else float(ranked[count - 1])


def plain_cut(low: float, high: float) -> float:
    """A number in (low, high] with the fewest decimals, four at least, near the middle: whoever
    types it in as a page shows it flags what `high` does. `high` itself at or below nothing."""
    middle = _between(low, high) if low > 0.0 else high
    for places in range(LEAST_PLACES, MOST_PLACES + 1):
        said = float(f"{middle:.{places}f}")
        if low < said <= high:
            return said
    return high


def _allowed_cuts(ranked: FloatArray, capacity: float) -> NDArray[np.intp]:
    """Counts that split no tie and stay within capacity; the first group if none does.

    Flagging a little too much beats never flagging at all.
    """
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True)) + 1
    within = ends[ends <= count_of(capacity, ranked.size)]
    return within if within.size else ends[:1]


def _capacity_cut(risk: FloatArray, capacity: float) -> float:
    ranked = np.sort(risk)[::-1]
    return _cut_after(ranked, int(_allowed_cuts(ranked, capacity)[-1]))


def _cheapest_cut(
    probabilities: FloatArray,
    labels: Labels,
    amounts: FloatArray,
    block: float,
    costs: CostSpec,
    everything: FloatArray,
) -> float:
    order = np.argsort(-probabilities, kind="stable")
    wrongly_blocked = np.where(labels == 1, 0.0, costs.false_block_cost)
    price = np.where(probabilities >= block, wrongly_blocked, costs.review_cost)
    gain = np.append(0.0, np.cumsum((losses(labels, amounts, costs) - price)[order]))
    ranked = np.sort(everything)[::-1]
    cuts = _allowed_cuts(ranked, costs.capacity)
    labelled = np.searchsorted(-probabilities[order], -ranked[cuts - 1], side="right")
    best = int(np.argmax(gain[labelled]))
    return _cut_after(ranked, int(cuts[best]) if gain[labelled[best]] > 0 else 0)
