"""Train one version of a detector: dataset -> learner -> judged, exported, written as a bundle."""

import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import User
from jobs.models import BY, Job
from jobs.remaining import SEARCH_BEGINS, USUAL
from models_registry.beside_champion import READING as READING_CHAMPIONS
from models_registry.beside_champion import Judged, compare_with
from models_registry.core.comparison import Contender
from models_registry.core.imbalance import recorded
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.splits import Part, Parts, TimeSplit, plan_split
from models_registry.datasets import DatasetError, Rows, describe_dataset, read_rows
from models_registry.datasets import digest as digest_of
from models_registry.documenting import document_version
from models_registry.evidence import evidence_for
from models_registry.fitting import (
    NO_PARAMETERS,
    Fitted,
    Progress,
    balanced_as,
    fit_parts,
    told_while_reading,
)
from models_registry.judging import (
    audited_metrics,
    evaluate_rows,
    finite,
    history_starts,
    knowledge_ends,
)
from models_registry.models import Dataset, ModelVersion
from models_registry.publishing import Found, publish_bundle
from models_registry.selectors import champion_of, usual_training
from models_registry.telling import tell_trained
from models_registry.tuning import tune_parameters
from scoring.core.imbalance import chosen
from scoring.core.inference import ModelError
from scoring.core.reasons import duration
from scoring.core.spec import DetectorSpec
from scoring.deployment import serving
from scoring.models import Detector

FloatArray = NDArray[np.float64]
READING = "Reading logged events"


def run_training(job: Job, progress: Progress) -> dict[str, Any]:
    """The work of a training job; see `train_version`.

    An attempt that follows one which died after it had registered a version registers no second.
    Every attempt learns from what was stored when the training was asked for, so that a search for
    parameters goes on where it was, however many events have come since.
    """
    detector = Detector.objects.get(slug=job.params["detector"])
    version = ModelVersion.objects.filter(job=job).first() or train_version(
        detector,
        learner=job.params["learner"],
        imbalance=job.params.get("imbalance", ""),
        trained_by=job.requested_by,
        job=job,
        progress=progress,
        now=job.queued_at,
        stored_by=job.queued_at,
        tune_for=job.params.get("tune_for", 0.0),
    )
    if BY not in job.params:  # At the command line one sees what came of it.
        evidence = evidence_for(version, champion_of(detector))
        tell_trained(version, evidence, reason=job.params.get("reason", ""))
    return {"version": version.pk, "label": version.label, "url": version.get_absolute_url()}


def train_version(
    detector: Detector,
    *,
    learner: str,
    trained_by: User | None,
    job: Job | None,
    progress: Progress,
    now: datetime | None = None,
    stored_by: datetime | None = None,
    tune_for: float = 0.0,
    imbalance: str = "",
) -> ModelVersion:
    """Train on all that is known at `now` and register the result as a challenger.

    `stored_by` leaves out what was stored later, whatever time it tells of (`read_rows`). For up to
    `tune_for` the learner's parameters are searched first (models_registry.tuning). `imbalance` is
    the method for a rare class, "" as declared (scoring.core.imbalance.chosen). Raises DatasetError
    or SplitError when there is too little to learn from, LearnerError on a bad learner,
    JobCancelled when the job was cancelled. Nothing is registered then.
    """
    started = time.monotonic()
    declared = detector.spec()
    spec = balanced_as(declared, chosen(declared.training.imbalance, imbalance))
    if tune_for:
        _tell_usual(detector, learner, progress)
    rows = _read(detector, now or timezone.now(), stored_by, progress)
    split, parts = _parted(spec, rows, learner, progress)
    tuning = _tune(detector, spec, learner, rows, split, tune_for, progress)
    parameters = tuning.get("parameters", NO_PARAMETERS)
    fitted = fit_parts(detector, spec, learner, rows, parts, progress, parameters)
    _begin(progress, 0.85, "Judging on the test part")
    found = _judge(detector, spec, rows, split, parts.test, fitted, progress)
    found.metrics["tuning"] = tuning
    _begin(progress, 0.95, "Exporting and checking parity")
    dataset = describe_dataset(detector, rows, split, parts)
    digest = publish_bundle(detector, spec, rows, parts, fitted, dataset, found)
    progress.report(0.99, "Registering")
    version = _register(
        detector,
        fitted,
        found,
        parameters=recorded(fitted.learner, spec.training.imbalance),
        digest=digest,
        dataset=dataset,
        trained_by=trained_by,
        job=job,
        progress=progress,
        seconds=time.monotonic() - started,
    )
    return _document(version, rows, parts.test, found)


