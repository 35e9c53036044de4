"""What decisions cost. Money is in the detector's currency, amounts float64[n] (NaN = unknown).

Approving a bad event loses `loss_share` of its amount. A review costs `review_cost` and finds the
truth. Blocking a good event costs `false_block_cost`, blocking a bad one nothing. This is the
example-dependent cost of Correa Bahnsen et al. (2015) with a third decision.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.core.spec import CostSpec

FloatArray = NDArray[np.float64]
Labels = NDArray[Any]


def exposures(amounts: FloatArray) -> FloatArray:
    """float64[n]: the amounts; an unknown one counts as the median one, 0 where none is known."""
    known = amounts[np.isfinite(amounts)]
    typical = float(np.median(known)) if known.size else 0.0
    result: FloatArray = np.where(np.isfinite(amounts), amounts, typical)
    return result


def losses(labels: Labels, amounts: FloatArray, costs: CostSpec) -> FloatArray:
    """float64[n]: what approving each event loses."""
    result: FloatArray = np.where(labels == 1, costs.loss_share * exposures(amounts), 0.0)
    return result


def decision_costs(
    labels: Labels,
    risk: FloatArray,
    amounts: FloatArray,
    *,
    review: float,
    block: float,
    costs: CostSpec,
) -> FloatArray:
    """float64[n]: the cost of each event when `risk` >= `block` blocks and >= `review` reviews."""
    lost = losses(labels, amounts, costs)
    wrongly_blocked = np.where(labels == 1, 0.0, costs.false_block_cost)
    flagged = np.where(risk >= block, wrongly_blocked, costs.review_cost)
    result: FloatArray = np.where(risk >= min(review, block), flagged, lost)
    return result


def cost_points(
    labels: Labels,
    risk: FloatArray,
    amounts: FloatArray,
    *,
    block: float,
    costs: CostSpec,
    size: int = 100,
) -> list[tuple[float, float]]:
    """(review threshold, cost per event) at up to `size` thresholds spread over the ranks.

    Half of the points lie among the riskiest hundredth, where thresholds are chosen.
    """
    if labels.size == 0:
        return []
    top = 1.0 - np.geomspace(1.0 / labels.size, 1.0, size)
    thresholds = np.unique(np.quantile(risk, np.clip(top, 0.0, 1.0)))
    return [
        (
            float(t),
            float(decision_costs(labels, risk, amounts, review=t, block=block, costs=costs).mean()),
        )
        for t in thresholds
    ]
