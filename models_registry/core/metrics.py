"""How well scores rank, alert and cost. Labels are 0/1 [n], scores float64[n], higher is riskier.

Conventions follow Le Borgne et al. (2022), chapter 4: with rare positives read the average
precision and the precision in the analysts' daily capacity, and the ROC area last.
Every function returns NaN where the question has no answer (say, a recall without positives).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.costs import exposures

FloatArray = NDArray[np.float64]
Labels = NDArray[Any]

NAN = float("nan")
MOST_CARDS: Final = 100
TEN: Final = 10
ROUNDING: Final = 4.0 * float(np.finfo(float).eps)
"""How far the product of a share and a count may lie below the count that is meant, as a share."""


def count_of(share: float, n: float) -> int:
    """How many whole ones of `n` a share is: 29 of 100 for 0.29, though as floats 0.29 * 100 lies
    below 29."""
    return floor(share * n * (1.0 + ROUNDING))


@dataclass(frozen=True)
class Counts:
    """Rows flagged at each distinct score, from the highest down (weighted if asked)."""

    score: FloatArray
    true: FloatArray
    false: FloatArray

    @property
    def positives(self) -> float:
        return float(self.true[-1]) if self.true.size else 0.0

    @property
    def negatives(self) -> float:
        return float(self.false[-1]) if self.false.size else 0.0


def cumulative_counts(
    labels: Labels, scores: FloatArray, weights: FloatArray | None = None
) -> Counts:
    """True and false positives when everything with a score >= each distinct score is flagged."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True)[: ranked.size])
    weight = np.ones(len(order)) if weights is None else weights[order]
    positive = weight * (labels[order] == 1)
    true = np.cumsum(positive)[last]
    return Counts(ranked[last], true, np.cumsum(weight)[last] - true)


def roc_auc(labels: Labels, scores: FloatArray) -> float:
    """Chance that a random positive scores above a random negative (ties count half)."""
    counts = cumulative_counts(labels, scores)
    if counts.positives == 0 or counts.negatives == 0:
        return NAN
    true = np.concatenate([[0.0], counts.true]) / counts.positives
    false = np.concatenate([[0.0], counts.false]) / counts.negatives
    return float(np.trapezoid(true, false))


def average_precision(
    labels: Labels, scores: FloatArray, weights: FloatArray | None = None
) -> float:
    """Area under the precision-recall curve as a step function."""
    counts = cumulative_counts(labels, scores, weights)
    if counts.positives == 0:
        return NAN
    flagged = counts.true + counts.false
    precision = np.divide(counts.true, flagged, out=np.zeros_like(flagged), where=flagged > 0)
    gained = np.diff(counts.true, prepend=0.0)
    return float((gained * precision).sum() / counts.positives)


@dataclass(frozen=True)
class AtThreshold:
    """What flagging every score >= `threshold` gives; precision and F1 are NaN where nothing is
    flagged, nothing is positive or nothing is negative."""

    threshold: float
    alert_rate: float
    precision: float
    recall: float
    f1: float
    false_positive_rate: float


def at_threshold(labels: Labels, scores: FloatArray, threshold: float) -> AtThreshold:
    """Precision, recall and their kin at one threshold."""
    flagged, positive = scores >= threshold, labels == 1
    hits = float((flagged & positive).sum())
    n_flagged, n_positive = float(flagged.sum()), float(positive.sum())
    n_negative = labels.size - n_positive
    telling = bool(n_flagged and n_positive and n_negative)
    return AtThreshold(
        threshold=float(threshold),
        alert_rate=_ratio(n_flagged, labels.size),
        precision=hits / n_flagged if telling else NAN,
        recall=_ratio(hits, n_positive),
        f1=2 * hits / (n_flagged + n_positive) if telling else NAN,
        false_positive_rate=_ratio(n_flagged - hits, n_negative),
    )


def recall_at_false_positive_rate(labels: Labels, scores: FloatArray, rate: float = 0.01) -> float:
    """Best recall among thresholds that flag at most `rate` of the negatives."""
    counts = cumulative_counts(labels, scores)
    if counts.positives == 0 or counts.negatives == 0:
        return NAN
    allowed = counts.false <= count_of(rate, counts.negatives)
    return float(counts.true[allowed].max(initial=0.0) / counts.positives)


def cards_a_day(capacity: float, events: int, days: float) -> int:
    """The k of card precision@k: how many events people can see a day, at least 1, at most 100;
    from 10 on in tens, so that it is one k for most versions of a detector."""
    most = min(MOST_CARDS, max(1, round(capacity * events / days))) if days > 0.0 else 1
    return most if most < TEN else most // TEN * TEN


def entity_precision_at_k(
    labels: Labels,
    scores: FloatArray,
    entities: NDArray[Any],
    days: NDArray[Any],
    k: int = 100,
) -> float:
    """Card precision@k: share of true alerts among the k riskiest entities, mean over the days.

    `entities` [n] and `days` [n] are any codes. An entity counts once a day with its highest score
    and label, and leaves the game after the day on which it was rightly found. Always divided by
    k: with few compromised entities the ceiling lies far below 1.
    """
    by_day = entity_hits_by_day(labels, scores, entities, days, k)
    return int(by_day.sum()) / (by_day.size * k) if by_day.size else NAN


