"""All numbers and curves that say how well a model judged the test part."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_registry.core import metrics
from models_registry.core.costs import cost_points, decision_costs
from scoring.core.decision import Thresholds
from scoring.core.spec import CostSpec

ENTITIES_A_DAY = 100
DAY = 86400.0

FloatArray = NDArray[np.float64]
Labels = NDArray[Any]


def evaluate(
    *,
    labels: Labels,
    risk: FloatArray,
    calibrated: bool,
    amounts: FloatArray,
    entities: NDArray[Any],
    event_time: FloatArray,
    thresholds: Thresholds,
    costs: CostSpec,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metrics, curves) of test rows; all arrays [n], `event_time` in seconds, UTC.

    Metrics that need amounts are None without them; those that need both classes are NaN.
    """
    at_review = metrics.at_threshold(labels, risk, thresholds.review)
    days = (event_time // DAY).astype(np.int64)
    found: dict[str, Any] = {
        "rows": int(labels.size),
        "positives": int((labels == 1).sum()),
        "roc_auc": metrics.roc_auc(labels, risk),
        "average_precision": metrics.average_precision(labels, risk),
        "recall_at_1pct_fpr": metrics.recall_at_false_positive_rate(labels, risk, 0.01),
        "entity_precision_at_100": metrics.entity_precision_at_k(
            labels, risk, entities, days, ENTITIES_A_DAY
        ),
        "precision": at_review.precision,
        "recall": at_review.recall,
        "f1": at_review.f1,
        "alert_rate": float((risk >= thresholds.review).mean()),
    }
    curves: dict[str, Any] = {
        "roc": metrics.roc_points(labels, risk),
        "precision_recall": metrics.precision_recall_points(labels, risk),
    }
    if calibrated:
        found["brier"] = metrics.brier_score(labels, risk)
        found["calibration_error"] = metrics.expected_calibration_error(labels, risk)
        curves["calibration"] = metrics.calibration_points(labels, risk)
    if np.isfinite(amounts).any():
        found["value_detection_rate"] = metrics.value_detection_rate(
            labels, risk, amounts, costs.capacity
        )
        spent = decision_costs(
            labels, risk, amounts, review=thresholds.review, block=thresholds.block, costs=costs
        )
        found["cost_per_event"] = float(spent.mean())
        curves["cost"] = cost_points(labels, risk, amounts, block=thresholds.block, costs=costs)
    return found, curves
