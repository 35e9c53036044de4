"""Train one version of a detector: dataset -> learner -> judged, exported, written as a bundle."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import numpy as np
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import User
from jobs.models import Job
from models_registry.core.calibration import fit_calibration
from models_registry.core.comparison import Contender, compare
from models_registry.core.encoding import fit_encoder, training_matrix
from models_registry.core.evaluation import evaluate
from models_registry.core.export import arrays_to_bytes, check_parity
from models_registry.core.learners.base import Learner
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.reference import describe_features
from models_registry.core.splits import Part, Parts, plan_split
from models_registry.core.thresholds import choose_thresholds, choose_thresholds_without_labels
from models_registry.datasets import DatasetError, Rows, read_rows, record_dataset
from models_registry.documenting import document_version
from models_registry.models import Dataset, ModelVersion
from scoring.core.bundle import EXPLAIN, MODEL, Bundle, write_bundle
from scoring.core.decision import Thresholds
from scoring.core.encoder import Encoder
from scoring.core.features import category_code
from scoring.core.inference import Calibration, score_of
from scoring.core.pipeline import judge
from scoring.core.spec import DetectorSpec
from scoring.deployment import bundle_root, serving
from scoring.models import Detector, Prediction

LEVEL_SAMPLE = 20_000
STRAYS = 0.001
"""Share of the oldest events that may be left out of the history's span."""
FloatArray = NDArray[np.float64]


