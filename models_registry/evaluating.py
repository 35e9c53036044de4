"""Judge a version again: with what is known today, or trained anew over earlier weeks."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import User
from jobs.models import Job
from models_registry.beside_champion import Judged, compare_with_present, unseen_from
from models_registry.core.comparison import Contender, compare
from models_registry.core.judgement import DAY
from models_registry.core.kept_metrics import cards_in
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.metrics import cards_a_day
from models_registry.core.splits import MOST_FOLDS, UNKNOWN, TimeSplit, prequential_splits
from models_registry.datasets import Rows, read_rows
from models_registry.evaluation_models import Evaluation
from models_registry.fitting import (
    PartOf,
    Progress,
    balanced_like,
    fit_parts,
    told_while_reading,
)
from models_registry.judging import (
    audited_metrics,
    blocks_at,
    evaluate_rows,
    finite,
    history_starts,
    knowledge_ends,
    risk_of,
)
from models_registry.models import ModelVersion
from models_registry.rare_class import own_parameters
from models_registry.selectors import move_of
from scoring.core.bundle import Bundle, Predictor
from scoring.core.reasons import duration
from scoring.core.spec import DetectorSpec, TrainingSpec
from scoring.deployment import loaded
from scoring.models import Detector

OVER_FOLDS = (
    *("roc_auc", "average_precision", "recall_at_1pct_fpr"),
    *("precision", "recall", "f1", "alert_rate", "false_alerts_per_true_alert"),
    *("value_detection_rate", "cost_per_event", "savings", "brier", "calibration_error"),
)
READING = "Reading logged events"
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Labels = NDArray[np.int8]


class EvaluationError(ValueError):
    """There is nothing to judge by; the message says what is missing."""


def run_evaluation(job: Job, progress: Progress) -> dict[str, Any]:
    """The work of an evaluation job: `params` has `version` and `kind`.

    An attempt that follows one which died after it had kept its evaluation judges no second time.
    """
    versions = ModelVersion.objects.select_related("detector", "dataset")
    version = versions.get(pk=job.params["version"])
    judge = evaluate_folds if job.params["kind"] == Evaluation.Kind.FOLDS else evaluate_as_of
    found = Evaluation.objects.filter(job=job).first() or judge(
        version, requested_by=job.requested_by, job=job, progress=progress
    )
    return {"evaluation": found.pk, "label": version.label, "url": version.get_absolute_url()}


def evaluate_as_of(
    version: ModelVersion,
    *,
    requested_by: User | None,
    job: Job | None,
    progress: Progress,
    now: datetime | None = None,
    keep: bool = True,
) -> Evaluation:
    """Judge the version's bundle on all matured events after those that it learnt from.

    Labels, delay and costs are those of `now`, features and thresholds the bundle's. A version
    whose thresholds were moved is compared with the one that it came from, any other with the
    champion that serves now (`compare_with_present`). What is not to be kept is compared with
    nothing: a look back, chosen by its outcome, is no evidence for a promotion. Raises
    EvaluationError when nothing has matured, BundleError when the bundle does not load,
    JobCancelled when the job was cancelled. Nothing is kept then.
    """
    detector, spec = version.detector, version.detector.spec()
    bundle = loaded(version.digest)
    if bundle.predictor is None:
        raise EvaluationError(f"{version.label} has no model to judge.")
    known_at = now or timezone.now()
    rows = _read(detector, known_at, bundle.spec, progress, high=0.6)
    progress.check_cancelled()
    span, judged, labels = _unseen(version, bundle, rows, spec.training)
    progress.report(0.65, f"Judging {judged.size:,} events")
    risk = risk_of(bundle.predictor, rows.vectors[judged])
    metrics, curves = _judge(spec, bundle.predictor, rows, span, judged, labels, risk)
    progress.check_cancelled()
    compared, told = (
        _compare(version, bundle, rows, judged, labels, risk, progress) if keep else ({}, {})
    )
    found = Evaluation(
        version=version,
        kind=Evaluation.Kind.AS_OF,
        known_at=known_at,
        first_event_at=_moment(rows.event_time[judged].min()),
        last_event_at=_moment(rows.event_time[judged].max()),
        metrics=finite(metrics | told),
        curves=finite(curves),
        job=job,
        requested_by=requested_by,
    )
    progress.check_cancelled()
    return _keep(found, compared, progress) if keep else found


def _read(
    detector: Detector, known_at: datetime, spec: DetectorSpec, progress: Progress, *, high: float
) -> Rows:
    """All that was logged, with the features of `spec`; progress goes from 0 to `high`."""
    report = told_while_reading(progress, READING, high=high)
    return read_rows(detector, known_at=known_at, spec=spec, report=report)


@transaction.atomic
def _keep(found: Evaluation, compared: dict[str, Any], progress: Progress) -> Evaluation:
    """Write it down, if the job is still ours; and what it was `compared` with, if anything."""
    progress.hold()
    found.save()
    if compared:
        found.version.comparison = compared
        found.version.save(update_fields=["comparison"])
    return found


def _unseen(
    version: ModelVersion, bundle: Bundle, rows: Rows, how: TrainingSpec
) -> tuple[tuple[float, float], IntArray, Labels]:
    """(span, rows, labels) of the matured events that the version had not learnt from."""
    start = unseen_from(version, bundle)
    end = knowledge_ends(rows, delay=how.label_delay) - how.label_delay
    judged, labels = _matured(rows, how, start, end)
    if judged.size == 0:
        labelled = "" if how.unlabelled_is_legitimate else ", and have a label"
        raise EvaluationError(
            f"Nothing to judge {version.label} by yet. Events count that it had not learnt from and"
            f" that are {duration(how.label_delay)} old, the time that labels have to"
            f" come{labelled}."
        )
    return (start, end), judged, labels


def _judge(
    spec: DetectorSpec,
    predictor: Predictor,
    rows: Rows,
    span: tuple[float, float],
    judged: IntArray,
    labels: Labels,
    risk: FloatArray,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metrics, curves) of a bundle's risk on the judged rows of a span, at its own thresholds."""
    bounds = predictor.thresholds
    every = np.flatnonzero((rows.event_time >= span[0]) & (rows.event_time < span[1]))
    whole = every.size == judged.size
    metrics, curves = evaluate_rows(
        rows,
        judged,
        labels,
        risk,
        span=(every, risk if whole else risk_of(predictor, rows.vectors[every])),
        calibrated=predictor.calibration.kind != "none",
        thresholds=bounds,
        costs=spec.costs,
    )
    metrics["audited"] = audited_metrics(
        spec, rows, *span, partial(risk_of, predictor), bounds.review
    )
    return metrics, curves