def entity_hits_by_day(
    labels: Labels,
    scores: FloatArray,
    entities: NDArray[Any],
    days: NDArray[Any],
    k: int = 100,
) -> NDArray[np.intp]:
    """intp[number of days]: what card precision@k is the mean of, how many of each day's k riskiest
    entities were rightly found; the earliest day first."""
    entity_code = np.unique(entities, return_inverse=True)[1]
    found = np.zeros(int(entity_code.max(initial=-1)) + 1, dtype=bool)
    hit = []
    for day in np.unique(days):
        rows = np.flatnonzero((days == day) & ~found[entity_code])
        present, place = np.unique(entity_code[rows], return_inverse=True)
        top_score = np.full(present.size, -np.inf)
        np.maximum.at(top_score, place, scores[rows])
        bad = np.zeros(present.size, dtype=bool)
        np.logical_or.at(bad, place, labels[rows] == 1)
        alerts = np.argsort(-top_score, kind="stable")[:k]
        hits = present[alerts][bad[alerts]]
        found[hits] = True
        hit.append(hits.size)
    return np.array(hit, np.intp)


def entity_precision_ceiling(
    labels: Labels, entities: NDArray[Any], days: NDArray[Any], k: int = 100
) -> float:
    """What no ranking's card precision@k is above: at most k bad entities are found a day, and each
    once. It is reached wherever no day has more than k of them."""
    if labels.size == 0:
        return NAN
    bad = labels == 1
    n = np.unique(days).size
    each = np.unique(np.stack([_codes(days)[bad], _codes(entities)[bad]]), axis=1)
    a_day = np.minimum(np.bincount(each[0], minlength=1), k).sum()
    once = np.unique(each[1]).size
    return min(int(a_day), once) / (n * k)


def _codes(values: NDArray[Any]) -> NDArray[np.intp]:
    return np.unique(values, return_inverse=True)[1]


def value_detection_rate(
    labels: Labels, scores: FloatArray, amounts: FloatArray, alert_rate: float
) -> float:
    """Share of the fraudulent value in the `alert_rate` riskiest events (0 to 1); an unknown amount
    counts as in costs."""
    bad = np.where(labels == 1, exposures(amounts), 0.0)
    k = count_of(alert_rate, labels.size)
    return _ratio(float(bad[np.argsort(-scores, kind="stable")[:k]].sum()), float(bad.sum()))


def brier_score(labels: Labels, probabilities: FloatArray) -> float:
    """Mean squared error of the probabilities."""
    return float(np.mean((probabilities - labels) ** 2)) if labels.size else NAN


def calibration_groups(probabilities: FloatArray, bins: int = 10) -> list[NDArray[np.intp]]:
    """Up to `bins` groups of rows of equal size, those with the lowest probabilities first."""
    order = np.argsort(probabilities, kind="stable")
    return [group for group in np.array_split(order, bins) if group.size]


def calibration_points(
    labels: Labels, probabilities: FloatArray, bins: int = 10
) -> list[dict[str, float]]:
    """Mean probability and observed rate of up to `bins` groups of equal size, lowest first."""
    groups = calibration_groups(probabilities, bins)
    return [calibration_point(labels, probabilities, group) for group in groups]


def calibration_point(
    labels: Labels, probabilities: FloatArray, group: NDArray[np.intp]
) -> dict[str, float]:
    """Mean probability, observed rate and number of the rows `group`, at least one."""
    return {
        "probability": float(probabilities[group].mean()),
        "observed": float(labels[group].mean()),
        "count": float(group.size),
    }


def expected_calibration_error(labels: Labels, probabilities: FloatArray, bins: int = 10) -> float:
    """Mean |probability - observed rate| over groups of equal size."""
    points = calibration_points(labels, probabilities, bins)
    gap = sum(p["count"] * abs(p["probability"] - p["observed"]) for p in points)
    return _ratio(gap, labels.size)


def roc_points(labels: Labels, scores: FloatArray, size: int = 200) -> list[tuple[float, float]]:
    """(false positive rate, recall) along the ROC curve, at most about `size` points."""
    counts = cumulative_counts(labels, scores)
    if counts.positives == 0 or counts.negatives == 0:
        return []
    x, y = counts.false / counts.negatives, counts.true / counts.positives
    return [(0.0, 0.0), *_thin(x, y, size)]


def precision_recall_points(
    labels: Labels, scores: FloatArray, size: int = 200
) -> list[tuple[float, float]]:
    """(recall, precision) along the curve, at most about `size` points."""
    counts = cumulative_counts(labels, scores)
    if counts.positives == 0:
        return []
    return _thin(counts.true / counts.positives, counts.true / (counts.true + counts.false), size)


def _thin(x: FloatArray, y: FloatArray, size: int) -> list[tuple[float, float]]:
    """At most `size` points at even steps along the curve's length, always with both ends."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    wanted = np.linspace(0.0, length[-1], size)
    keep = np.unique(np.clip(np.searchsorted(length, wanted), 0, x.size - 1))
    return [(float(a), float(b)) for a, b in zip(x[keep], y[keep], strict=True)]


def bootstrap_interval(
    statistic: Callable[[NDArray[np.intp]], float],
    n_rows: int,
    *,
    seed: int,
    resamples: int = 200,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of `statistic(rows)` over rows drawn with replacement (Efron 1979)."""
    rng = np.random.default_rng(seed)
    drawn = np.array([statistic(rng.integers(0, n_rows, n_rows)) for _ in range(resamples)])
    return interval(drawn, level)


def interval(drawn: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of the drawn values; NaN if none is a number."""
    usable = drawn[np.isfinite(drawn)]
    if usable.size == 0:
        return NAN, NAN
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN
