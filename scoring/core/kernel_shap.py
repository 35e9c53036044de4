"""Exact Shapley contributions of a one-class support vector machine with a Gaussian kernel.

margin = -sum_i dual_i * prod_j k_ij(x_j) with k_ij(x_j) = exp(-gamma * (z_j - support_ij)^2) and
z = (x - center) * slope: each support vector is a product game over the columns, as a leaf of a
tree is one (scoring.core.tree_shap). A column that is left out stands at its mean over the training
rows, `share_ij` = mean of k_ij, columns taken as independent. The Shapley value of a product game
is the integral over t in [0, 1] of the slope of its multilinear extension along the diagonal
(Owen 1972): (k_j - share_j) * prod over l != j of (t * k_l + (1 - t) * share_l), a polynomial of
degree m - 1, for which Gauss-Legendre with ceil(m / 2) points is exact.
"""

from typing import Final

import numpy as np

from scoring.core.attribution import (
    Arrays,
    Attribution,
    ExplainError,
    FloatArray,
    Matrix,
    finite,
    wide_rows,
)

KERNEL_ARRAYS: Final = ("support", "dual", "gamma", "share", "center", "slope")
CHUNK_NUMBERS: Final = 200_000


class KernelExplainer(Attribution):
    """`support` and `share` [s, m], `dual` [s], `gamma` [], `center` and `slope` [m].

    A slope of 0 is a column that never varied; it contributes nothing. Shares lie in (0, 1].
    """

    def __init__(self, arrays: Arrays) -> None:
        support = finite(arrays, "support", -1, -1)
        self._center = finite(arrays, "center", support.shape[1])
        self._slope = finite(arrays, "slope", support.shape[1])
        share = finite(arrays, "share", *support.shape)
        gamma = float(finite(arrays, "gamma"))
        if not ((share > 0).all() and (share <= 1).all() and gamma > 0):
            raise ExplainError("Shares lie in (0, 1], and gamma is positive.")
        # A column that never varied is a factor of 1 everywhere: nothing is computed for it.
        self._used = np.flatnonzero(self._slope)
        self._support, self._share = support[:, self._used], share[:, self._used]
        self._dual, self._gamma = finite(arrays, "dual", len(support)), gamma
        self.base = -float((self._dual * self._share.prod(axis=1)).sum())
        points, weights = np.polynomial.legendre.leggauss(max(1, (self._used.size + 1) // 2))
        self._points = list(zip((points + 1) / 2, weights / 2, strict=True))

    def contributions(self, matrix: Matrix) -> FloatArray:
        rows = (wide_rows(matrix, self._center.size) - self._center) * self._slope
        result = np.zeros(rows.shape)
        step = max(1, CHUNK_NUMBERS // max(1, self._support.size))
        for start in range(0, len(rows), step):
            part = rows[start : start + step, None, self._used]
            result[start : start + step, self._used] = self._some(part)
        return result

    def _some(self, rows: FloatArray) -> FloatArray:
        """float64[n, used] of standardised float64[n, 1, used]."""
        known = np.exp(-self._gamma * np.square(rows - self._support))
        total = np.zeros(known.shape)
        for t, weight in self._points:
            # Never 0: t < 1 and every share is positive, so one factor can be divided out.
            factor = t * known + (1.0 - t) * self._share
            total += (weight * factor.prod(axis=2, keepdims=True)) / factor
        total *= (known - self._share) * -self._dual[:, None]
        result: FloatArray = np.add.reduce(total, axis=1)
        return result
