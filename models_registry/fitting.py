"""Fit everything of a version: encoder and learner, calibration and thresholds."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from jobs.remaining import SEARCH_ENDS
from models_registry.core.calibration import choose_calibration
from models_registry.core.encoding import fit_encoder, training_matrix
from models_registry.core.imbalance import fit_balanced, told_in
from models_registry.core.learners.base import Learner, Matrix, OnProgress, ShouldStop
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.splits import Part, Parts
from models_registry.core.thresholds import choose_thresholds, choose_thresholds_without_labels
from models_registry.core.watched import LOOK_SECONDS, fit_watched
from models_registry.datasets import Rows
from models_registry.models import ModelVersion
from models_registry.rare_class import left_alone
from scoring.core.decision import Thresholds
from scoring.core.encoder import Encoder
from scoring.core.features import category_code
from scoring.core.imbalance import ImbalanceSpec
from scoring.core.inference import Calibration, score_of
from scoring.core.spec import DetectorSpec
from scoring.models import Detector, Prediction

NO_PARAMETERS: Final[Mapping[str, Any]] = {}
LEVEL_SAMPLE = 20_000
FloatArray = NDArray[np.float64]


class Progress(Protocol):
    """What training tells about itself (jobs.services.JobProgress is one)."""

    def report(self, fraction: float, stage: str) -> None: ...
    def log(self, text: str, **told: float) -> None: ...
    def check_cancelled(self) -> None: ...
    def hold(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """Everything that was fitted on the training and validation parts."""

    learner: Learner
    encoder: Encoder
    calibration: Calibration
    thresholds: Thresholds
    calibrations: dict[str, Any]

    def risk(self, vectors: FloatArray) -> FloatArray:
        """What the thresholds apply to, float64[n]: probability, or score when uncalibrated."""
        margin = self.learner.margin(self.encoder.matrix(vectors))
        probability = self.calibration.probability(margin)
        return score_of(margin, self.learner.link) if probability is None else probability


Report = Callable[[float, str], None]


class QuietProgress:
    """For callers without a job: a command, a test."""

    def __init__(self, say: Report | None = None) -> None:
        self._say = say or (lambda fraction, stage: None)

    def report(self, fraction: float, stage: str) -> None:
        self._say(fraction, stage)

    def log(self, text: str, **told: float) -> None:
        self._say(1.0, text)

    def check_cancelled(self) -> None:
        """Nobody can cancel it."""

    def hold(self) -> None:
        """Nobody else has it."""


class PartOf:
    """The progress of one of several pieces of work: its 0 to 1 lie between `low` and `high`."""

    def __init__(self, whole: Progress, low: float, high: float, name: str) -> None:
        self._whole, self._low, self._high, self._name = whole, low, high, name

    def report(self, fraction: float, stage: str) -> None:
        within = self._low + (self._high - self._low) * fraction
        self._whole.report(within, f"{self._name}: {stage}")

    def log(self, text: str, **told: float) -> None:
        # What a part tells of its own time says nothing of the whole's.
        self._whole.log(f"{self._name}: {text}")

    def check_cancelled(self) -> None:
        self._whole.check_cancelled()

    def hold(self) -> None:
        self._whole.hold()


def told_while_reading(
    progress: Progress, stage: str, *, low: float = 0.0, high: float = 1.0
) -> Callable[[float], None]:
    """For a long read to call with its 0 to 1, which lie between `low` and `high` of the whole.

    The call raises JobCancelled once somebody cancelled the job; it looks at most twice a second.
    """
    looked_at = -math.inf

    def report(part: float) -> None:
        nonlocal looked_at
        if time.monotonic() - looked_at >= LOOK_SECONDS:
            progress.check_cancelled()
            looked_at = time.monotonic()
        progress.report(low + (high - low) * part, stage)

    return report


def balanced_as(spec: DetectorSpec, how: ImbalanceSpec) -> DetectorSpec:
    """The declaration with `how` in the place of what it says about a rare class."""
    return replace(spec, training=replace(spec.training, imbalance=how))


def balanced_like(spec: DetectorSpec, version: ModelVersion) -> DetectorSpec:
    """The declaration with what a version did about its rare class: to fit another one alike.

    Raises LearnerError where its record cannot be followed.
    """
    return balanced_as(spec, told_in(version.parameters))


def fit_parts(
    detector: Detector,
    spec: DetectorSpec,
    learner_name: str,
    rows: Rows,
    parts: Parts,
    progress: Progress,
    parameters: Mapping[str, Any] = NO_PARAMETERS,
) -> Fitted:
    """Fit encoder and learner on the training part, calibration and thresholds on validation.

    `parameters` are the learner's where they are not its defaults. Raises LearnerError.
    """
    train, validation = parts.train, parts.validation
    new = make_learner(learner_name, **parameters)
    progress.report(SEARCH_ENDS, f"Training {new.title}")
    vectors = rows.vectors[train.rows]
    encoder = fit_encoder(spec.features, vectors, _level_names(detector, spec), train.labels)
    matrix = training_matrix(
        encoder,
        spec.features,
        vectors,
        train.labels,
        rows.event_time[train.rows],
        label_delay=spec.training.label_delay,
    )
    learner = _fit_learner(new, spec, matrix, train, progress)
    progress.check_cancelled()
    progress.report(0.78, "Calibrating and choosing thresholds")
    everything = learner.margin(encoder.matrix(rows.vectors[validation.span]))
    known = validation.known
    calibration, tried = choose_calibration(everything[known], validation.labels)
    probability = calibration.probability(everything)
    if probability is None:
        scores = score_of(everything, learner.link)
        thresholds = choose_thresholds_without_labels(scores, spec.costs.capacity)
    else:
        thresholds = choose_thresholds(
            probability[known],
            validation.labels,
            rows.amounts[validation.rows],
            spec.costs,
            everything=probability,
        )
    return Fitted(learner, encoder, calibration, thresholds, tried)


def _fit_learner(
    new: Learner,
    spec: DetectorSpec,
    matrix: Matrix,
    train: Part,
    progress: Progress,
) -> Learner:
    """Fit as the declaration says, each label by how sure it is; whoever cancels need not wait for
    the learner."""

    def fit(on_progress: OnProgress, should_stop: ShouldStop) -> Learner:
        return fit_balanced(
            new,
            spec.training.imbalance,
            matrix,
            train.labels,
            weights=train.weights,
            on_progress=on_progress,
            should_stop=should_stop,
        )

    how, events = spec.training.imbalance, int(train.rows.size)
    if new.supervised and how.method != "none":
        left = left_alone(how.method, how.ratio, events=events, positives=train.positives)
        if left:
            progress.log(f"Rare class: {left}")
    begun = time.monotonic()
    learner = fit_watched(
        fit,
        name=new.name,
        on_progress=lambda part: progress.report(
            SEARCH_ENDS + 0.35 * part, f"Training {new.title}"
        ),
        check=progress.check_cancelled,
    )
    progress.log(f"{new.title} fitted in {time.monotonic() - begun:.1f} s")
    return learner


def _level_names(detector: Detector, spec: DetectorSpec) -> dict[str, dict[float, str]]:
    """Readable names of category codes, from recent events: as the newest one wrote them."""
    fields = [f.field for f in spec.features if f.kind == "category"]
    found: dict[str, dict[float, str]] = {field: {} for field in fields}
    if not fields:
        return found
    recent = Prediction.objects.filter(detector=detector).order_by("-event_time")
    for event in recent.values_list("event", flat=True)[:LEVEL_SAMPLE]:
        for field in fields:
            if event.get(field) is not None:
                text = str(event[field])
                found[field].setdefault(category_code(text), text.strip())
    return found
