"""Contributions of ECOD: how far out in the training rows' tails each column of a row lies.

Li et al., "ECOD: Unsupervised outlier detection using empirical cumulative distribution functions"
(IEEE TKDE 2022): a column says -log of the share of training rows that lie as far to the left, and
to the right. Three sums over the columns are made: of the left tails, of the right tails, and of
the tail that each column leans to by its skewness; the largest is the outlier score, and its terms
are what the columns contribute.
"""

from typing import Final

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
from scoring.core.grove import COLUMN_SPAN, ordered_keys

TAIL_ARRAYS: Final = (
    "edges",
    "first",
    "left_tail",
    "right_tail",
    "leans_right",
    "usual",
    "typical",
)


class TailExplainer(Attribution):
    """`edges` float32[e], rising within each column; those of column j stand at `first`[j] to
    `first`[j + 1]. A value in (edge i - 1, edge i] of column j has `left_tail` and `right_tail`
    [e + m] at i + j. `leans_right` [m]; `usual` [m], mean of each column's share in training;
    `typical` [], what a sum is divided by.
    """

    def __init__(self, arrays: Arrays) -> None:
        self._usual = finite(arrays, "usual", -1)
        m = self._usual.size
        edges = finite(arrays, "edges", -1).astype(np.float32)
        first = np.asarray(arrays["first"], np.int64)
        count = np.diff(first)
        if first.shape != (m + 1,) or first[0] != 0 or (count < 0).any() or first[-1] != edges.size:
            raise ExplainError("'first' does not divide the edges among the columns.")
        keys = ordered_keys(edges) + np.repeat(np.arange(m), count) * COLUMN_SPAN
        if (np.diff(keys) <= 0).any():
            raise ExplainError("The edges of a column must rise.")
        self._keys, self._columns = keys, np.arange(m)
        self._typical = float(finite(arrays, "typical"))
        if not self._typical > 0:
            raise ExplainError("'typical' must be positive.")
        left = finite(arrays, "left_tail", edges.size + m)
        right = finite(arrays, "right_tail", edges.size + m)
        leans = np.repeat(finite(arrays, "leans_right", m) > 0, count + 1)
        self._tails = np.stack([left, right, np.where(leans, right, left)]) / self._typical
        self.base = float(self._usual.sum())

    def contributions(self, matrix: Matrix) -> FloatArray:
        places = self._places(wide_rows(matrix, self._usual.size).astype(np.float32))
        tails = self._tails.take(places, axis=1)
        winner = tails.sum(axis=2).argmax(axis=0)
        chosen = tails[winner, np.arange(len(places))]
        # Laid out row by row, so that whoever sums a row does it in the same order in any batch.
        return np.ascontiguousarray(chosen - self._usual)

    def _places(self, rows: NDArray[np.float32]) -> NDArray[np.intp]:
        """intp[n, m]: where each value's tails stand."""
        keys = ordered_keys(rows) + self._columns * COLUMN_SPAN
        return np.searchsorted(self._keys, keys, "left") + self._columns
