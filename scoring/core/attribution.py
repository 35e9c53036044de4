"""What every kind of explainer keeps: contributions that add up to a model's margin."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Matrix = NDArray[np.floating[Any]]
Arrays = Mapping[str, NDArray[Any]]


class ExplainError(ValueError):
    """Arrays that describe no model, or one too deep to be explained exactly."""


class Attribution:
    """Contributions in margin space, made from the arrays of a bundle; raises `ExplainError`."""

    base: float

    def contributions(self, matrix: Matrix) -> FloatArray:
        """Contributions float64[n, m] of `matrix` [n, m] (finite, float32 as scored)."""
        raise NotImplementedError


def wide_rows(matrix: Matrix, n_columns: int) -> FloatArray:
    """`matrix` as float64[n, n_columns], or `ExplainError` if it has another shape."""
    rows = np.asarray(matrix, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != n_columns:
        raise ExplainError(f"Expected [n, {n_columns}], not {list(rows.shape)}.")
    return rows


def finite(arrays: Arrays, name: str, *shape: int) -> FloatArray:
    """One array as float64 of a shape (-1: any length), or `ExplainError`."""
    found = np.asarray(arrays[name], dtype=np.float64)
    if found.ndim != len(shape) or any(
        want not in (-1, has) for want, has in zip(shape, found.shape, strict=True)
    ):
        raise ExplainError(f"'{name}' has the shape {list(found.shape)}, not {list(shape)}.")
    if not np.isfinite(found).all():
        raise ExplainError(f"'{name}' must be finite.")
    return found
