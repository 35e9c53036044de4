"""All numbers and curves that say how well a model judged the test part."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_registry.core import metrics
from models_registry.core.costs import cost_points
from models_registry.core.intervals import metric_intervals
from models_registry.core.judgement import DAY, Judgement, Traffic, ratios
from models_registry.core.kept_metrics import OF_LEGITIMATE, OF_POSITIVES, card_precision_at
from models_registry.core.resampling import RESAMPLES
from models_registry.core.threshold_curve import threshold_curve
from scoring.core.decision import Thresholds
from scoring.core.spec import CostSpec

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
    traffic: Traffic | None = None,
    entities_a_day: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metrics, curves) of test rows; all arrays [n], `event_time` in seconds, UTC.

    `traffic`: all events of their time, where some have no label. Alerts and what people can see
    are shares of all of them; everything else is told of the rows.

    `entities_a_day`: the k of card precision@k, which its name ends in; by default
    `metrics.cards_a_day` of all these events.

    Metrics that need amounts or probabilities are left out without them; those that have no answer
    (recall without positives, precision without alerts or legitimate rows) are NaN.
    `metrics["intervals"]` has
    [low, high] of each at 95 %, `metrics["resampled"]` says how they were made; no intervals with
    `resamples` 0. `metrics["ceilings"]` has what no ranking is above in metrics where that
    need not be 1; none without positives or without legitimate rows.
    """
    days = (event_time // DAY).astype(np.int64)
    judged = Judgement(
        labels=labels,
        risk=risk,
        calibrated=calibrated,
        amounts=amounts if np.isfinite(amounts).any() else None,
        entities=entities,
        days=days,
        thresholds=thresholds,
        costs=costs,
        entities_a_day=entities_a_day
        or _cards_a_day(costs, days if traffic is None else traffic.days),
        traffic=traffic,
    )
    covered = days_covered(event_time if traffic is None else traffic.event_time)
    found, curves = _metrics(judged), _curves(judged, covered)
    if resamples and labels.size:
        _add_intervals(judged, found, curves, resamples=resamples, seed=seed)
    found["thresholds"] = thresholds.to_dict()
    return found, curves


def _add_intervals(
    judged: Judgement,
    found: dict[str, Any],
    curves: dict[str, Any],
    *,
    resamples: int,
    seed: int,
) -> None:
    """How sure each metric of `found` is, and each point of the reliability curves."""
    found["intervals"], reliability, found["resampled"] = metric_intervals(
        judged, found, seed=seed, resamples=resamples
    )
    for name, bounds in reliability.items():
        for point, (low, high) in zip(curves[name], bounds, strict=True):
            point.update(low=low, high=high)


def _metrics(judged: Judgement) -> dict[str, Any]:
    labels, risk, card = judged.labels, judged.risk, card_precision_at(judged.entities_a_day)
    found: dict[str, Any] = {
        "rows": int(labels.size),
        "positives": int((labels == 1).sum()),
        "roc_auc": metrics.roc_auc(labels, risk),
        "average_precision": metrics.average_precision(labels, risk),
        "recall_at_1pct_fpr": metrics.recall_at_false_positive_rate(labels, risk, 0.01),
        card: _entity_precision(judged, risk),
    }
    sums = {name: column.sum() for name, column in judged.columns().items()}
    found |= {name: float(value) for name, value in ratios(sums, judged.costs).items()}
    found["alert_rate"] = judged.alert_rate
    if not found["positives"]:
        found |= dict.fromkeys((*OF_POSITIVES, card), metrics.NAN)
    elif found["positives"] == found["rows"]:
        found |= dict.fromkeys((*OF_LEGITIMATE, card), metrics.NAN)
    else:
        ceiling = metrics.entity_precision_ceiling(
            labels, judged.entities, judged.days, judged.entities_a_day
        )
        found["ceilings"] = {card: ceiling}
    if judged.calibrated:
        found["calibration_error"] = metrics.expected_calibration_error(labels, risk)
    if judged.amounts is not None:
        found["value_detection_rate"] = metrics.value_detection_rate(
            labels, risk, judged.amounts, judged.seen
        )
    return found


def _cards_a_day(costs: CostSpec, days: NDArray[np.int64]) -> int:
    """`days` [m] of all events."""
    return metrics.cards_a_day(costs.capacity, days.size, np.unique(days).size)


def _entity_precision(judged: Judgement, risk: FloatArray) -> float:
    return metrics.entity_precision_at_k(
        judged.labels, risk, judged.entities, judged.days, judged.entities_a_day
    )


def _curves(judged: Judgement, days: float) -> dict[str, Any]:
    labels, risk, amounts, costs = judged.labels, judged.risk, judged.amounts, judged.costs
    curves: dict[str, Any] = {
        "roc": metrics.roc_points(labels, risk),
        "precision_recall": metrics.precision_recall_points(labels, risk),
        "thresholds": threshold_curve(
            labels,
            risk,
            amounts,
            days=days,
            costs=costs,
            everything=None if judged.traffic is None else judged.traffic.risk,
        ),
    }
    if judged.calibrated:
        curves["calibration"] = metrics.calibration_points(labels, risk)
        curves["calibration_bands"] = [
            {"level": level} | metrics.calibration_point(labels, risk, rows)
            for level, rows in judged.bands.items()
        ]
    if amounts is not None:
        block = judged.thresholds.block
        curves["cost"] = cost_points(labels, risk, amounts, block=block, costs=costs)
    return curves


def days_covered(event_time: FloatArray) -> float:
    """Days from the first to the last event, at least one."""
    if event_time.size == 0:
        return 1.0
    return max(1.0, float(event_time.max() - event_time.min()) / DAY)
