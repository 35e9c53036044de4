"""How far a sample lies from a reference: PSI by bins, KS and Wasserstein by points with weights.

The reference is not the training rows themselves but what `reference.py` kept of them; what that
costs in exactness is told with every number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.core.aggregates import spread_of

SMALLEST_SHARE: Final = 1e-4
MOST_BARS: Final = 24

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """A distribution as rising `values` float64[k] with `weights` that sum to 1.

    `ks_error`: what F may be wrong by; `wasserstein_error`: in standard deviations `std`.
    """

    values: FloatArray
    weights: FloatArray
    ks_error: float
    wasserstein_error: float
    std: float


def points_of(reference: Mapping[str, Any]) -> Points | None:
    """The kept points of a number; None in bundles of before they were kept."""
    kept = reference.get("sketch")
    if not kept:
        return None
    return Points(
        np.array(kept["values"], float),
        np.array(kept["weights"], float),
        float(kept["ks_error"]),
        float(kept["wasserstein_error"]),
        # Bundles of before kept the rounding of a constant's mean.
        spread_of(float(reference["std"] or 0.0), float(reference["mean"] or 0.0)),
    )


def ks_and_wasserstein(known: FloatArray, points: Points) -> tuple[float, float]:
    """(D, W1) between the values float64[n], n >= 1, and the points; W1 in the values' own unit."""
    sample = np.sort(known)
    pool = np.sort(np.concatenate((sample, points.values)))
    below = np.concatenate(([0.0], np.cumsum(points.weights)))
    ours = np.searchsorted(sample, pool, side="right") / sample.size
    theirs = below[np.searchsorted(points.values, pool, side="right")]
    apart = np.abs(ours - theirs)
    return float(apart.max()), float((apart[:-1] * np.diff(pool)).sum())


def psi(expected: FloatArray, actual: FloatArray, *, rows: int) -> float:
    """Population stability index of two lists of shares; `rows` of the smaller sample, >= 1."""
    least = max(SMALLEST_SHARE, 0.5 / rows)
    used = (expected > 0) | (actual > 0)
    e, a = np.maximum(expected[used], least), np.maximum(actual[used], least)
    return float(((a - e) * np.log(a / e)).sum())


def bin_shares(values: FloatArray, reference: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """(expected, actual) shares by bin of float64[n] (NaN = missing), missing values last."""
    missing = float(reference["missing_share"])
    known = values[np.isfinite(values)]
    if reference["kind"] == "category":
        levels = reference["levels"]
        inside = np.array([entry["share"] for entry in levels], float)
        codes = np.array([entry["value"] for entry in levels], float)
        counts = np.array([(known == code).sum() for code in codes], float)
        inside = np.append(inside, max(1.0 - inside.sum(), 0.0))
        counts = np.append(counts, known.size - counts.sum())
    else:
        edges, inside = number_bins(reference)
        place = np.searchsorted(edges, known, side="left")
        counts = np.bincount(place, minlength=len(edges) + 1).astype(float)
    expected = np.append(inside * (1.0 - missing), missing)
    actual = np.append(counts, values.size - known.size) / values.size
    return expected, actual


def number_bins(reference: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Inner edges and expected shares of the bins (-inf, e1], (e1, e2], ... of a number.

    Where a value is so frequent that deciles coincide, its exact share is not in the deciles: new
    bundles bring `shares`; for older ones the bins around such a value are merged. A feature that
    was always missing has one bin, one that never varied three: its value, below it, above it.
    """
    if reference.get("deciles") is None:
        return np.empty(0), np.ones(1)
    deciles = np.array(reference["deciles"], float)
    if deciles[0] == deciles[-1]:
        return np.array([np.nextafter(deciles[0], -np.inf), deciles[0]]), np.array([0.0, 1.0, 0.0])
    inner = deciles[1:-1]
    if reference.get("shares") is not None:
        return np.unique(inner), np.array(reference["shares"], float)
    single = [i for i in range(1, 10) if deciles[i - 1] < deciles[i] < deciles[i + 1]]
    edges = deciles[single]
    below = np.array([0.0, *(0.1 * i for i in single), 1.0])
    return edges, np.diff(below)


def histogram(values: FloatArray, reference: Mapping[str, Any]) -> dict[str, Any]:
    """Both distributions over the same bars, to draw: `bars` (from, to) or levels, shares of each.

    Bars are equally wide and span all but the outermost 0.5 % on either side, which are counted
    into the ends; of an old bundle they are the bins of PSI. Shares are of the known values.
    """
    known = values[np.isfinite(values)]
    points = points_of(reference)
    if points is None or not known.size:
        return _of_bins(values, reference)
    low, high = _span(known, points)
    if low == high:
        edges = np.array([low - 0.5, high + 0.5])
    else:
        edges = np.linspace(low, high, MOST_BARS + 1)
    theirs = np.histogram(np.clip(points.values, low, high), edges, weights=points.weights)[0]
    ours = np.histogram(np.clip(known, low, high), edges)[0] / known.size
    bars = [[float(a), float(b)] for a, b in pairwise(edges)]
    return {"bars": bars, "reference": _rounded(theirs), "recent": _rounded(ours)}


def _span(known: FloatArray, points: Points) -> tuple[float, float]:
    ends = (0.005, 0.995)
    ours = np.quantile(known, ends, method="inverted_cdf")
    reached = np.searchsorted(np.cumsum(points.weights), np.array(ends) - 1e-9)
    theirs = points.values[np.minimum(reached, len(points.values) - 1)]
    return float(min(ours[0], theirs[0])), float(max(ours[1], theirs[1]))


def _of_bins(values: FloatArray, reference: Mapping[str, Any]) -> dict[str, Any]:
    expected, actual = bin_shares(values, reference)
    found = {"reference": _rounded(expected), "recent": _rounded(actual)}
    if reference["kind"] == "category":
        return found | {"levels": [entry["value"] for entry in reference["levels"]]}
    edges = number_bins(reference)[0].tolist()
    bars = zip([None, *edges], [*edges, None], strict=True)
    return found | {"bars": [list(pair) for pair in bars]}


def _rounded(shares: FloatArray) -> list[float]:
    return [round(float(share), 6) for share in shares]
