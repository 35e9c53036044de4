"""How learners that measure distances put columns on one scale."""

import numpy as np

from models_registry.core.learners.base import FloatArray, Matrix

SMALLEST = 1e-9


def center_and_slope(
    matrix: Matrix, weights: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Mean and 1 / standard deviation, both float64[m], of the columns of float32[n, m].

    The slope of a column that does not vary is 0: it says nothing about any row.
    """
    wide = matrix.astype(np.float64)
    mean = np.average(wide, axis=0, weights=weights)
    spread = np.sqrt(np.average(np.square(wide - mean), axis=0, weights=weights))
    # Rounding leaves a constant column a spread that is tiny, not zero.
    varies = spread > SMALLEST * np.maximum(np.abs(mean), SMALLEST)
    return mean, np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0)


def sampled_rows(
    n_rows: int, most: int, weights: FloatArray | None, rng: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Row numbers to learn from, rising: all of weight above 0, or `most` of them drawn at random,
    the heavier ones more likely."""
    usable = np.arange(n_rows) if weights is None else np.flatnonzero(weights > 0)
    if usable.size <= most:
        return usable
    chance = None if weights is None else weights[usable] / weights[usable].sum()
    return np.sort(rng.choice(usable, most, replace=False, p=chance))
