"""What a model goes by over many events: exact contributions of each feature, summed up.

The numbers are the same Shapley contributions that explain a single event (scoring.core.explain),
taken over a sample of events that the model had not learnt from. The summary follows Lundberg et
al. (2020): mean |contribution| ranks the features, the points show how each value acts.
"""

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.core.bundle import Predictor
from scoring.core.explain import additivity_error, group_by_source

MOST_ROWS: Final = 5000
POINTS: Final = 1500
CHUNK: Final = 1000
ARRAYS: Final = ("values", "contributions", "mean_abs", "mean", "direction", "scalars")

FloatArray = NDArray[np.float64]
Points = NDArray[np.float32]


class ExplanationError(ValueError):
    """Stored arrays that are no global explanation, or nothing to explain."""


@dataclass(frozen=True, slots=True)
class GlobalExplanation:
    """Per feature, in the order of the feature vector; contributions in units of the margin.

    `values`, `contributions`: float32[p, k], p points drawn from the `rows` events that the means
    are over; NaN = missing. `direction` is the rank correlation of value and contribution in
    [-1, 1], NaN where either never changes. `error` is the largest additivity error seen.
    """

    values: Points
    contributions: Points
    mean_abs: FloatArray
    mean: FloatArray
    direction: FloatArray
    base: float
    rows: int
    error: float

    def to_bytes(self) -> bytes:
        """An npz archive of plain arrays; equal explanations give equal bytes."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            allow_pickle=False,
            values=self.values,
            contributions=self.contributions,
            mean_abs=self.mean_abs,
            mean=self.mean,
            direction=self.direction,
            scalars=np.array([self.base, self.rows, self.error], np.float64),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "GlobalExplanation":
        """The reverse of `to_bytes`; never unpickles. Raises ExplanationError."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                found = {name: stored[name] for name in ARRAYS}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ExplanationError(f"The stored explanation cannot be read: {error}") from error
        base, rows, worst = found.pop("scalars").tolist()
        return cls(**found, base=base, rows=int(rows), error=worst)


def sample_of(n: int, *, most: int, seed: int) -> NDArray[np.intp]:
    """Up to `most` of the numbers below n, drawn without replacement, rising."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def explain_globally(
    predictor: Predictor,
    vectors: FloatArray,
    *,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> GlobalExplanation:
    """Explain up to 5,000 of the raw vectors float64[n, k] (NaN = missing).

    `check` is called before every thousand; what it raises ends the work. Raises ExplanationError
    without rows, ExplainError or ModelError as the model does.
    """
    if not len(vectors):
        raise ExplanationError("There are no events to explain.")
    rows = vectors[sample_of(len(vectors), most=MOST_ROWS, seed=seed)]
    found, errors = [], []
    for start in range(0, len(rows), CHUNK):
        check()
        matrix = predictor.encoder.matrix(rows[start : start + CHUNK])
        parts = predictor.explainer.contributions(matrix)
        margin = predictor.model.margin(matrix)
        errors.append(additivity_error(predictor.explainer.base, parts, margin).max())
        found.append(group_by_source(parts, predictor.encoder.source, rows.shape[1]))
    contributions = np.concatenate(found)
    shown = sample_of(len(rows), most=POINTS, seed=seed + 1)
    return GlobalExplanation(
        values=rows[shown].astype(np.float32),
        contributions=contributions[shown].astype(np.float32),
        mean_abs=np.abs(contributions).mean(axis=0),
        mean=contributions.mean(axis=0),
        direction=np.array(
            [_rank_correlation(v, c) for v, c in zip(rows.T, contributions.T, strict=True)]
        ),
        base=float(predictor.explainer.base),
        rows=len(rows),
        error=float(max(errors)),
    )


def ranks(values: NDArray[Any]) -> FloatArray:
    """Mean ranks float64[n] of values, ties sharing theirs."""
    place, count = np.unique(values, return_inverse=True, return_counts=True)[1:]
    result: FloatArray = (np.cumsum(count) - (count - 1) / 2.0)[place]
    return result


def _rank_correlation(values: FloatArray, contributions: FloatArray) -> float:
    """Spearman's rank correlation over the rows that are not missing; NaN if one is constant."""
    known = np.isfinite(values)
    if known.sum() < 2:
        return float("nan")
    x, y = ranks(values[known]), ranks(contributions[known])
    if x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


