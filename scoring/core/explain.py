"""Contributions of any served model to its margin, from plain arrays, in numpy.

A contribution says how far one column moved the margin of one row away from `base`, so
base + sum of contributions = margin. How it is told apart hangs on the kind of model, and each kind
has a file: trees (tree_shap), one-class support vectors (kernel_shap), empirical tails (tails) and
autoencoders (reconstruction). Linear models are short enough to stand here.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.core.attribution import (
    Arrays,
    Attribution,
    ExplainError,
    FloatArray,
    Matrix,
    finite,
    wide_rows,
)
from scoring.core.kernel_shap import KERNEL_ARRAYS, KernelExplainer
from scoring.core.reconstruction import NETWORK_ARRAYS, ReconstructionExplainer
from scoring.core.tails import TAIL_ARRAYS, TailExplainer
from scoring.core.tree_shap import TREE_ARRAYS, TreeExplainer

LINEAR_ARRAYS: Final = ("coef", "background", "intercept")


class LinearExplainer(Attribution):
    """Linear model: coef * (x - background), exact when columns are taken as independent."""

    def __init__(self, arrays: Arrays) -> None:
        self._coef = finite(arrays, "coef", -1)
        self._background = finite(arrays, "background", self._coef.size)
        self.base = float(finite(arrays, "intercept")) + float(
            (self._coef * self._background).sum()
        )
        if not np.isfinite(self.base):
            raise ExplainError("A linear model must be finite.")

    def contributions(self, matrix: Matrix) -> FloatArray:
        result: FloatArray = (wide_rows(matrix, self._coef.size) - self._background) * self._coef
        return result


KINDS: Final[tuple[tuple[tuple[str, ...], type[Any]], ...]] = (
    (LINEAR_ARRAYS, LinearExplainer),
    (TREE_ARRAYS, TreeExplainer),
    (KERNEL_ARRAYS, KernelExplainer),
    (TAIL_ARRAYS, TailExplainer),
    (NETWORK_ARRAYS, ReconstructionExplainer),
)
"""The names of the arrays by which a kind is known. A new kind is one file and one line here."""


class Explainer(Attribution):
    """Contributions in margin space; build one with `Explainer.from_arrays`."""

    def __init__(self, attribution: Attribution) -> None:
        self._attribution = attribution
        self.base = attribution.base

    @staticmethod
    def from_arrays(arrays: Arrays) -> "Explainer":
        """Build the explainer that fits the arrays of a bundle.

        Linear: `coef` [m], `background` [m], `intercept` []. Trees (N nodes, T trees):
        `feature` [N] (-1 marks a leaf), `threshold` [N] (left when x <= threshold), `left` and
        `right` [N] (absolute indices, each larger than its parent's), `value` [N], `cover` [N]
        (training rows, > 0), `roots` [T], `offset` []. The others are described where they are
        read. Raises `ExplainError`.
        """
        for names, kind in KINDS:
            if all(name in arrays for name in names):
                return Explainer(kind(arrays))
        raise ExplainError(f"These arrays describe no known model: {sorted(arrays)}.")

    def contributions(self, matrix: Matrix) -> FloatArray:
        return self._attribution.contributions(matrix)


def group_by_source(
    contributions: FloatArray, source: NDArray[np.integer[Any]], n_features: int
) -> FloatArray:
    """Sum the columns of one raw feature (say, of a one-hot encoding): [n, m] -> [n, n_features].

    `source` int32[m] names the raw feature of each column.
    """
    n, m = contributions.shape
    if source.shape != (m,):
        raise ExplainError(f"'source' names {source.size} columns, the contributions have {m}.")
    target = (source + np.arange(n)[:, None] * n_features).reshape(-1)
    summed = np.bincount(target, weights=contributions.reshape(-1), minlength=n * n_features)
    return summed.astype(np.float64, copy=False).reshape(n, n_features)


def additivity_error(base: float, contributions: FloatArray, margin: FloatArray) -> FloatArray:
    """|base + sum of contributions - margin| float64[n]; anything past 1e-6 is a wrong reason."""
    result: FloatArray = np.abs(base + contributions.sum(axis=1) - margin)
    return result
