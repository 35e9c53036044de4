"""Has a feature moved away from what the model learnt on? PSI against the bundle's reference.

PSI = sum (a_i - e_i) ln(a_i / e_i) over bins: deciles of the reference for numbers, levels for
categories, one more bin for missing values. Below 0.1 is read as stable, to 0.25 as moderate.
Those constants ignore sample size: without drift PSI is about (1/n + 1/m) chi2(bins - 1)
(Potgieter et al., arXiv 2307.11878), which for 100 rows and 10 bins passes 0.1 every second time.
So a feature alarms only above that chance bound too; the bound allows for testing many features.
Empty bins count as half a row, at least 1e-4.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MODERATE: Final = 0.1
MAJOR: Final = 0.25
LEAST_ROWS: Final = 100
"""Fewer cannot fill ten bins."""
FALSE_ALARMS: Final = 0.01
"""How often a check of all features may alarm although nothing moved."""
SMALLEST_SHARE: Final = 1e-4
STABLE, MODERATE_DRIFT, MAJOR_DRIFT, UNKNOWN = "stable", "moderate", "major", "unknown"

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """`bound`: what PSI stays under by chance; `psi` is None where nothing can be said."""

    name: str
    psi: float | None
    bound: float | None
    status: str


def feature_drifts(
    vectors: FloatArray, names: Sequence[str], reference: Mapping[str, Mapping[str, Any]]
) -> list[FeatureDrift]:
    """Drift of each column of float64[n, k] (NaN = missing), in the order of `names`.

    `reference` is what `reference.describe_features` gave in training, by name. A feature without
    a usable reference, or fewer rows than LEAST_ROWS on either side, is `unknown`.
    """
    if vectors.ndim != 2 or vectors.shape[1] != len(names):
        raise ValueError(f"{len(names)} names do not fit vectors of {list(vectors.shape)}.")
    level = 1.0 - FALSE_ALARMS / max(len(names), 1)
    return [
        _feature(name, vectors[:, i], reference.get(name), level) for i, name in enumerate(names)
    ]


def overall(drifts: Sequence[FeatureDrift]) -> str:
    """The worst status that any feature has; unknown when nothing can be said of any."""
    found = {drift.status for drift in drifts}
    for status in (MAJOR_DRIFT, MODERATE_DRIFT, STABLE):
        if status in found:
            return status
    return UNKNOWN


def _feature(
    name: str, values: FloatArray, reference: Mapping[str, Any] | None, level: float
) -> FeatureDrift:
    rows = values.size
    known = int(reference.get("count", 0)) if reference else 0
    if reference is None or min(rows, known) < LEAST_ROWS:
        return FeatureDrift(name, None, None, UNKNOWN)
    shares = _shares(values, reference)
    if shares is None:
        return FeatureDrift(name, None, None, UNKNOWN)
    expected, actual = shares
    used = int(((expected > 0) | (actual > 0)).sum())
    found = psi(expected, actual, rows=min(rows, known))
    bound = chance_bound(used, rows, known, level)
    return FeatureDrift(name, found, bound, _status(found, bound))


def _status(found: float, bound: float) -> str:
    if found < max(MODERATE, bound):
        return STABLE
    return MODERATE_DRIFT if found < max(MAJOR, bound) else MAJOR_DRIFT


def psi(expected: FloatArray, actual: FloatArray, *, rows: int) -> float:
    """Population stability index of two lists of shares; `rows` of the smaller sample, >= 1."""
    least = max(SMALLEST_SHARE, 0.5 / rows)
    used = (expected > 0) | (actual > 0)
    e, a = np.maximum(expected[used], least), np.maximum(actual[used], least)
    return float(((a - e) * np.log(a / e)).sum())


def chance_bound(bins: int, rows: int, reference_rows: int, level: float) -> float:
    """What PSI stays under with probability `level` when nothing moved; 0.0 for a single bin."""
    degrees = bins - 1
    if degrees < 1:
        return 0.0
    return chi2_quantile(level, degrees) * (1.0 / rows + 1.0 / reference_rows)


def chi2_quantile(level: float, degrees: int) -> float:
    """Quantile of chi2, by Wilson and Hilferty (1931); up to 6 % high at few degrees."""
    step = 2.0 / (9.0 * degrees)
    base = 1.0 - step + NormalDist().inv_cdf(level) * math.sqrt(step)
    return float(degrees * max(base, 0.0) ** 3)


def _shares(
    values: FloatArray, reference: Mapping[str, Any]
) -> tuple[FloatArray, FloatArray] | None:
    """(expected, actual) shares by bin, missing values last; None without statistics."""
    missing = float(reference["missing_share"])
    known = values[np.isfinite(values)]
    if reference["kind"] == "category":
        levels = reference["levels"]
        inside = np.array([entry["share"] for entry in levels])
        codes = np.array([entry["value"] for entry in levels])
        counts = np.array([(known == code).sum() for code in codes], float)
        inside = np.append(inside, max(1.0 - inside.sum(), 0.0))
        counts = np.append(counts, known.size - counts.sum())
    else:
        bins = number_bins(reference)
        if bins is None:
            return None
        edges, inside = bins
        place = np.searchsorted(edges, known, side="left")
        counts = np.bincount(place, minlength=len(edges) + 1).astype(float)
    expected = np.append(inside * (1.0 - missing), missing)
    actual = np.append(counts, values.size - known.size) / values.size
    return expected, actual


def number_bins(reference: Mapping[str, Any]) -> tuple[FloatArray, FloatArray] | None:
    """Inner edges and expected shares of the bins (-inf, e1], (e1, e2], ... of a number.

    Where a value is so frequent that deciles coincide, its exact share is not in the deciles: new
    bundles bring `shares`; for older ones the bins around such a value are merged.
    """
    if reference.get("deciles") is None:
        return None
    deciles = np.array(reference["deciles"], float)
    inner = deciles[1:-1]
    if reference.get("shares") is not None:
        return np.unique(inner), np.array(reference["shares"], float)
    single = [i for i in range(1, 10) if deciles[i - 1] < deciles[i] < deciles[i + 1]]
    edges = deciles[single]
    below = np.array([0.0, *(0.1 * i for i in single), 1.0])
    return edges, np.diff(below)
