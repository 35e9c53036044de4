"""Search for a learner's parameters under a time budget, on validation folds only.

Optuna's tree-structured Parzen estimator (Bergstra et al., "Algorithms for hyper-parameter
optimization", NIPS 2011) proposes, the mean average precision over the folds judges. A trial that
is behind the median of the others after a fold is given up (Optuna's median pruner). The defaults
are always the first trial. A search goes on where another one stopped: it is told the trials that
are known, and their seconds count against the budget.

What is learned with is not the best trial alone where a learner can be averaged: the first of many
trials that differ by noise is first by luck, and the mean of a few of them errs less than any.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import optuna
from numpy.typing import NDArray

from models_registry.core.imbalance import fit_balanced
from models_registry.core.learners.base import (
    Learner,
    LearnerError,
    Matrix,
    OnProgress,
    ShouldStop,
    TrainingCancelledError,
)
from models_registry.core.learners.committee import MEAN_WITH
from models_registry.core.metrics import average_precision
from models_registry.core.search_spaces import AVERAGED, SPACES
from models_registry.core.watched import fit_watched
from scoring.core.imbalance import NOTHING, ImbalanceSpec
from scoring.core.tree_shap import MAX_TABLE_BYTES, table_bytes

STARTUP_TRIALS: Final = 12
"""Drawn at random before the estimator has enough to go by."""
MOST_TRIALS: Final = 500
MOST_AVERAGED: Final = 3
"""docs/evidence/handbook-training.md says what more of them, and fewer, give."""
ROOM: Final = 0.8
"""Of what explanations may take, for trees that learn from all rows grow larger than a fold's."""
NOISE: Final = 0.01
"""Trials whose means differ by less are not told apart by a few folds."""

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]
STATE: Final = optuna.trial.TrialState
optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True, slots=True)
class Fold:
    """Encoded rows to learn from, float32[n, m], and later ones to judge on; labels are 0 and 1.

    `train_weights` float64[n]: how sure each label is; None where all are.
    """

    train: Matrix
    train_labels: NDArray[np.int8]
    validation: Matrix
    validation_labels: NDArray[np.int8]
    train_weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What one set of parameters gave. `folds`: average precision by fold, fewer where it was given
    up or failed; `value`: their mean, None for those; `error`: why it failed, else empty."""

    number: int
    parameters: dict[str, Any]
    folds: tuple[float, ...]
    value: float | None
    seconds: float
    error: str = ""


class TrialError(Exception):
    """A learner failed at one set of parameters; the message is its own."""


@dataclass(frozen=True, slots=True)
class Search:
    """What to search, and how long. `make(parameters)` gives an unfitted learner."""

    learner: str
    folds: Sequence[Fold]
    make: Callable[[dict[str, Any]], Learner]
    seconds: float
    most_trials: int = MOST_TRIALS
    seed: int = 0
    imbalance: ImbalanceSpec = NOTHING
    clock: Callable[[], float] = field(default=time.monotonic)


def space_of(learner: str) -> str:
    """The parameters and their bounds, as text: trials of another space are another study's."""
    return repr(sorted((name, repr(one)) for name, one in _distributions(learner).items()))


def can_be_tuned(learner: str) -> bool:
    """Whether there is anything to search."""
    return learner in SPACES


