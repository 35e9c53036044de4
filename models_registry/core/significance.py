"""Could it be chance? Tail probabilities of chi-squared and Kolmogorov, and many tests at once.

In plain numpy and math: pages that show drift must not load scipy.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST_EXPECTED: Final = 5.0
"""Cells that expect fewer are taken together: chi-squared does not hold for them (Cochran 1954)."""

FloatArray = NDArray[np.float64]


def chi2_survival(statistic: float, degrees: int) -> float:
    """P(chi2 > statistic) for whole degrees of freedom >= 1, by the closed series."""
    half = statistic / 2.0
    if half <= 0.0:
        return 1.0
    if degrees % 2:
        total, term, first = math.erfc(math.sqrt(half)), math.exp(-half), 0.5
    else:
        total, term, first = 0.0, math.exp(-half), 0.0
    for i in range(degrees // 2):
        power = first + i
        total += term * math.exp(power * math.log(half) - math.lgamma(power + 1.0))
    return min(total, 1.0)


def kolmogorov_survival(distance: float, rows: int, reference_rows: int) -> float:
    """P(D > distance) of the two-sample test when nothing moved; conservative with ties.

    The asymptotic series with the correction of Stephens (1970).
    """
    root = math.sqrt(rows * reference_rows / (rows + reference_rows))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2.0 * k * k * x * x) for k in range(1, 101))
    return float(min(max(2.0 * sum(terms), 0.0), 1.0))


def homogeneity(
    expected: FloatArray, actual: FloatArray, rows: int, reference_rows: int
) -> tuple[float, float]:
    """(chi2, p) that two samples have the same shares by cell; (0.0, 1.0) for a single cell.

    `expected` shares of `reference_rows`, `actual` shares of `rows`, both float64[cells].
    """
    pooled = (rows * actual + reference_rows * expected) / (rows + reference_rows)
    cells = _large_cells(pooled * min(rows, reference_rows))
    count = int(cells.max()) + 1
    if count < 2:
        return 0.0, 1.0
    apart = np.bincount(cells, actual - expected, count)
    size = rows * reference_rows / (rows + reference_rows)
    statistic = float(size * (apart**2 / np.bincount(cells, pooled, count)).sum())
    return statistic, chi2_survival(statistic, count - 1)


def _large_cells(counts: FloatArray) -> NDArray[np.intp]:
    """By cell, the number of the cell that it counts as: small ones go together, from the smallest
    on, until each cell that is left expects enough."""
    order = np.argsort(counts, kind="stable")
    ordered = counts[order]
    together = np.cumsum(ordered)
    rest = np.append(ordered[1:], np.inf)
    last = int(np.argmax((together >= LEAST_EXPECTED) & (rest >= LEAST_EXPECTED)))
    cells = np.empty(len(counts), np.intp)
    cells[order] = np.maximum(np.arange(len(counts)) - last, 0)
    return cells


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979): calling those below a level significant errs at all with at
    most that probability, however the tests depend on each other."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min((len(p_values) - rank) * p_values[i], 1.0))
        adjusted[i] = highest
    return adjusted
