"""What features and scores looked like in training: the yardstick for drift, kept in the bundle."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DECILES: Final = tuple(round(0.1 * i, 1) for i in range(11))
MAX_LEVELS: Final = 20

FloatArray = NDArray[np.float64]


def describe_features(
    vectors: FloatArray, names: Sequence[str], *, categorical: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Statistics of each column of raw `vectors` float64[n, f] (NaN = missing), by feature name.

    Numbers: count, missing_share, mean, std, deciles (11 edges),
    shares of the bins between. Features in `categorical` hold
    codes whose size means nothing: they get the shares of their most frequent `levels` instead.
    JSON-ready; statistics of a column that is all missing are None.
    """
    if vectors.ndim != 2 or vectors.shape[1] != len(names):
        raise ValueError(f"{len(names)} names cannot describe vectors of {list(vectors.shape)}.")
    return {
        name: _describe_levels(column) if name in categorical else describe_values(column)
        for name, column in zip(names, vectors.T, strict=True)
    }


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
        "std": float(known.std()) if found else None,
        "deciles": None if deciles is None else deciles.tolist(),
        "shares": None if deciles is None else _bin_shares(known, deciles),
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
