"""Search a learner's parameters for one training: folds of its own history, trials that are kept.

The folds lie before the validation part of the training's split ends, so nothing of the test part
is looked at; each is learnt from, waits for its labels, and is judged, like the split itself.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jobs.remaining import SEARCH, SEARCH_BEGINS, SEARCHED
from models_registry.core.encoding import fit_encoder, training_matrix
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.splits import UNKNOWN
from models_registry.core.tuning import (
    MOST_TRIALS,
    Fold,
    Search,
    Trial,
    best_of,
    can_be_tuned,
    chosen_of,
    parameters_of,
    search,
    space_of,
)
from models_registry.datasets import Rows
from models_registry.tuning_models import TuningTrial
from scoring.core.spec import DetectorSpec, TrainingSpec
from scoring.models import Detector

MOST_FOLDS = 4
LEAST_POSITIVES = 5
"""Fewer in a fold say nothing about a ranking."""
FoldTimes = tuple[float, float, float, float]
"""Start and end of what is learnt from, start and end of what is judged; seconds, UTC."""


class Progress(Protocol):
    """The part of `fitting.Progress` that a search uses."""

    def report(self, fraction: float, stage: str) -> None: ...
    def log(self, text: str, **told: float) -> None: ...
    def check_cancelled(self) -> None: ...


def fold_times(start: float, end: float, *, delay: float) -> list[FoldTimes]:
    """MOST_FOLDS folds inside [start, end), oldest first, judged spans side by side.

    Each learns from a span twice as long as the one that it is judged on, one delay before it; the
    oldest begins at the history's start. None where the delay leaves nothing.
    """
    judged = (end - start - delay) / (MOST_FOLDS + 2)
    if judged <= 0.0:
        return []
    found = []
    for i in range(MOST_FOLDS):
        first = start + i * judged
        again = first + 2 * judged + delay
        found.append((first, first + 2 * judged, again, again + judged))
    return found


def make_folds(spec: DetectorSpec, rows: Rows, times: Sequence[FoldTimes]) -> list[Fold]:
    """The folds that hold both classes on both sides, encoded as training encodes.

    Labels are those known one label delay after a span's end, as in the training's own split.
    """
    delay = spec.training.label_delay
    found = []
    for learnt_from, learnt_to, judged_from, judged_to in times:
        learnt, learnt_labels, sure = _span(rows, learnt_from, learnt_to, spec.training)
        judged, judged_labels, _ = _span(rows, judged_from, judged_to, spec.training)
        if min(_rarer(learnt_labels), _rarer(judged_labels)) < LEAST_POSITIVES:
            continue
        encoder = fit_encoder(spec.features, rows.vectors[learnt], {}, learnt_labels)
        matrix = training_matrix(
            encoder, spec.features, rows.vectors[learnt], learnt_labels, rows.event_time[learnt],
            label_delay=delay,
        )  # fmt: skip
        found.append(
            Fold(matrix, learnt_labels, encoder.matrix(rows.vectors[judged]), judged_labels, sure)
        )
    return found


def _span(
    rows: Rows, start: float, end: float, how: TrainingSpec
) -> tuple[NDArray[np.intp], NDArray[np.int8], NDArray[np.float64] | None]:
    """Rows of [start, end), oldest first, whose label was known one delay after its end; how sure
    each is (None: all are)."""
    at = min(end + how.label_delay, rows.known_at.timestamp())
    labels = rows.labels.matured(
        at,
        rows.event_time,
        delay=how.label_delay,
        matured_is_genuine=how.unlabelled_is_legitimate,
    )
    inside = (rows.event_time >= start) & (rows.event_time < end) & (labels != UNKNOWN)
    found = np.flatnonzero(inside)
    found = found[np.argsort(rows.event_time[found], kind="stable")]
    sure = rows.labels.confidence_at(at, rows.event_time.size)
    return found, labels[found], None if sure is None else sure[found]


def _rarer(labels: NDArray[np.int8]) -> int:
    positives = int((labels == 1).sum())
    return min(positives, labels.size - positives)


def tune_parameters(
    detector: Detector,
    *,
    learner: str,
    spec: DetectorSpec,
    rows: Rows,
    start: float,
    end: float,
    data_digest: str,
    seconds: float,
    progress: Progress,
) -> dict[str, Any]:
    """What a search of at most `seconds` found, as a version keeps it; {} where there is nothing to
    search or too little to judge it by. `took` are the seconds of this one, `seconds` its trials'.

    Trials that were kept for the same data and folds count as done, with their time. The log tells
    how long the search took (`jobs.remaining.SEARCHED`).
    """
    if seconds <= 0.0:
        return {}
    if not can_be_tuned(learner):
        progress.log("The algorithm has no parameters to search.", **{SEARCHED: 0.0})
        return {}
    begun = time.monotonic()
    times = fold_times(start, end, delay=spec.training.label_delay)
    folds = make_folds(spec, rows, times)
    if not folds:
        text = "The history is too short, or its positives too few, to search parameters."
        progress.log(text, **{SEARCHED: 0.0})
        return {}
    study = _study_key(detector, learner, spec, data_digest, times)
    known = kept_trials(study)
    if known:
        progress.log(f"{len(known)} trials of an earlier attempt are taken over.")
    task = Search(
        learner,
        folds,
        lambda found: make_learner(learner, **found),
        seconds,
        imbalance=spec.training.imbalance,
    )
    trials = _searched(detector, study, task, known, progress)
    took = time.monotonic() - begun
    text = f"Parameters searched in {took:.1f} s: {len(trials) - len(known)} trials"
    progress.log(text, **{SEARCHED: took})
    return _summary(study, learner, trials, len(folds)) | {"took": took}


def _searched(
    detector: Detector, study: str, task: Search, known: Sequence[Trial], progress: Progress
) -> list[Trial]:
    """All trials of a study after its search; each is kept and told once it is over."""
    told = list(known)

    def keep(trial: Trial) -> None:
        told.append(trial)
        _keep(detector, study, task.learner, trial)
        _tell(progress, told, task.seconds)

    stage = f"Searching parameters: trial {len(told) + 1}, for {task.seconds:.0f} s at most"
    progress.report(_how_far(told, task.seconds), stage)
    return search(task, known=known, on_trial=keep, check=progress.check_cancelled)


def _tell(progress: Progress, trials: Sequence[Trial], seconds: float) -> None:
    """How far a search of `seconds` is after these trials; why the newest failed, if it did."""
    newest, best = trials[-1], best_of(trials)
    if newest.error:
        progress.log(f"Trial {newest.number + 1} failed: {newest.error}")
    shown = "" if best is None else f", best average precision {best.value:.4f}"
    spent = sum(trial.seconds for trial in trials)
    progress.report(
        _how_far(trials, seconds),
        f"Searching parameters: trial {newest.number + 1} of {MOST_TRIALS} at most, "
        f"{spent:.0f} of {seconds:.0f} s{shown}",
    )


def _how_far(trials: Sequence[Trial], seconds: float) -> float:
    """The progress at which a search of `seconds` stands: its part is what is left of them.

    A search ends with the trial that uses them up, or with the last one that there may be.
    """
    spent = sum(trial.seconds for trial in trials)
    if not trials or not spent:
        return SEARCH_BEGINS
    each = spent / len(trials)
    more = min(math.ceil(max(seconds - spent, 0.0) / each), MOST_TRIALS - len(trials))
    return SEARCH_BEGINS + SEARCH * (1.0 - min(more * each / seconds, 1.0))


def _summary(study: str, learner: str, trials: Sequence[Trial], folds: int) -> dict[str, Any]:
    chosen = chosen_of(learner, trials)
    return {
        "study": study,
        "trials": len(trials),
        "given_up": sum(trial.value is None and not trial.error for trial in trials),
        "failed": sum(bool(trial.error) for trial in trials),
        "folds": folds,
        "seconds": sum(trial.seconds for trial in trials),
        "default": trials[0].value,
        "best": chosen[0].value if chosen else None,
        "chosen": [trial.number for trial in chosen],
        "parameters": parameters_of(chosen),
    }


def kept_trials(study: str) -> list[Trial]:
    """The trials of a study so far, in order."""
    return [
        Trial(row.number, row.parameters, tuple(row.folds), row.value, row.seconds, row.error)
        for row in TuningTrial.objects.filter(study=study).order_by("number")
    ]


def _keep(detector: Detector, study: str, learner: str, trial: Trial) -> None:
    # Another attempt of the same job may have kept this number already: the first one stays.
    TuningTrial.objects.get_or_create(
        study=study,
        number=trial.number,
        defaults={
            "detector": detector,
            "learner": learner,
            "parameters": trial.parameters,
            "folds": list(trial.folds),
            "value": trial.value,
            "seconds": trial.seconds,
            "error": trial.error,
        },
    )


def _study_key(
    detector: Detector,
    learner: str,
    spec: DetectorSpec,
    data_digest: str,
    times: Sequence[FoldTimes],
) -> str:
    # How features are prepared is declared, not in the data: it changes what a trial learns from.
    declared = (repr(spec.training), repr(spec.features))
    parts = (detector.pk, learner, data_digest, tuple(times), *declared, space_of(learner))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
