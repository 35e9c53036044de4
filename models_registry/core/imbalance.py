"""Make a rare class count for more while a learner learns; no other rows are ever touched.

Scores of such a learner are no probabilities: what they mean is told by the calibration, which is
fitted on validation rows as they came.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from numpy.typing import NDArray

from models_registry.core.export import ExportedModel
from models_registry.core.learners.base import (
    FloatArray,
    Labels,
    Learner,
    LearnerError,
    Matrix,
    OnProgress,
    ShouldStop,
)
from models_registry.core.learners.committee import export_mean, mean_margin
from models_registry.core.learners.scaling import center_and_slope
from scoring.core.imbalance import IMBALANCE, NOTHING, ONLY_FOR, ImbalanceSpec, read_imbalance
from scoring.core.reader import Reader

Rows = tuple[Matrix, NDArray[np.int8], FloatArray | None]


def fit_balanced(
    learner: Learner,
    how: ImbalanceSpec,
    matrix: Matrix,
    labels: NDArray[np.int8],
    *,
    weights: FloatArray | None = None,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
) -> Learner:
    """Fit `learner` on training rows [n, m] as the declaration says; returns the fitted learner.

    `weights` float64[n] say how sure each label is (None: all are); a learner that needs no labels
    does not ask. Such a learner, and rows that are as balanced as asked for, are left as they are.
    Raises `LearnerError` where the rows cannot be balanced.
    """
    own = weights if learner.supervised else None
    if not applies(learner, how, labels):
        return learner.fit(
            matrix, labels, weights=own, on_progress=on_progress, should_stop=should_stop
        )
    if how.method == "balanced_bagging":
        bag = BalancedBag(learner, how)
        return bag.fit(
            matrix, labels, weights=own, on_progress=on_progress, should_stop=should_stop
        )
    seed = int(learner.parameters()["seed"])
    rows, target, weights = METHODS[how.method](matrix, labels, how, seed, own)
    return learner.fit(
        rows, target, weights=weights, on_progress=on_progress, should_stop=should_stop
    )


def applies(learner: Learner, how: ImbalanceSpec, labels: NDArray[np.int8]) -> bool:
    """Whether anything is to be done for this learner and these rows."""
    rare = how.is_rare(int((labels == 1).sum()), len(labels))
    return how.method != "none" and learner.supervised and rare


def recorded(learner: Learner, how: ImbalanceSpec) -> dict[str, Any]:
    """The learner's parameters with what was done about the rare class, for the record."""
    if how.method == "none" or not learner.supervised:
        return learner.parameters()
    return learner.parameters() | {IMBALANCE: asdict(how)}


def told_in(parameters: Mapping[str, Any]) -> ImbalanceSpec:
    """What `recorded` says was done. An imported version's record may say anything: raises
    `LearnerError` where it cannot be followed."""
    raw = parameters.get(IMBALANCE) if isinstance(parameters, Mapping) else parameters
    if raw is None:
        return NOTHING
    if not isinstance(raw, Mapping):
        raise LearnerError(f"What was done about the rare class cannot be read: {raw!r}.")
    method = raw.get("method")
    # The record has the options of all methods, a declaration those of its own.
    own = {name: value for name, value in raw.items() if ONLY_FOR.get(name, method) == method}
    read = Reader({})
    found = read_imbalance(read, own)
    if read.problems:
        said = "; ".join(f"{place}: {message}" for place, message in read.problems)
        raise LearnerError(f"What was done about the rare class cannot be read: {said}.")
    return found


def weigh(
    matrix: Matrix,
    labels: NDArray[np.int8],
    how: ImbalanceSpec,
    seed: int,
    sure: FloatArray | None = None,
) -> Rows:
    """All rows, each positive weighing as much as several negatives, times how sure it is."""
    positives = int((labels == 1).sum())
    heavy = how.ratio * (len(labels) - positives) / positives
    weights = np.where(labels == 1, heavy, 1.0)
    return matrix, labels, weights if sure is None else weights * sure