def search(
    task: Search,
    *,
    known: Sequence[Trial] = (),
    on_trial: Callable[[Trial], None] = lambda trial: None,
    check: Callable[[], None] = lambda: None,
) -> list[Trial]:
    """All trials, the `known` ones first; at least the defaults are tried.

    `on_trial` gets each new trial as soon as it ends (to keep it); `check` is called twice a second
    and may raise to end the search. A learner that fails ends its trial alone. Raises LearnerError
    for a learner without a space.
    """
    if not can_be_tuned(task.learner):
        raise LearnerError(f"{task.learner} has no parameters to search.")
    trials = list(known)
    study = _study(task, trials)
    spent = sum(trial.seconds for trial in trials)
    while len(trials) < task.most_trials and (not trials or spent < task.seconds):
        check()
        made = _try(task, study, number=len(trials), check=check)
        trials.append(made)
        spent += made.seconds
        on_trial(made)
    return trials


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest mean; among equals the earliest. None if none was finished."""
    return next(iter(_ranked(trials)), None)


def chosen_of(learner: str, trials: Sequence[Trial]) -> list[Trial]:
    """The trials to learn with, best first: up to MOST_AVERAGED that cannot be told from the best.

    One alone for a learner whose models are not averaged; none if no trial was finished.
    """
    ranked = _ranked(trials)
    if learner not in AVERAGED:
        return ranked[:1]
    return [one for one in ranked if _mean_of(ranked[0]) - _mean_of(one) < NOISE][:MOST_AVERAGED]


def parameters_of(chosen: Sequence[Trial]) -> dict[str, Any]:
    """What `make_learner` takes to learn with these trials; {}, the defaults, for none."""
    if not chosen:
        return {}
    first, *others = (trial.parameters for trial in chosen)
    return first | {MEAN_WITH: others} if others else dict(first)


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    """The finished ones, best first."""
    finished = [trial for trial in trials if trial.value is not None]
    return sorted(finished, key=lambda trial: (-_mean_of(trial), trial.number))


def _mean_of(trial: Trial) -> float:
    return -np.inf if trial.value is None else trial.value


def _study(task: Search, known: Sequence[Trial]) -> optuna.Study:
    # Another seed after each stop: the same one would draw the same first trials again.
    sampler = optuna.samplers.TPESampler(
        seed=task.seed + len(known), n_startup_trials=STARTUP_TRIALS, multivariate=True
    )
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.add_trials([told for trial in known if (told := _told(task.learner, trial))])
    if not known:
        defaults = task.make({}).parameters()
        study.enqueue_trial({name: defaults[name] for name in _distributions(task.learner)})
    return study


def _told(learner: str, trial: Trial) -> optuna.trial.FrozenTrial | None:
    """A trial of an earlier search in Optuna's form; None where its parameters lie outside the
    space, as defaults may: it counts, but the estimator cannot learn from it."""
    means = np.cumsum(trial.folds) / np.arange(1, len(trial.folds) + 1)
    given_up = STATE.FAIL if trial.error else STATE.PRUNED
    try:
        return optuna.trial.create_trial(
            state=given_up if trial.value is None else STATE.COMPLETE,
            value=trial.value,
            params=trial.parameters,
            distributions=_distributions(learner),
            intermediate_values=dict(enumerate(means.tolist())),
        )
    except ValueError:
        return None


def _distributions(learner: str) -> dict[str, optuna.distributions.BaseDistribution]:
    """The space of a learner by parameter."""
    listener = _Listener()
    SPACES[learner](listener)
    return listener.found


class _Listener:
    """Stands in for a trial, to learn what a space consists of."""

    def __init__(self) -> None:
        self.found: dict[str, optuna.distributions.BaseDistribution] = {}

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        self.found[name] = optuna.distributions.IntDistribution(low, high, log=log)
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.found[name] = optuna.distributions.FloatDistribution(low, high, log=log)
        return low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.found[name] = optuna.distributions.CategoricalDistribution(choices)
        return choices[0]


def _try(task: Search, study: optuna.Study, *, number: int, check: Callable[[], None]) -> Trial:
    begun = task.clock()
    asked = study.ask()
    parameters = SPACES[task.learner](asked)
    values: list[float] = []
    state, error = STATE.COMPLETE, ""
    try:
        for i, fold in enumerate(task.folds):
            values.append(_judged(task, parameters, fold, check))
            asked.report(float(np.mean(values)), i)
            if asked.should_prune():
                state = STATE.PRUNED
                break
    except TrialError as problem:
        state, error = STATE.FAIL, str(problem)
        logger.warning("Trial %d of %s failed", number, task.learner, exc_info=problem)
    value = float(np.mean(values)) if state == STATE.COMPLETE else None
    study.tell(asked, value, state=state)
    return Trial(number, parameters, tuple(values), value, task.clock() - begun, error)


def _judged(
    task: Search, parameters: dict[str, Any], fold: Fold, check: Callable[[], None]
) -> float:
    """Average precision on a fold; `check` may end the wait for the learner. Raises TrialError."""
    with _its_own():
        new = task.make(parameters)

    def fit(on_progress: OnProgress, should_stop: ShouldStop) -> Learner:
        with _its_own():
            return fit_balanced(
                new, task.imbalance, fold.train, fold.train_labels,
                weights=fold.train_weights, should_stop=should_stop,
            )  # fmt: skip

    learner = fit_watched(fit, name=new.name, on_progress=lambda part: None, check=check)
    with _its_own():
        _check_explainable(learner)
        return average_precision(fold.validation_labels, learner.margin(fold.validation))


def _check_explainable(learner: Learner) -> None:
    """What could not be explained in the end is not worth choosing. Raises LearnerError."""
    forest = getattr(learner, "forest", None)
    if forest is not None and table_bytes(forest().arrays()) > ROOM * MAX_TABLE_BYTES:
        raise LearnerError(
            f"Its exact contributions would need more than {ROOM:.0%} of the "
            f"{MAX_TABLE_BYTES >> 20} MB of tables that there may be."
        )


@contextmanager
def _its_own() -> Iterator[None]:
    """Whatever a learner's library raises belongs to its trial; being stopped does not."""
    try:
        yield
    except TrainingCancelledError:
        raise
    except Exception as problem:
        raise TrialError(f"{type(problem).__name__}: {problem}") from problem