def _begin(progress: Progress, fraction: float, stage: str) -> None:
    """The next stage, unless the job was cancelled. Raises JobCancelled."""
    progress.check_cancelled()
    progress.report(fraction, stage)


def _document(version: ModelVersion, rows: Rows, test: Part, found: Found) -> ModelVersion:
    """What it goes by and how it does by subgroup, on its test part."""
    return document_version(
        version, vectors=rows.vectors[test.span], labels=test.span_labels, risk=found.everywhere
    )


def _tell_usual(detector: Detector, learner: str, progress: Progress) -> None:
    """Say, for whoever foretells the end, how long it takes outside a search for parameters."""
    seconds = usual_training(detector, learner)
    if seconds is not None:
        text = f"Outside a search, such a training usually takes {seconds:.1f} s"
        progress.log(text, **{USUAL: seconds})


def _read(
    detector: Detector, known_at: datetime, stored_by: datetime | None, progress: Progress
) -> Rows:
    progress.report(0.0, READING)
    return read_rows(
        detector,
        known_at=known_at,
        report=told_while_reading(progress, READING, high=SEARCH_BEGINS),
        stored_by=stored_by,
    )


def _parted(
    spec: DetectorSpec, rows: Rows, learner: str, progress: Progress
) -> tuple[TimeSplit, Parts]:
    """The split of the rows and its parts, which are told in the log. Raises DatasetError or
    SplitError."""
    supervised, split = make_learner(learner).supervised, _plan(spec, rows)
    parts = _split(spec, rows, split, needs_labels=supervised)
    progress.log(_counted(rows, parts))
    if supervised and (too_late := _told_too_late(spec, rows, split, parts.train)):
        progress.log(too_late)
    return split, parts


def _counted(rows: Rows, parts: Parts) -> str:
    return (
        f"{len(rows.event_time):,} events; "
        f"train {len(parts.train.rows):,} ({parts.train.positives:,} positive), "
        f"validation {len(parts.validation.rows):,} ({parts.validation.positives:,}), "
        f"test {len(parts.test.rows):,} ({parts.test.positives:,})"
    )


def _plan(spec: DetectorSpec, rows: Rows) -> TimeSplit:
    delay = spec.training.label_delay
    return plan_split(history_starts(rows), knowledge_ends(rows, delay=delay), delay=delay)


def _split(spec: DetectorSpec, rows: Rows, split: TimeSplit, *, needs_labels: bool = True) -> Parts:
    parts = split.apply(
        rows.event_time,
        rows.labels,
        matured_is_genuine=spec.training.unlabelled_is_legitimate,
        known_at=rows.known_at.timestamp(),
        needs_labels=needs_labels,
    )
    if needs_labels and parts.train.positives < spec.training.minimum_positives:
        too_late = _told_too_late(spec, rows, split, parts.train)
        raise DatasetError(
            f"Only {parts.train.positives} labelled positives lie in the training part; "
            f"{spec.training.minimum_positives} are needed. Label more, or wait for labels."
            f"{' ' * bool(too_late)}{too_late}"
        )
    if needs_labels and parts.train.positives == parts.train.labelled:
        raise DatasetError(
            f"All {parts.train.positives:,} labelled events of the training part are positive, and"
            " this algorithm tells two kinds apart. Label legitimate events too, choose an"
            " algorithm that needs no labels, or declare that silence means legitimate"
            " (training: unlabelled_is_legitimate)."
        )
    return parts