def add_positives(
    matrix: Matrix,
    labels: NDArray[np.int8],
    how: ImbalanceSpec,
    seed: int,
    sure: FloatArray | None = None,
) -> Rows:
    """All rows and made-up positives between real ones (Chawla et al., "SMOTE", 2002); at least one
    must be missing.

    Neighbours are looked for among standardised columns, so that an amount does not drown the
    others. A column that holds two values only (a level of a category) keeps to those two. What is
    made up is as sure as the real positives are on average.
    """
    positives = int((labels == 1).sum())
    if positives < 2:
        raise LearnerError("SMOTE needs at least two positives to put others between.")
    center, slope = center_and_slope(matrix)
    scale = np.where(slope > 0, slope, 1.0)
    smote = SMOTE(
        sampling_strategy=how.ratio,
        k_neighbors=min(how.neighbours, positives - 1),
        random_state=seed,
    )
    found, target = smote.fit_resample((matrix - center) * scale, labels)
    made = (found[len(matrix) :] / scale + center).astype(np.float32)
    # The real rows are those that were given, to the bit.
    rows = np.concatenate([matrix, _with_flags(made, matrix)])
    if sure is not None:
        sure = np.concatenate([sure, np.full(len(made), sure[labels == 1].mean())])
    return rows, target.astype(np.int8), sure


def _with_flags(made: Matrix, matrix: Matrix) -> Matrix:
    """`made` with columns that are flags in `matrix` moved to the nearer of the two values."""
    low, high = matrix.min(axis=0), matrix.max(axis=0)
    is_flag = ((matrix == low) | (matrix == high)).all(axis=0)
    nearer = np.where(made - low < high - made, low, high)
    result: Matrix = np.where(is_flag, nearer, made).astype(np.float32)
    return result


def drop_negatives(
    matrix: Matrix,
    labels: NDArray[np.int8],
    how: ImbalanceSpec,
    seed: int,
    sure: FloatArray | None = None,
) -> Rows:
    """All positives and a random part of the negatives."""
    sampler = RandomUnderSampler(sampling_strategy=how.ratio, random_state=seed)
    sampler.fit_resample(np.empty((len(labels), 1)), labels)
    # In the order they came: a fit must not hang on the sampler's order.
    kept = np.sort(sampler.sample_indices_)
    return matrix[kept], labels[kept], None if sure is None else sure[kept]


Method = Callable[[Matrix, NDArray[np.int8], ImbalanceSpec, int, FloatArray | None], Rows]
METHODS: Final[dict[str, Method]] = {
    "class_weights": weigh,
    "smote": add_positives,
    "under_sampling": drop_negatives,
}


class BalancedBag(Learner):
    """Several copies of a learner, each fitted on all positives and another part of the negatives;
    their margins are averaged (Wallace et al., "Class imbalance, redux", ICDM 2011).

    One model is exported: the trees of all, or the mean of the lines.
    """

    def __init__(self, learner: Learner, how: ImbalanceSpec) -> None:
        self.learner = learner
        self.how = how
        self.name = learner.name  # type: ignore[misc]
        self.title = learner.title  # type: ignore[misc]
        self.supervised = learner.supervised  # type: ignore[misc]
        self.link = learner.link  # type: ignore[misc]

    def parameters(self) -> dict[str, Any]:
        return self.learner.parameters()

    def _fit(
        self,
        matrix: Matrix,
        labels: NDArray[np.int8] | None,
        weights: FloatArray | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        given, found = self.learner.parameters(), []
        target: Labels = np.asarray(labels)
        for number in range(self.how.bags):
            seed = int(given["seed"]) + number
            rows, own, sure = drop_negatives(matrix, target, self.how, seed, weights)

            def report(part: float, number: int = number) -> None:
                on_progress((number + part) / self.how.bags)

            copy = self.learner.with_seed(seed)
            found.append(
                copy.fit(rows, own, weights=sure, on_progress=report, should_stop=should_stop)
            )
        self.members_ = found

    def _margin(self, matrix: Matrix) -> FloatArray:
        return mean_margin(self.members_, matrix)

    def export(self) -> ExportedModel:
        return export_mean(self.members_)