@dataclass(frozen=True, slots=True)
class Step:
    """Events of one feature that share a range of values, or one value.

    `low`, `high`: NaN both where the value is missing. The band is the middle 80 % of the
    contributions.
    """

    low: float
    high: float
    count: int
    mean: float
    band_low: float
    band_high: float


def dependence(values: Points, contributions: Points, *, steps: int = 10) -> list[Step]:
    """How the contribution of a feature depends on its value: float32[p] each, lowest first.

    Up to `steps` groups of about equal size, never splitting equal values; missing ones last.
    """
    known = np.isfinite(values)
    found = []
    if known.any():
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, steps + 1)[1:-1]))
        group = np.searchsorted(edges, values, side="left")
        found = [
            _step(values[rows], contributions[rows])
            for g in range(len(edges) + 1)
            if (rows := known & (group == g)).any()
        ]
    if not known.all():
        found.append(_step(values[~known], contributions[~known]))
    return found


MONOTONE_STEPS: Final = (0.01, 0.03, 0.1, *np.arange(0.2, 0.85, 0.1), 0.9, 0.97, 0.99)
"""Quantiles between the groups: narrow at both ends, where few events carry much."""


def monotone_share(values: Points, contributions: Points) -> tuple[float, float]:
    """How much of the dependence a line that only rises, and one that only falls, tells; in [0, 1].

    float32[p] each; a missing value has no place in an order. Mean contributions of groups of
    neighbouring values against their isotonic regression (Barlow et al., "Statistical inference
    under order restrictions", 1972). NaN both where the groups do not differ.
    """
    known = np.isfinite(values)
    if not known.any():
        return float("nan"), float("nan")
    edges = np.unique(np.quantile(values[known], MONOTONE_STEPS))
    group = np.searchsorted(edges, values[known], side="left")
    counts = np.bincount(group).astype(np.float64)
    sums = np.bincount(group, weights=contributions[known].astype(np.float64))
    means, counts = sums[counts > 0] / counts[counts > 0], counts[counts > 0]
    spread = float(counts @ (means - np.average(means, weights=counts)) ** 2)
    if spread <= 1e-12 * float(counts.sum()):
        return float("nan"), float("nan")
    rising, falling = _rising(means, counts), -_rising(-means, counts)
    return (
        1.0 - float(counts @ (means - rising) ** 2) / spread,
        1.0 - float(counts @ (means - falling) ** 2) / spread,
    )


def _rising(means: FloatArray, counts: FloatArray) -> FloatArray:
    """The closest sequence that never falls, by pooling neighbours that do."""
    pools: list[list[float]] = []
    for mean, count in zip(means.tolist(), counts.tolist(), strict=True):
        pools.append([mean, count, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            last, before = pools.pop(), pools.pop()
            weight = before[1] + last[1]
            mean = (before[0] * before[1] + last[0] * last[1]) / weight
            pools.append([mean, weight, before[2] + last[2]])
    return np.repeat([pool[0] for pool in pools], [int(pool[2]) for pool in pools])


def level_steps(values: Points, contributions: Points, *, most: int = 20) -> list[Step]:
    """The same for a category: the `most` frequent levels, most frequent first, missing last."""
    levels, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    found = [_step(values[values == x], contributions[values == x]) for x in levels[order]]
    missing = ~np.isfinite(values)
    if missing.any():
        found.append(_step(values[missing], contributions[missing]))
    return found


def _step(values: Points, contributions: Points) -> Step:
    low, high = np.quantile(contributions, [0.1, 0.9])
    return Step(
        low=float(values.min()),
        high=float(values.max()),
        count=int(values.size),
        mean=float(contributions.mean()),
        band_low=float(low),
        band_high=float(high),
    )