class Progress(Protocol):
    """What training tells about itself (jobs.services.JobProgress is one)."""

    def report(self, fraction: float, stage: str) -> None: ...
    def log(self, text: str) -> None: ...
    def check_cancelled(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """Everything that was fitted on the training and validation parts."""

    learner: Learner
    encoder: Encoder
    calibration: Calibration
    thresholds: Thresholds

    def risk(self, vectors: FloatArray) -> FloatArray:
        """What the thresholds apply to, float64[n]: probability, or score when uncalibrated."""
        margin = self.learner.margin(self.encoder.matrix(vectors))
        probability = self.calibration.probability(margin)
        return score_of(margin, self.learner.link) if probability is None else probability


def run_training(job: Job, progress: Progress) -> dict[str, Any]:
    """The work of a training job; see `train_version`."""
    detector = Detector.objects.get(slug=job.params["detector"])
    version = train_version(
        detector,
        learner=job.params["learner"],
        trained_by=job.requested_by,
        job=job,
        progress=progress,
    )
    return {"version": version.pk, "label": version.label, "url": version.get_absolute_url()}


def train_version(
    detector: Detector,
    *,
    learner: str,
    trained_by: User | None,
    job: Job | None,
    progress: Progress,
    now: datetime | None = None,
) -> ModelVersion:
    """Train on all that is known at `now` and register the result as a challenger.

    Raises DatasetError or SplitError when there is too little to learn from, LearnerError on a bad
    learner, JobCancelled when the job was cancelled. Nothing is registered then.
    """
    started = time.monotonic()
    spec = detector.spec()
    known_at = now or timezone.now()
    progress.report(0.0, "Reading logged events")
    rows = read_rows(
        detector,
        known_at=known_at,
        report=lambda part: progress.report(0.3 * part, "Reading logged events"),
    )
    parts = _split(spec, rows)
    progress.log(
        f"{len(rows.event_time):,} events; "
        f"train {len(parts.train.rows):,} ({parts.train.positives:,} positive), "
        f"validation {len(parts.validation.rows):,} ({parts.validation.positives:,}), "
        f"test {len(parts.test.rows):,} ({parts.test.positives:,})"
    )
    fitted = _fit(detector, spec, learner, rows, parts, progress)
    progress.report(0.85, "Judging on the test part")
    test = parts.test
    risk = fitted.risk(rows.vectors[test.rows])
    metrics, curves = evaluate(
        labels=test.labels,
        risk=risk,
        calibrated=fitted.calibration.kind != "none",
        amounts=rows.amounts[test.rows],
        entities=rows.entities[test.rows],
        event_time=rows.event_time[test.rows],
        thresholds=fitted.thresholds,
        costs=spec.costs,
    )
    metrics["known_at"] = known_at.isoformat()
    comparison = _compare(detector, spec, rows, test, fitted, risk)
    progress.check_cancelled()
    progress.report(0.95, "Exporting and checking parity")
    dataset = record_dataset(detector, rows)
    digest = _publish(detector, spec, rows, parts, fitted, dataset, metrics)
    progress.report(0.99, "Registering")
    version = _register(
        detector,
        fitted,
        digest=digest,
        dataset=dataset,
        metrics=metrics,
        comparison=comparison,
        curves=curves,
        trained_by=trained_by,
        job=job,
        seconds=time.monotonic() - started,
    )
    return document_version(version, vectors=rows.vectors[test.rows], labels=test.labels, risk=risk)


def _split(spec: DetectorSpec, rows: Rows) -> Parts:
    # A few events with a wrong clock, decades too early, must not stretch the history.
    start = float(np.quantile(rows.event_time, STRAYS, method="lower"))
    split = plan_split(start, _knowledge_ends(rows), delay=spec.training.label_delay)
    parts = split.apply(rows.event_time, rows.labels, matured_is_genuine=True)
    if parts.train.positives < spec.training.minimum_positives:
        raise DatasetError(
            f"Only {parts.train.positives} labelled positives lie in the training part; "
            f"{spec.training.minimum_positives} are needed. Label more, or wait for labels."
        )
    return parts


def _knowledge_ends(rows: Rows) -> float:
    """The last moment (seconds, UTC) that the data speaks of: its newest event or label.

    In live use that is now. An imported history may end years ago, and what happened to its last
    events was perhaps never known: taken as of today they would all count as legitimate.
    """
    newest = max(float(rows.event_time[-1]), float(rows.labels.time.max(initial=0.0)))
    return min(rows.known_at.timestamp(), newest)


def _fit(
    detector: Detector,
    spec: DetectorSpec,
    learner_name: str,
    rows: Rows,
    parts: Parts,
    progress: Progress,
) -> Fitted:
    train, validation = parts.train, parts.validation
    encoder = fit_encoder(
        spec.features, rows.vectors[train.rows], _level_names(detector, spec), train.labels
    )
    learner = make_learner(learner_name)
    learner.fit(
        training_matrix(
            encoder,
            spec.features,
            rows.vectors[train.rows],
            train.labels,
            rows.event_time[train.rows],
            label_delay=spec.training.label_delay,
        ),
        train.labels,
        on_progress=lambda part: progress.report(0.3 + 0.45 * part, f"Training {learner.title}"),
        should_stop=partial(_stopped, progress),
    )
    progress.check_cancelled()
    progress.report(0.78, "Calibrating and choosing thresholds")
    margin = learner.margin(encoder.matrix(rows.vectors[validation.rows]))
    calibration = fit_calibration(margin, validation.labels)
    probability = calibration.probability(margin)
    if probability is None:
        scores = score_of(margin, learner.link)
        thresholds = choose_thresholds_without_labels(scores, spec.costs.capacity)
    else:
        thresholds = choose_thresholds(
            probability, validation.labels, rows.amounts[validation.rows], spec.costs
        )
    return Fitted(learner, encoder, calibration, thresholds)


def _stopped(progress: Progress) -> bool:
    """For learners that ask between steps: raises JobCancelled when the job was cancelled."""
    progress.check_cancelled()
    return False


def _level_names(detector: Detector, spec: DetectorSpec) -> dict[str, dict[float, str]]:
    """Readable names of category codes, from recent events."""
    fields = [f.field for f in spec.features if f.kind == "category"]
    found: dict[str, dict[float, str]] = {field: {} for field in fields}
    if not fields:
        return found
    recent = Prediction.objects.filter(detector=detector).order_by("-event_time")
    for event in recent.values_list("event", flat=True)[:LEVEL_SAMPLE]:
        for field in fields:
            if event.get(field) is not None:
                text = str(event[field])
                found[field].setdefault(category_code(text), text.strip().casefold())
    return found


def _champion(detector: Detector, spec: DetectorSpec) -> Bundle | None:
    """The serving bundle, if it has a model that reads today's features."""
    bundle = serving(detector.slug).bundle
    usable = bundle.predictor is not None and bundle.plan.names == spec.feature_names
    return bundle if usable else None


def _compare(
    detector: Detector,
    spec: DetectorSpec,
    rows: Rows,
    test: Part,
    fitted: Fitted,
    risk: FloatArray,
) -> dict[str, Any]:
    """Champion and candidate on the same test rows; empty when there is no champion."""
    champion = _champion(detector, spec)
    if champion is None or champion.predictor is None:
        return {}
    judged = judge(champion.predictor, rows.vectors[test.rows])
    if judged is None:
        return {}
    theirs = judged.score if judged.probability is None else judged.probability
    bounds = champion.predictor.thresholds
    ours = fitted.thresholds
    found = compare(
        test.labels,
        Contender(theirs, bounds.review, bounds.block),
        Contender(risk, ours.review, ours.block),
        amounts=rows.amounts[test.rows],
        costs=spec.costs,
        entities=rows.entities[test.rows],
    ).to_dict()
    trained = champion.manifest.get("training", {})
    # A champion that was trained on some of these very rows is flattered; the page says so.
    found["champion_saw_test_rows"] = bool(
        trained.get("last_fitted_at", 0.0) > rows.event_time[test.rows[0]]
    )
    found["champion_digest"] = champion.digest
    return found


def _publish(
    detector: Detector,
    spec: DetectorSpec,
    rows: Rows,
    parts: Parts,
    fitted: Fitted,
    dataset: Dataset,
    metrics: dict[str, Any],
) -> str:
    """Export, prove that the export gives the learner's numbers, write the bundle."""
    exported = fitted.learner.export()
    check_parity(fitted.learner, exported, fitted.encoder.matrix(rows.vectors[parts.test.rows]))
    categories = {f.name for f in spec.features if f.kind == "category"}
    manifest = {
        "detector": detector.config,
        "learner": fitted.learner.name,
        "parameters": fitted.learner.parameters(),
        "link": exported.link,
        "encoder": fitted.encoder.to_dict(),
        "calibration": fitted.calibration.to_dict(),
        "thresholds": fitted.thresholds.to_dict(),
        "reference": describe_features(
            rows.vectors[parts.train.rows], spec.feature_names, categorical=categories
        ),
        "training": {
            "dataset_digest": dataset.digest,
            "rows": len(parts.train.rows),
            "positives": parts.train.positives,
            "known_at": rows.known_at.isoformat(),
            "last_fitted_at": float(rows.event_time[parts.validation.rows[-1]]),
        },
        "metrics": metrics,
        "created_at": datetime.now(UTC).isoformat(),
    }
    files = {MODEL: exported.onnx, EXPLAIN: arrays_to_bytes(exported.arrays)}
    return write_bundle(bundle_root(), _finite(manifest), files)


def _finite(value: Any) -> Any:
    """JSON knows no NaN: a metric that could not be told becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


@transaction.atomic
def _register(
    detector: Detector,
    fitted: Fitted,
    *,
    digest: str,
    dataset: Dataset,
    metrics: dict[str, Any],
    comparison: dict[str, Any],
    curves: dict[str, Any],
    trained_by: User | None,
    job: Job | None,
    seconds: float,
) -> ModelVersion:
    Detector.objects.select_for_update().get(pk=detector.pk)
    newest = ModelVersion.objects.filter(detector=detector).aggregate(n=Max("number"))["n"]
    return ModelVersion.objects.create(
        detector=detector,
        number=(newest or 0) + 1,
        learner=fitted.learner.name,
        digest=digest,
        dataset=dataset,
        parameters=_finite(fitted.learner.parameters()),
        metrics=_finite(metrics),
        comparison=_finite(comparison),
        curves=_finite(curves),
        job=job,
        trained_by=trained_by,
        trained_at=timezone.now(),
        training_seconds=seconds,
    )


Report = Callable[[float, str], None]


class QuietProgress:
    """For callers without a job: a command, a test."""

    def __init__(self, say: Report | None = None) -> None:
        self._say = say or (lambda fraction, stage: None)

    def report(self, fraction: float, stage: str) -> None:
        self._say(fraction, stage)

    def log(self, text: str) -> None:
        self._say(1.0, text)

    def check_cancelled(self) -> None:
        """Nobody can cancel it."""