def _told_too_late(spec: DetectorSpec, rows: Rows, split: TimeSplit, train: Part) -> str:
    """How many events of the training part are known to be bad by now and were not when its labels
    were read, and what to do; empty without any."""
    now = rows.labels.as_known_at(rows.known_at.timestamp(), rows.event_time.size)
    late = int(((now[train.span] == 1) & (train.span_labels != 1)).sum())
    if not late:
        return ""
    until = datetime.fromtimestamp(split.validation_start, UTC)
    return (
        f"{late:,} events of the training part were called bad only after {until:%Y-%m-%d %H:%M} "
        "UTC. Its labels are those that were known by then, as they would have been to a model of "
        "that day, so these do not count as bad. Where it was known earlier, send them again with "
        f"their label_time; where labels take longer than {duration(spec.training.label_delay)}, "
        "declare a longer label_delay."
    )


def _tune(
    detector: Detector,
    spec: DetectorSpec,
    learner: str,
    rows: Rows,
    split: TimeSplit,
    seconds: float,
    progress: Progress,
) -> dict[str, Any]:
    """Search on folds that end where validation does; the test part is not looked at."""
    return tune_parameters(
        detector,
        learner=learner,
        spec=spec,
        rows=rows,
        start=split.train_start,
        end=split.validation_end,
        data_digest=digest_of(rows),
        seconds=seconds,
        progress=progress,
    )


def _judge(
    detector: Detector,
    spec: DetectorSpec,
    rows: Rows,
    split: TimeSplit,
    test: Part,
    fitted: Fitted,
    progress: Progress,
) -> Found:
    """How good it is on the test part, and against the champion there."""
    everywhere = fitted.risk(rows.vectors[test.span])
    risk = everywhere[test.known]
    metrics, curves = evaluate_rows(
        rows,
        test.rows,
        test.labels,
        risk,
        span=(test.span, everywhere),
        calibrated=fitted.calibration.kind != "none",
        thresholds=fitted.thresholds,
        costs=spec.costs,
    )
    metrics["calibration"] = fitted.calibrations
    metrics["audited"] = audited_metrics(
        spec, rows, split.test_start, split.test_end, fitted.risk, fitted.thresholds.review
    )
    progress.check_cancelled()
    try:
        comparison = _compare(detector, spec, rows, test, fitted, risk, progress)
    except (DatasetError, ModelError) as problem:
        comparison, metrics["not_compared"] = {}, str(problem)
        progress.log(f"No comparison with the champion: {problem}")
    return Found(risk, everywhere, metrics, curves, comparison)


def _compare(
    detector: Detector,
    spec: DetectorSpec,
    rows: Rows,
    test: Part,
    fitted: Fitted,
    risk: FloatArray,
    progress: Progress,
) -> dict[str, Any]:
    """Champion and candidate on the same test rows, each with the features that it learnt from;
    empty when there is no champion. Raises DatasetError or ModelError where it cannot be read."""
    champion = serving(detector.slug).bundle
    if champion.predictor is None:
        return {}
    if not test.rows.size:
        raise DatasetError("no event of its test part has a label.")
    ours = Contender(risk, fitted.thresholds.review, fitted.thresholds.block)
    judged = Judged(detector, rows, spec, test.rows, test.labels, ours)
    report = told_while_reading(progress, READING_CHAMPIONS, low=0.85, high=0.95)
    found = compare_with(champion, judged, spec, report=report)
    trained = champion.manifest.get("training", {})
    # A champion that was trained on some of these very rows is flattered; the page says so.
    saw = trained.get("last_fitted_at", 0.0) > rows.event_time[test.rows[0]]
    return found | {"champion_saw_test_rows": bool(saw)}


@transaction.atomic
def _register(
    detector: Detector,
    fitted: Fitted,
    found: Found,
    *,
    parameters: dict[str, Any],
    digest: str,
    dataset: Dataset,
    trained_by: User | None,
    job: Job | None,
    progress: Progress,
    seconds: float,
) -> ModelVersion:
    progress.hold()
    Detector.objects.select_for_update().get(pk=detector.pk)
    newest = ModelVersion.objects.filter(detector=detector).aggregate(n=Max("number"))["n"]
    dataset.save()
    return ModelVersion.objects.create(
        detector=detector,
        number=(newest or 0) + 1,
        learner=fitted.learner.name,
        digest=digest,
        dataset=dataset,
        parameters=finite(parameters),
        metrics=finite(found.metrics),
        comparison=finite(found.comparison),
        curves=finite(found.curves),
        job=job,
        trained_by=trained_by,
        trained_at=timezone.now(),
        training_seconds=seconds,
    )
