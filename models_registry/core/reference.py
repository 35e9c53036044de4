"""What features and scores looked like in training: the yardstick for drift, kept in the bundle."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.distances import points_of
from scoring.core.aggregates import spread_of

DECILES: Final = tuple(round(0.1 * i, 1) for i in range(11))
MAX_LEVELS: Final = 20
POINTS: Final = 200
"""Points kept of a number's distribution: KS against them is exact to 1 / 400."""
LEAST_FULL: Final = 1000
"""Rows with full windows from which these are described alone; drift needs as many a side."""
ONCE_FULL: Final = "once_full"
NEAR: Final = 0.1
"""Relative error of a share that a comparison of rates, by factors from 1.5 on, can bear."""

FloatArray = NDArray[np.float64]


def describe_features(
    vectors: FloatArray, names: Sequence[str], *, categorical: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Statistics of each column of raw `vectors` float64[n, f] (NaN = missing), by feature name.

    Numbers: count, missing_share, mean, std, deciles (11 edges), shares of the bins between, and
    a `sketch` of the distribution. Features in `categorical` hold codes whose size means nothing:
    they get the shares of their most frequent `levels` instead.
    JSON-ready; statistics of a column that is all missing are None.
    """
    if vectors.ndim != 2 or vectors.shape[1] != len(names):
        raise ValueError(f"{len(names)} names cannot describe vectors of {list(vectors.shape)}.")
    return {
        name: _describe_levels(column) if name in categorical else describe_values(column)
        for name, column in zip(names, vectors.T, strict=True)
    }


def describe_once_full(
    vectors: FloatArray,
    names: Sequence[str],
    *,
    age: FloatArray,
    reaches: Sequence[float],
    categorical: Collection[str] = (),
) -> dict[str, dict[str, Any]]:
    """As `describe_features`; with an entry ONCE_FULL of the rows whose windows were full.

    `age` float64[n]: seconds from the beginning of the history to each row; `reaches` how far back
    each feature reads. What reads back further than the history was long saw a part of its window:
    a count is too low then, a mean missing. A feature gets the entry where some rows are such and
    LEAST_FULL or more are not.
    """
    found = describe_features(vectors, names, categorical=categorical)
    for name, column, reach in zip(names, vectors.T, reaches, strict=True):
        full = column[age >= reach]
        if LEAST_FULL <= full.size < column.size:
            alone = describe_features(full[:, None], [name], categorical=categorical)
            found[name][ONCE_FULL] = alone[name]
    return found


def of_full_windows(described: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What a feature is measured against for drift: rows with full windows, where those are told
    apart. Half-empty windows tell of the history's beginning, not of how things were."""
    return None if described is None else described.get(ONCE_FULL, described)


def describe_values(values: FloatArray) -> dict[str, Any]:
    """Statistics of float64[n]; also used for the scores of a bundle.

    `shares` are those of the bins (-inf, e1], (e1, e2], ... between the distinct inner deciles.
    """
    known = values[np.isfinite(values)]
    found = known.size > 0
    deciles = np.quantile(known, DECILES) if found else None
    return {
        "kind": "number",
        "count": int(values.size),
        "missing_share": _missing_share(values, known),
        "mean": float(known.mean()) if found else None,
        "std": spread_of(float(known.std()), float(known.mean())) if found else None,
        "deciles": None if deciles is None else deciles.tolist(),
        "shares": None if deciles is None else _bin_shares(known, deciles),
        "sketch": _sketch(known) if found else None,
    }


def outcomes(
    risk: FloatArray, *, review: float, positives: int, rows: int
) -> dict[str, dict[str, Any]]:
    """What scores, alerts and labels looked like, JSON-ready.

    `risk` float64[n]: what the thresholds apply to, of all events of a time that the model had not
    learnt from, as what it learnt from flatters it; `positives` among the labelled `rows` of the
    training window, without which nothing is said of labels.
    """
    return {
        "score": describe_values(risk),
        "alerts": {"rows": int(risk.size), "share": float((risk >= review).mean())},
        **({"labels": {"rows": rows, "share": positives / rows}} if rows else {}),
    }


def share_from(described: Mapping[str, Any], threshold: float) -> float | None:
    """The share of the values that `describe_values` described which are at least `threshold`;
    None where its points cannot tell it to within NEAR of itself."""
    points = points_of(described)
    if points is None:
        return None
    share = float(points.weights[points.values >= threshold].sum())
    return share if points.ks_error <= NEAR * share else None


def _sketch(known: FloatArray) -> dict[str, Any]:
    """The distribution as at most POINTS values with weights: all distinct values where they are
    so few (exact), else the median of each of POINTS equal parts, and how wrong that is."""
    ordered = np.sort(known)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] > ordered[:-1])))
    if len(starts) <= POINTS:
        weights = np.diff(np.append(starts, ordered.size)) / ordered.size
        return _kept(ordered[starts], weights, 0.0, 0.0)
    edges = np.arange(POINTS + 1) * ordered.size // POINTS
    sizes = np.diff(edges)
    medians = ordered[edges[:-1] + (sizes - 1) // 2]
    values, place = np.unique(medians, return_inverse=True)
    weights = np.bincount(place, weights=sizes) / ordered.size
    moved = np.abs(ordered - np.repeat(medians, sizes)).mean() / ordered.std()
    return _kept(values, weights, float((sizes.max() // 2 + 1) / ordered.size), float(moved))


def _kept(
    values: FloatArray, weights: FloatArray, ks_error: float, wasserstein_error: float
) -> dict[str, Any]:
    return {
        "values": values.tolist(),
        "weights": weights.tolist(),
        "ks_error": ks_error,
        "wasserstein_error": wasserstein_error,
    }


def _bin_shares(known: FloatArray, deciles: FloatArray) -> list[float]:
    edges = np.unique(deciles[1:-1])
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    shares: list[float] = (counts / known.size).tolist()
    return shares


def _describe_levels(values: FloatArray) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    levels, counts = np.unique(known, return_counts=True)
    top = np.argsort(-counts, kind="stable")[:MAX_LEVELS]
    return {
        "kind": "category",
        "count": int(values.size),
        "missing_share": _missing_share(values, known),
        "levels": [
            {"value": float(levels[i]), "share": float(counts[i] / known.size)} for i in top
        ],
    }


def _missing_share(values: FloatArray, known: FloatArray) -> float:
    return 1.0 - known.size / values.size if values.size else 0.0
