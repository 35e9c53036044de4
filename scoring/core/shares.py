"""Intervals of proportions."""

from math import nan, sqrt
from typing import Final

NORMAL_POINT: Final = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


def wilson(hits: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval (1927) of a proportion; NaN without rows."""
    if n <= 0:
        return nan, nan
    share, z = hits / n, NORMAL_POINT**2 / n
    centre = (share + z / 2) / (1 + z)
    half = NORMAL_POINT * sqrt(share * (1 - share) / n + z / (4 * n)) / (1 + z)
    # At its ends the interval reaches them exactly, whatever rounding says.
    return (max(0.0, centre - half) if hits > 0 else 0.0), (
        min(1.0, centre + half) if hits < n else 1.0
    )
