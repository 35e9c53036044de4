"""What training and later evaluations share: judging a span of events, numbers that JSON can hold.

Imports no learner: a version is judged by its bundle.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_registry.core import audit
from models_registry.core.evaluation import evaluate
from models_registry.core.judgement import DAY, Traffic
from models_registry.core.resampling import Blocks, blocks_of
from models_registry.core.selection import AUDITED
from models_registry.datasets import Rows
from scoring.core.bundle import Predictor
from scoring.core.decision import Thresholds
from scoring.core.inference import score_of
from scoring.core.spec import CostSpec, DetectorSpec

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Labels = NDArray[Any]
AT_ONCE = 100_000
STRAYS = 0.001
"""Share of the oldest and of the newest events that may be left out of the history's span."""


def history_starts(rows: Rows) -> float:
    """The first moment of the history, seconds, UTC.

    A few events with a wrong clock, decades too early, must not stretch it.
    """
    return float(np.quantile(rows.event_time, STRAYS, method="lower"))


def knowledge_ends(rows: Rows, *, delay: float) -> float:
    """The last moment (seconds, UTC) that the data speaks of: its newest event, or its newest label
    within `delay` seconds after that.

    In live use that is now. An imported history may end years ago, and what happened to its last
    events was perhaps never known: taken as of today they would all count as legitimate. Nor must a
    few events or labels of today stretch such a history over years in which nothing happened.
    """
    told, last = rows.labels.time, _but_strays(rows.event_time)
    newest = max(float(rows.event_time[-1]), float(told.max(initial=0.0)))
    if newest > last + delay:
        newest = max(last, min(_but_strays(told), last + delay)) if told.size else last
    return min(rows.known_at.timestamp(), newest)


def _but_strays(moments: FloatArray) -> float:
    """The newest of float64[n], n >= 1, but for a few: of several at least one."""
    return float(np.quantile(moments, 1.0 - STRAYS, method="lower"))


def risk_of(predictor: Predictor, vectors: FloatArray) -> FloatArray:
    """What the thresholds apply to, float64[n], for vectors float64[n, k]; no reasons are made."""
    found = np.empty(len(vectors))
    for first in range(0, len(vectors), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        margin = predictor.model.margin(predictor.encoder.matrix(vectors[part]))
        probability = predictor.calibration.probability(margin)
        score = score_of(margin, predictor.model.link)
        found[part] = score if probability is None else probability
    return found


def blocks_at(rows: Rows, at: IntArray) -> Blocks:
    """What a resample draws of the rows `at` [n]: entities, or days of them where they are few."""
    return blocks_of(rows.entities[at], (rows.event_time[at] // DAY).astype(np.int64))


def evaluate_rows(
    rows: Rows,
    at: IntArray,
    labels: Labels,
    risk: FloatArray,
    *,
    span: tuple[IntArray, FloatArray],
    calibrated: bool,
    thresholds: Thresholds,
    costs: CostSpec,
    entities_a_day: int | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metrics, curves) of the rows `at` [n], whose labels [n] and risk [n] are given; stamped with
    the time of the knowledge behind them. `span`: all rows of their time, labelled or not, and
    their risk. See `core.evaluation.evaluate`."""
    every, their_risk = span
    whole = every.size == at.size
    metrics, curves = evaluate(
        labels=labels,
        risk=risk,
        calibrated=calibrated,
        amounts=rows.amounts[at],
        entities=rows.entities[at],
        event_time=rows.event_time[at],
        thresholds=thresholds,
        costs=costs,
        entities_a_day=entities_a_day,
        traffic=None
        if whole
        else Traffic(their_risk, rows.entities[every], rows.event_time[every]),
    )
    metrics["known_at"] = rows.known_at.isoformat()
    return metrics, curves


def audited_metrics(
    spec: DetectorSpec,
    rows: Rows,
    start: float,
    end: float,
    risk: Callable[[FloatArray], FloatArray],
    review: float,
) -> dict[str, Any]:
    """Recall, precision and prevalence of [start, end) corrected by the random audit; JSON-able.

    Labels count as known when the last event of the span had matured. Empty where no event of the
    span was drawn for an audit.
    """
    if rows.selection is None:
        return {}
    span = (rows.event_time >= start) & (rows.event_time < end)
    kind = rows.selection.kind[span]
    if not (kind == AUDITED).any():
        return {}
    at = min(end + spec.training.label_delay, rows.known_at.timestamp())
    labels = rows.labels.as_known_at(at, rows.event_time.size)[span]
    flagged = risk(rows.vectors[span]) >= review
    found = audit.correct(labels, flagged, kind, rows.selection.propensity[span])
    return dict(finite(found.to_dict()))


def finite(value: Any) -> Any:
    """JSON knows no NaN: a metric that could not be told becomes null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
