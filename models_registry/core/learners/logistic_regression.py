"""Logistic regression: the plain baseline, one weight per column."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

from models_registry.core.export import ExportedModel, export_linear
from models_registry.core.learners.base import (
    FloatArray,
    Learner,
    LearnerError,
    Matrix,
    OnProgress,
    ShouldStop,
)


class LogisticRegression(Learner):
    """L2-regularised logistic regression on standardised columns.

    `inverse_penalty` is scikit-learn's C. `positive_weight` > 1 makes the fit look harder at the
    rare class; the intercept is moved back by its logarithm afterwards (King & Zeng, "Logistic
    regression in rare events data", 2001), so that scores stay probabilities. The solver is
    deterministic: `seed` is kept for the common interface.
    """

    name: ClassVar[str] = "logistic_regression"
    title: ClassVar[str] = "Logistic regression"
    supervised: ClassVar[bool] = True
    link: ClassVar[str] = "logit"

    def __init__(
        self,
        *,
        inverse_penalty: float = 1.0,
        positive_weight: float = 1.0,
        max_iterations: int = 500,
        seed: int = 0,
    ) -> None:
        self.inverse_penalty = inverse_penalty
        self.positive_weight = positive_weight
        self.max_iterations = max_iterations
        self.seed = seed

    def _fit(
        self,
        matrix: Matrix,
        labels: NDArray[np.int8] | None,
        weights: FloatArray | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        if not self.positive_weight > 0:
            raise LearnerError("positive_weight must be positive.")
        wide = matrix.astype(np.float64)
        mean, spread = wide.mean(axis=0), wide.std(axis=0)
        # A constant column says nothing; rounding leaves it a spread that is tiny, not zero.
        varies = spread > 1e-9 * np.maximum(np.abs(mean), 1e-9)
        scale = np.where(varies, spread, 1.0)
        model = SklearnLogisticRegression(
            C=self.inverse_penalty,
            class_weight={0: 1.0, 1: self.positive_weight},
            max_iter=self.max_iterations,
            random_state=self.seed,
        )
        model.fit(np.where(varies, (wide - mean) / scale, 0.0), labels, sample_weight=weights)
        self.coef_: FloatArray = np.where(varies, model.coef_[0] / scale, 0.0)
        self.background_: FloatArray = mean
        self.intercept_ = float(
            model.intercept_[0] - np.log(self.positive_weight) - (self.coef_ * mean).sum()
        )

    def _margin(self, matrix: Matrix) -> FloatArray:
        result: FloatArray = matrix.astype(np.float64) @ self.coef_ + self.intercept_
        return result

    def export(self) -> ExportedModel:
        return export_linear(
            coef=self.coef_,
            background=self.background_,
            intercept=self.intercept_,
            link=self.link,
        )
