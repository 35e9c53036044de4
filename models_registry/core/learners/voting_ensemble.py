"""XGBoost and a random forest, heard together."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from models_registry.core.calibration import fit_platt
from models_registry.core.export import ExportedModel, export_forest, join_forests
from models_registry.core.learners.base import (
    FloatArray,
    Learner,
    LearnerError,
    Matrix,
    OnProgress,
    ShouldStop,
)
from models_registry.core.learners.random_forest import RandomForest
from models_registry.core.learners.xgboost import XGBoost


class VotingEnsemble(Learner):
    """margin = w * log-odds of XGBoost + (1 - w) * log-odds of the forest, w = `booster_weight`.

    A mean of probabilities would not be additive in the trees of either. So the forest's share of
    votes is turned into log-odds by a line, fitted by Platt's method (1999) on the votes of trees
    that had not seen the row; the whole is then one sum of trees, with one exact explanation.
    """

    name: ClassVar[str] = "voting_ensemble"
    title: ClassVar[str] = "XGBoost and random forest together"
    supervised: ClassVar[bool] = True
    link: ClassVar[str] = "logit"

    def __init__(
        self,
        *,
        booster_weight: float = 0.5,
        n_boosted: int = 100,
        learning_rate: float = 0.1,
        boosted_depth: int = 3,
        n_trees: int = 100,
        max_depth: int = 10,
        max_leaves: int = 64,
        n_jobs: int = 1,
        seed: int = 0,
    ) -> None:
        self.booster_weight = booster_weight
        self.n_boosted = n_boosted
        self.learning_rate = learning_rate
        self.boosted_depth = boosted_depth
        self.n_trees = n_trees
        self.max_depth = max_depth
        self.max_leaves = max_leaves
        self.n_jobs = n_jobs
        self.seed = seed

    def _fit(
        self,
        matrix: Matrix,
        labels: NDArray[np.int8] | None,
        weights: FloatArray | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        if not 0 < self.booster_weight < 1:
            raise LearnerError("booster_weight must lie between 0 and 1.")
        booster = XGBoost(
            n_trees=self.n_boosted,
            learning_rate=self.learning_rate,
            max_depth=self.boosted_depth,
            n_jobs=self.n_jobs,
            seed=self.seed,
        )
        booster.fit(
            matrix,
            labels,
            weights=weights,
            on_progress=lambda part: on_progress(0.3 * part),
            should_stop=should_stop,
        )
        forest = RandomForest(
            n_trees=self.n_trees,
            max_depth=self.max_depth,
            max_leaves=self.max_leaves,
            n_jobs=self.n_jobs,
            seed=self.seed,
        )
        forest.fit(
            matrix,
            labels,
            weights=weights,
            on_progress=lambda part: on_progress(0.3 + 0.6 * part),
            should_stop=should_stop,
        )
        self.slope_, self.intercept_ = _line_of_votes(forest, matrix, labels, weights)
        self.booster_, self.forest_ = booster, forest

    def _margin(self, matrix: Matrix) -> FloatArray:
        voted = self.slope_ * self.forest_.margin(matrix) + self.intercept_
        w = self.booster_weight
        return w * self.booster_.margin(matrix) + (1.0 - w) * voted

    def export(self) -> ExportedModel:
        w = self.booster_weight
        joined = join_forests(
            [(self.booster_.forest(), w), (self.forest_.forest(), (1.0 - w) * self.slope_)],
            offset=(1.0 - w) * self.intercept_,
        )
        return export_forest(joined, n_columns=self.n_columns_, link=self.link)


def _line_of_votes(
    forest: RandomForest,
    matrix: Matrix,
    labels: NDArray[np.int8] | None,
    weights: FloatArray | None,
) -> tuple[float, float]:
    """(slope, intercept) that turn a share of votes into log-odds."""
    votes = forest.votes_of_unseen(matrix)
    usable = np.isfinite(votes)
    if weights is not None:
        usable &= weights > 0
    truth = np.asarray(labels)
    if np.unique(truth[usable]).size < 2:
        # So few trees that too few rows are unseen: what was seen has to do.
        votes, usable = forest.margin(matrix), np.ones(len(matrix), bool)
    fitted = fit_platt(votes[usable], truth[usable])
    return fitted.slope, fitted.intercept
