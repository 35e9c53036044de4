"""One-class support vector machine: the outline of what is usual, without labels."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import OneClassSVM as SklearnOneClassSVM

from models_registry.core.export import ExportedModel
from models_registry.core.graphs import export_kernel
from models_registry.core.learners.base import (
    FloatArray,
    Learner,
    LearnerError,
    Matrix,
    OnProgress,
    ShouldStop,
)
from models_registry.core.learners.scaling import center_and_slope, sampled_rows


class OneClassSVM(Learner):
    """Schölkopf et al., "Estimating the support of a high-dimensional distribution" (2001), with a
    Gaussian kernel on standardised columns, fitted by scikit-learn.

    margin = -(similarity to the support vectors) / (that on the boundary), in (-inf, 0], so that
    score = 2**margin is 0.5 on the boundary and 1 far from everything, as with an isolation forest.
    `outlier_share` (nu) bounds the share of training rows outside. Fitting grows with the square of
    the rows and scoring with their number, so `n_samples` are drawn. `width` is gamma times the
    number of varying columns. Labels are ignored.
    """

    name: ClassVar[str] = "one_class_svm"
    title: ClassVar[str] = "One-class support vector machine"
    supervised: ClassVar[bool] = False
    link: ClassVar[str] = "isolation"

    def __init__(
        self,
        *,
        outlier_share: float = 0.05,
        width: float = 0.5,
        n_samples: int = 2000,
        seed: int = 0,
    ) -> None:
        self.outlier_share = outlier_share
        self.width = width
        self.n_samples = n_samples
        self.seed = seed

    def _fit(
        self,
        matrix: Matrix,
        labels: NDArray[np.int8] | None,
        weights: FloatArray | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        if not (0 < self.outlier_share < 1 and self.width > 0):
            raise LearnerError("outlier_share must lie between 0 and 1, width above 0.")
        if len(matrix) < 2:
            raise LearnerError("A one-class support vector machine needs at least two rows.")
        self.center_, self.slope_ = center_and_slope(matrix, weights)
        rng = np.random.default_rng(self.seed)
        drawn = sampled_rows(len(matrix), self.n_samples, weights, rng)
        rows = self._standardised(matrix[drawn])
        gamma = self.width / max(1, int(np.count_nonzero(self.slope_)))
        on_progress(0.1)
        self.model_ = SklearnOneClassSVM(nu=self.outlier_share, gamma=gamma).fit(rows)
        self.gamma_ = gamma
        self.share_ = _mean_kernels(self.model_.support_vectors_, rows, gamma)

    def _standardised(self, matrix: Matrix) -> FloatArray:
        result: FloatArray = (matrix.astype(np.float64) - self.center_) * self.slope_
        return result

    def _margin(self, matrix: Matrix) -> FloatArray:
        similarity = self.model_.score_samples(self._standardised(matrix))
        result: FloatArray = -similarity / float(self.model_.offset_[0])
        return result

    def export(self) -> ExportedModel:
        arrays = {
            "support": self.model_.support_vectors_,
            "dual": self.model_.dual_coef_[0] / float(self.model_.offset_[0]),
            "gamma": np.array(self.gamma_),
            "share": self.share_,
            "center": self.center_,
            "slope": self.slope_,
        }
        return export_kernel(arrays, link=self.link)


def _mean_kernels(support: FloatArray, rows: FloatArray, gamma: float) -> FloatArray:
    """float64[s, m]: each column's kernel between a support vector and the rows, on average."""
    found = np.empty(support.shape)
    for column in range(support.shape[1]):
        gap = support[:, column, None] - rows[None, :, column]
        found[:, column] = np.exp(-gamma * np.square(gap)).mean(axis=1)
    return found
