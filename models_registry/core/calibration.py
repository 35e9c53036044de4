"""Turn margins into probabilities that mean what they say, from validation rows."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

from models_registry.core.metrics import brier_score
from scoring.core.aggregates import spread_of
from scoring.core.inference import Calibration, score_of

MINIMUM_OF_A_CLASS: Final = 5
MINIMUM_FOR_ISOTONIC: Final = 20
PSEUDO_COUNT: Final = 1.0
SMALLEST_SLOPE: Final = 1e-3
"""Log-odds of a standard deviation below which margins say nothing; of the furthest row then."""
NEWTON_STEPS: Final = 100
TOO_FEW: Final = f"fewer than {MINIMUM_OF_A_CLASS} labelled events of a kind"
FEW: Final = f"fewer than {MINIMUM_FOR_ISOTONIC} of a kind in a half: two parameters are enough"
BETTER: Final = "the smaller squared error on the newer half of the validation days"

FloatArray = NDArray[np.float64]
Labels = NDArray[Any]


def fit_calibration(margins: FloatArray, labels: Labels) -> Calibration:
    """The better of Platt scaling and isotonic regression; see `choose_calibration`."""
    return choose_calibration(margins, labels)[0]


def choose_calibration(margins: FloatArray, labels: Labels) -> tuple[Calibration, dict[str, Any]]:
    """(the better of Platt scaling and isotonic regression for validation rows, how it won).

    Rows are oldest first. Each is fitted on the older half and judged by its Brier score on the
    newer half; the winner is fitted again on all rows. Few positives leave only Platt's two
    parameters, fewer than five of either class no calibration at all. The second value is
    JSON-able: `chosen`, `why`, and `brier` by name where both were tried.
    """
    if _rarer_class(labels) < MINIMUM_OF_A_CLASS:
        return Calibration(), {"chosen": "none", "why": TOO_FEW}
    half = labels.size // 2
    older, newer = slice(None, half), slice(half, None)
    if min(_rarer_class(labels[older]), _rarer_class(labels[newer])) < MINIMUM_FOR_ISOTONIC:
        return fit_platt(margins, labels), {"chosen": "platt", "why": FEW}
    brier = {}
    for name, fit in CALIBRATIONS.items():
        trial = fit(margins[older], labels[older]).probability(margins[newer])
        brier[name] = brier_score(labels[newer], np.asarray(trial))
    best = min(brier, key=lambda name: brier[name])
    return CALIBRATIONS[best](margins, labels), {"chosen": best, "why": BETTER, "brier": brier}


def _rarer_class(labels: Labels) -> int:
    positives = int((labels == 1).sum())
    return min(positives, labels.size - positives)


def fit_isotonic(margins: FloatArray, labels: Labels) -> Calibration:
    """Isotonic regression, interpolated between the centres of its steps.

    The centres (Oron & Flournoy, "Centered isotonic regression", 2017) keep the order of margins
    that plain steps would tie. One pseudo-row at the overall rate joins each step, so that no
    probability is exactly 0 or 1 (Laplace).
    """
    order = np.argsort(margins, kind="stable")
    sorted_margins, sorted_labels = margins[order], labels[order].astype(np.float64)
    values, first, count = np.unique(sorted_margins, return_index=True, return_counts=True)
    hits = np.add.reduceat(sorted_labels, first)
    fitted = isotonic_regression(hits / count, sample_weight=count.astype(np.float64))
    starts = np.flatnonzero(np.append(True, np.diff(fitted) != 0))
    size = np.add.reduceat(count, starts).astype(np.float64)
    centre = np.add.reduceat(values * count, starts) / size
    rate = (np.add.reduceat(hits, starts) + PSEUDO_COUNT * labels.mean()) / (size + PSEUDO_COUNT)
    # Pseudo-rows weigh more on small steps and could turn two neighbours round.
    rising = np.maximum.accumulate(rate)
    distinct = np.append(True, np.diff(centre) > 0)
    return Calibration(
        kind="isotonic",
        knots=tuple(centre[distinct].tolist()),
        values=tuple(rising[distinct].tolist()),
    )


def fit_platt(margins: FloatArray, labels: Labels) -> Calibration:
    """Logistic fit of the label on the margin, with Platt's smoothed targets (1999).

    Newton's method with halved steps. The slope stays positive: where margins say nothing (or the
    opposite), all rows get nearly the overall rate. Margins in another unit give the same.
    """
    positives = float((labels == 1).sum())
    negatives = labels.size - positives
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre = float(margins.mean())
    spread = spread_of(float(margins.std()), centre) or 1.0
    columns = np.stack([(margins - centre) / spread, np.ones(margins.size)])
    a, b = _newton(columns, target, start=np.array([1.0, _log_odds(positives, negatives)]))
    slope = float(a / spread)
    if a < SMALLEST_SLOPE:
        furthest = float(np.abs(margins - centre).max()) or 1.0
        slope, b = SMALLEST_SLOPE / furthest, _log_odds(positives, negatives)
    return Calibration(kind="platt", slope=slope, intercept=float(b - slope * centre))


def _log_odds(positives: float, negatives: float) -> float:
    return float(np.log((positives + 1) / (negatives + 1)))


def _newton(columns: FloatArray, target: FloatArray, *, start: FloatArray) -> FloatArray:
    """float64[2] that minimises the log loss of `target` [n] on `columns` [2, n]."""

    def loss(weights: FloatArray) -> float:
        linear = weights @ columns
        return float((np.logaddexp(0.0, linear) - target * linear).sum())

    weights, best = start, loss(start)
    for _ in range(NEWTON_STEPS):
        p = score_of(weights @ columns, "logit")
        gradient = columns @ (p - target)
        hessian = (columns * (p * (1 - p))) @ columns.T + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        while (trial := loss(weights - step)) > best and np.abs(step).max() > 1e-12:
            step = step / 2
        weights = weights - step
        if best - trial < 1e-12 * max(1.0, abs(best)):
            break
        best = trial
    return weights


CALIBRATIONS: Final = {"platt": fit_platt, "isotonic": fit_isotonic}
