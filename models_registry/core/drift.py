"""Has the world moved away from what the model learnt on? A verdict per feature, and over all.

Measured against the bundle's reference (the training window): PSI over its deciles or levels with
a bin for missing values, the two-sample KS distance and the Wasserstein distance in standard
deviations of numbers, chi-squared of the bins. A verdict needs both:

* an effect that matters. PSI from 0.1 moderate, from 0.25 major; Wasserstein / std from 0.1 and
  from 0.5 (a shift of half a deviation is a PSI of a quarter: for normals PSI = shift^2), and where
  the reference has no spread to measure by, KS from 0.1 and from 0.25; a rate that changed by a
  factor of 1.5, of 2. So a million rows do not flag trivia;
* significance. Each feature's p-value is the smallest of its tests times their number; over all
  that is checked they are adjusted by Holm, so that a check in which nothing moved alarms at all
  with at most FALSE_ALARMS, whatever the number of features. Rows count as independent, which
  windows over the same entity are not: another reason why an effect is asked for.

With fewer than LEAST_ROWS rows on a side, where PSI passes 0.1 by chance, the verdict is `unknown`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.distances import (
    bin_shares,
    histogram,
    ks_and_wasserstein,
    number_bins,
    points_of,
    psi,
)
from models_registry.core.significance import holm, homogeneity, kolmogorov_survival

MODERATE: Final = 0.1
MAJOR: Final = 0.25
FAR: Final = 0.1
VERY_FAR: Final = 0.5
APART: Final = 0.1
FAR_APART: Final = 0.25
CHANGED: Final = 1.5
CHANGED_MUCH: Final = 2.0
LEAST_ROWS: Final = 1000
LEAST_POSITIVES: Final = 10
"""Positives that a rate must let expect on either side before two rates are compared."""
FALSE_ALARMS: Final = 0.01
"""How often a check may alarm although nothing moved."""
STABLE, MODERATE_DRIFT, MAJOR_DRIFT, UNKNOWN = "stable", "moderate", "major", "unknown"
RANKS: Final = {UNKNOWN: 0, STABLE: 1, MODERATE_DRIFT: 2, MAJOR_DRIFT: 3}
EXACT, SKETCH, BINNED = "exact", "sketch", "binned"
FEATURE, SCORE, RATE = "feature", "score", "rate"
NO_REFERENCE: Final = (
    "The model keeps no reference of it: it was trained by an earlier version of the platform"
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drift:
    """What was measured of one feature, the score or a rate; None where it cannot be told.

    `bound`: what PSI stays under by chance. `ks`: distance D; `wasserstein` in standard deviations;
    both within `ks_error` and `wasserstein_error`, because of the training rows only points are
    kept. `basis`: `exact` (all distinct values kept), `sketch`, or `binned`: an old bundle kept
    deciles alone, `ks` is then a lower bound. `p`: adjusted for all that was checked.
    `change`: factor between rates. `reason`: why `unknown`, empty otherwise.
    """

    name: str
    role: str = FEATURE
    kind: str = "number"
    status: str = UNKNOWN
    reason: str = ""
    rows: int = 0
    reference_rows: int = 0
    psi: float | None = None
    bound: float | None = None
    ks: float | None = None
    ks_error: float | None = None
    wasserstein: float | None = None
    wasserstein_error: float | None = None
    chi2: float | None = None
    p: float | None = None
    missing: float | None = None
    reference_missing: float | None = None
    rate: float | None = None
    reference_rate: float | None = None
    change: float | None = None
    basis: str = ""
    histogram: Mapping[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> tuple[int, float]:
        """For sorting, worst last: the status, then the largest effect in units of `moderate`."""
        effects = (
            (self.psi or 0.0) / MODERATE,
            (self.wasserstein or 0.0) / FAR,
            self.moved / APART,
            abs(math.log(self.change)) / math.log(CHANGED) if self.change else 0.0,
        )
        return RANKS[self.status], max(effects)

    @property
    def moved(self) -> float:
        """KS as an effect: the share of events that surely moved, where there is no Wasserstein."""
        if self.wasserstein is not None:
            return 0.0
        return max((self.ks or 0.0) - (self.ks_error or 0.0), 0.0)


def feature_drifts(
    vectors: FloatArray, names: Sequence[str], reference: Mapping[str, Mapping[str, Any]]
) -> list[Drift]:
    """Measured columns of float64[n, k] (NaN = missing), in the order of `names`, judged together.

    `reference` is what `reference.describe_features` gave in training, by name.
    """
    if vectors.ndim != 2 or vectors.shape[1] != len(names):
        raise ValueError(f"{len(names)} names do not fit vectors of {list(vectors.shape)}.")
    return judge_drifts(
        [measure_values(n, vectors[:, i], reference.get(n)) for i, n in enumerate(names)]
    )


def measure_values(
    name: str, values: FloatArray, reference: Mapping[str, Any] | None, *, role: str = FEATURE
) -> Drift:
    """What is to be told of float64[n] (NaN = missing); its `p` is not yet adjusted for others."""
    if reference is None:
        return Drift(name, role, rows=values.size, reason=f"{NO_REFERENCE}.")
    rows, known_rows = values.size, int(reference["count"])
    found = Drift(name, role, str(reference["kind"]), rows=rows, reference_rows=known_rows)
    if text := too_few(rows, known_rows):
        return replace(found, reason=text)
    expected, actual = bin_shares(values, reference)
    used = int(((expected > 0) | (actual > 0)).sum())
    chi2, p = homogeneity(expected, actual, rows, known_rows)
    found = replace(
        found,
        psi=psi(expected, actual, rows=min(rows, known_rows)),
        bound=chance_bound(used, rows, known_rows, 1.0 - FALSE_ALARMS),
        chi2=chi2,
        p=p,
        missing=float(actual[-1]),
        reference_missing=float(expected[-1]),
        basis=EXACT,
        histogram=histogram(values, reference),
    )
    if found.kind == "category":
        return found
    return _with_distances(found, values[np.isfinite(values)], reference)


def too_few(rows: int, reference_rows: int) -> str:
    """Why so few rows say nothing, in words; empty when they are enough."""
    if rows < LEAST_ROWS:
        return f"Needs {LEAST_ROWS:,} events, has {rows:,}."
    if reference_rows < LEAST_ROWS:
        return f"Needs {LEAST_ROWS:,} events of training, had {reference_rows:,}."
    return ""


def _with_distances(found: Drift, known: FloatArray, reference: Mapping[str, Any]) -> Drift:
    known_rows = round(found.reference_rows * (1.0 - float(reference["missing_share"])))
    if not known.size or not known_rows:
        return found  # The missing rate alone can be compared.
    points = points_of(reference)
    if points is None:
        edges, shares = number_bins(reference)
        theirs = np.cumsum(shares)[:-1]
        ours = np.searchsorted(np.sort(known), edges, side="right") / known.size
        distance = float(np.abs(ours - theirs).max(initial=0.0))
        found = replace(found, basis=BINNED, ks=distance)
        surely = distance
    else:
        distance, work = ks_and_wasserstein(known, points)
        surely = max(distance - points.ks_error, 0.0)
        found = replace(
            found,
            basis=SKETCH if points.ks_error else EXACT,
            ks=distance,
            ks_error=points.ks_error,
            wasserstein=work / points.std if points.std > 0 else None,
            wasserstein_error=points.wasserstein_error if points.std > 0 else None,
        )
    p = min(found.p or 0.0, kolmogorov_survival(surely, known.size, known_rows))
    return replace(found, p=min(2.0 * p, 1.0))


def measure_rate(
    name: str, *, positives: int, rows: int, reference: Mapping[str, Any] | None, what: str
) -> Drift:
    """A share of `rows` against `reference` {rows, share}; `what` names the rows, for the reason.

    Unlike a PSI of two bins, the factor between rates sees a rare thing become less rare.
    """
    if reference is None:
        text = f"{NO_REFERENCE}, or nothing tells it for thresholds that were moved."
        return Drift(name, RATE, "rate", rows=rows, reason=text)
    known_rows, before = int(reference["rows"]), float(reference["share"])
    now = positives / rows if rows else 0.0
    found = Drift(
        name, RATE, "rate", rows=rows, reference_rows=known_rows, rate=now if rows else None,
        reference_rate=before, basis=EXACT,
    )  # fmt: skip
    if text := too_few(rows, known_rows):
        return replace(found, reason=text.replace("events", what))
    pooled = (positives + before * known_rows) / (rows + known_rows)
    if min(pooled, 1.0 - pooled) * min(rows, known_rows) < LEAST_POSITIVES:
        text = f"Needs {LEAST_POSITIVES} of either kind to be expected among {what}."
        return replace(found, reason=text)
    shares = (np.array([before, 1.0 - before]), np.array([now, 1.0 - now]))
    chi2, p = homogeneity(*shares, rows, known_rows)
    least = 0.5 / min(rows, known_rows)
    change = max(now, least) / max(before, least)
    return replace(
        found, chi2=chi2, p=p, change=change, psi=psi(*shares, rows=min(rows, known_rows))
    )


def judge_drifts(measured: Sequence[Drift]) -> list[Drift]:
    """The same with status and with `p` adjusted (Holm) for all of them together."""
    adjusted = iter(holm([one.p for one in measured if one.p is not None]))
    return [
        one if one.p is None else replace(one, p=(p := next(adjusted)), status=_status(one, p))
        for one in measured
    ]


def _status(found: Drift, p: float) -> str:
    if p >= FALSE_ALARMS:
        return STABLE
    if found.change is not None:
        factor = max(found.change, 1.0 / found.change)
        effects = [(factor, CHANGED, CHANGED_MUCH)]
    else:
        surely = max((found.wasserstein or 0.0) - (found.wasserstein_error or 0.0), 0.0)
        effects = [
            (found.psi or 0.0, MODERATE, MAJOR),
            (surely, FAR, VERY_FAR),
            (found.moved, APART, FAR_APART),
        ]
    if any(effect >= major for effect, _, major in effects):
        return MAJOR_DRIFT
    return MODERATE_DRIFT if any(effect >= some for effect, some, _ in effects) else STABLE


def overall(drifts: Sequence[Drift]) -> str:
    """The worst status that anything has. Without an alarm it takes a feature or the score to be
    stable: labels of older events, which the model never saw, say nothing of what arrives."""
    worst = max((drift.status for drift in drifts), key=RANKS.__getitem__, default=UNKNOWN)
    seen = any(drift.status != UNKNOWN for drift in drifts if drift.role != RATE)
    return worst if seen or worst != STABLE else UNKNOWN


def chance_bound(bins: int, rows: int, reference_rows: int, level: float) -> float:
    """What PSI stays under with probability `level` when nothing moved; 0.0 for a single bin.

    PSI is then about (1/n + 1/m) chi2(bins - 1) (Potgieter et al., arXiv 2307.11878).
    """
    degrees = bins - 1
    if degrees < 1:
        return 0.0
    return chi2_quantile(level, degrees) * (1.0 / rows + 1.0 / reference_rows)


def chi2_quantile(level: float, degrees: int) -> float:
    """Quantile of chi2, by Wilson and Hilferty (1931); up to 6 % high at few degrees."""
    step = 2.0 / (9.0 * degrees)
    base = 1.0 - step + NormalDist().inv_cdf(level) * math.sqrt(step)
    return float(degrees * max(base, 0.0) ** 3)
