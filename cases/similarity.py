"""Nearest past alerts in the space of explanations. numpy in, numpy out; no Django.

Two alerts are alike if the model scored their riskiest predictions for the same reasons: by the
cosine of the angle between their contributions. Size does not count, so a score of 60 % can be like
one of 95 %; direction does, so what spoke against must speak against in both. Where no model
scored, the rules that matched are compared (Jaccard index).
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LEAST_LIKENESS: Final = 0.6
"""Below it two explanations share little more than a feature or two."""
NEAREST: Final = 9

Vector = NDArray[np.float32]


def direction(contributions: NDArray[Any]) -> Vector:
    """float32[f] of length 1; all zeros where nothing contributed or a number is not finite."""
    values = np.asarray(contributions, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        return np.zeros(values.size, dtype=np.float32)
    largest = float(np.abs(values).max())
    if largest == 0.0:
        return np.zeros(values.size, dtype=np.float32)
    # Scaled first: squares of tiny or huge contributions would leave the range of numbers.
    scaled = values / largest
    unit: Vector = (scaled / np.linalg.norm(scaled)).astype(np.float32)
    return unit


def nearest(
    own: Vector,
    others: NDArray[np.float32],
    *,
    least: float = LEAST_LIKENESS,
    most: int = NEAREST,
) -> list[tuple[int, float]]:
    """(row, likeness) of the directions `others` float32[n, f] most like `own`, likest first.

    Of equal ones the first row comes first. Likeness lies in [least, 1].
    """
    if not len(others) or not own.any():
        return []
    likeness = np.clip(others @ own, -1.0, 1.0)
    order = np.argsort(-likeness, kind="stable")[:most]
    return [(int(i), float(likeness[i])) for i in order if likeness[i] >= least]


def nearest_by_rules(
    own: Collection[str],
    others: Sequence[Collection[str]],
    *,
    least: float = LEAST_LIKENESS,
    most: int = NEAREST,
) -> list[tuple[int, float]]:
    """(row, likeness) by shared rules: how many of the rules of either matched in both."""
    mine = set(own)
    if not mine:
        return []
    found = []
    for i, codes in enumerate(others):
        theirs = set(codes)
        likeness = len(mine & theirs) / len(mine | theirs)
        if likeness >= least:
            found.append((i, likeness))
    return sorted(found, key=lambda one: -one[1])[:most]


def in_common(own: Vector, other: Vector, *, most: int = 2) -> list[int]:
    """The features that make the two alike, the most telling first."""
    products = own.astype(np.float64) * other.astype(np.float64)
    order = np.argsort(-products, kind="stable")[:most]
    return [int(i) for i in order if products[i] > 0.05]