def _matured(rows: Rows, how: TrainingSpec, start: float, end: float) -> tuple[IntArray, Labels]:
    """Rows of [start, end), all of them matured, whose label is known by now, and these labels."""
    labels = rows.labels.matured(
        rows.known_at.timestamp(),
        rows.event_time,
        delay=how.label_delay,
        matured_is_genuine=how.unlabelled_is_legitimate,
    )
    inside = (rows.event_time >= start) & (rows.event_time < end) & (labels != UNKNOWN)
    found = np.flatnonzero(inside)
    return found, labels[found]


def searched_until(version: ModelVersion) -> float:
    """The moment (seconds, UTC) before which days may have chosen the version's parameters: any day
    where it is not known, none where they were not searched."""
    if not version.metrics.get("tuning"):
        return 0.0
    split = version.dataset.detail.get("split")
    return float(split["validation_end"]) if split else np.inf


def _compare(
    version: ModelVersion,
    bundle: Bundle,
    rows: Rows,
    at: IntArray,
    labels: Labels,
    risk: FloatArray,
    progress: Progress,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(comparison, what the evaluation says of it); both empty where there is nothing to compare
    it with."""
    predictor = bundle.predictor
    if predictor is None:
        return {}, {}
    if move_of(version) is not None:
        return _compare_move(version, predictor, rows, at, labels, risk), {}
    bounds = predictor.thresholds
    ours = Contender(risk, bounds.review, bounds.block)
    judged = Judged(version.detector, rows, bundle.spec, at, labels, ours)
    return compare_with_present(version, bundle, judged, progress)


def _compare_move(
    version: ModelVersion,
    predictor: Predictor,
    rows: Rows,
    judged: IntArray,
    labels: Labels,
    risk: FloatArray,
) -> dict[str, Any]:
    """Moved thresholds against the former ones on the same events; empty where none were moved."""
    move = move_of(version)
    if move is None:
        return {}
    ours, spec = predictor.thresholds, version.detector.spec()
    found = compare(
        labels,
        Contender(risk, move.review_before, move.block_before),
        Contender(risk, ours.review, ours.block),
        amounts=rows.amounts[judged],
        costs=spec.costs,
        least_positives=spec.training.minimum_positives,
        blocks=blocks_at(rows, judged),
    ).to_dict()
    found |= {"champion_digest": move.base.digest, "champion_saw_test_rows": False}
    return dict(finite(found))


def evaluate_folds(
    version: ModelVersion,
    *,
    requested_by: User | None,
    job: Job | None,
    progress: Progress,
    now: datetime | None = None,
) -> Evaluation:
    """Train the version's algorithm anew on growing histories and judge each on the next tenth.

    Its features, its parameters and what is done about the rare class are the version's own, not
    what is declared by now; delay, costs and capacity are those of today. Says how steady that is
    over time: `metrics` holds every fold, mean and standard deviation (of the population). A fold
    on days that chose the version's parameters says so (`chose_parameters`): it flatters. Nothing
    is registered or deployed. Raises as `train_version`, and BundleError when the bundle, which
    tells the features, does not load.
    """
    detector, today = version.detector, version.detector.spec()
    own = replace(loaded(version.digest).spec, training=today.training, costs=today.costs)
    spec = balanced_like(own, version)
    known_at = now or timezone.now()
    rows = _read(detector, known_at, spec, progress, high=0.2)
    splits = prequential_splits(
        history_starts(rows),
        knowledge_ends(rows, delay=spec.training.label_delay),
        delay=spec.training.label_delay,
        folds=MOST_FOLDS,
    )
    days = np.unique(rows.event_time // DAY).size
    cards = cards_a_day(spec.costs.capacity, rows.event_time.size, days)
    folds: list[dict[str, Any]] = []
    step = 0.8 / len(splits)
    for number, split in enumerate(splits):
        low, name = 0.2 + number * step, f"Fold {number + 1} of {len(splits)}"
        part = PartOf(progress, low, low + step, name)
        folds.append(_fold(version, spec, rows, split, part, cards))
    found = Evaluation(
        version=version,
        kind=Evaluation.Kind.FOLDS,
        known_at=known_at,
        first_event_at=_moment(splits[0].test_start),
        last_event_at=_moment(splits[-1].test_end),
        metrics=finite({"known_at": known_at.isoformat(), "folds": folds, **_over(folds)}),
        job=job,
        requested_by=requested_by,
    )
    return _keep(found, {}, progress)


def _fold(
    version: ModelVersion,
    spec: DetectorSpec,
    rows: Rows,
    split: TimeSplit,
    progress: Progress,
    cards: int,
) -> dict[str, Any]:
    """One training anew, judged on the test part of its split; `cards`: k of card precision@k."""
    parts = split.apply(
        rows.event_time,
        rows.labels,
        matured_is_genuine=spec.training.unlabelled_is_legitimate,
        known_at=rows.known_at.timestamp(),
        needs_labels=make_learner(version.learner).supervised,
    )
    own = own_parameters(version.parameters)
    fitted = fit_parts(version.detector, spec, version.learner, rows, parts, progress, own)
    progress.check_cancelled()
    test = parts.test
    risk = fitted.risk(rows.vectors[test.span])
    metrics, _ = evaluate_rows(
        rows,
        test.rows,
        test.labels,
        risk[test.known],
        span=(test.span, risk),
        calibrated=fitted.calibration.kind != "none",
        thresholds=fitted.thresholds,
        costs=spec.costs,
        entities_a_day=cards,
    )
    return {
        "test_start": split.test_start,
        "test_end": split.test_end,
        "train_end": split.train_end,
        "chose_parameters": split.test_start < searched_until(version),
        **metrics,
    }


def _over(folds: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of every metric over the folds in which it is known: of their own
    numbers, each fold counting alike, for how steady they are is the question."""
    columns = {}
    for name in (*OVER_FOLDS, *cards_in(*folds)):
        if all(name in fold for fold in folds):
            values = np.array([fold[name] for fold in folds], float)
            known = values[np.isfinite(values)]
            columns[name] = known if known.size else np.array([np.nan])
    return {
        "mean": {name: float(column.mean()) for name, column in columns.items()},
        "std": {name: float(column.std()) for name, column in columns.items()},
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
