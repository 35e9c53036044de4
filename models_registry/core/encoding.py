"""Fit a bundle's encoder: what stands for a missing number, which levels a category has."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.core.encoder import Encoder
from scoring.core.spec import FeatureSpec

MAX_LEVELS: Final = 16
MIN_LEVEL_ROWS: Final = 5

FloatArray = NDArray[np.float64]


def fit_encoder(
    features: Sequence[FeatureSpec], vectors: FloatArray, level_names: dict[str, dict[float, str]]
) -> Encoder:
    """Encoder for raw training `vectors` float64[n, k].

    Numbers: a missing one becomes the median. Categories: one column for each of the most frequent
    levels and one with the level's share. `level_names` give levels a readable column name.
    """
    columns: list[dict[str, Any]] = []
    for i, feature in enumerate(features):
        values = vectors[:, i]
        if feature.kind == "category":
            columns += _category(i, feature.name, values, level_names.get(feature.name, {}))
        else:
            known = values[np.isfinite(values)]
            fill = float(np.median(known)) if known.size else 0.0
            columns.append({"name": feature.name, "source": i, "op": "number", "fill": fill})
    return Encoder(columns)


def _category(
    source: int, name: str, values: FloatArray, names: dict[float, str]
) -> list[dict[str, Any]]:
    codes, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    frequent = [i for i in np.argsort(-counts, kind="stable") if counts[i] >= MIN_LEVEL_ROWS]
    columns: list[dict[str, Any]] = [
        {
            "name": f"{name}={names.get(float(codes[i]), int(codes[i]))}",
            "source": source,
            "op": "level",
            "code": float(codes[i]),
        }
        for i in frequent[:MAX_LEVELS]
    ]
    if codes.size:
        shares = counts / counts.sum()
        columns.append(
            {
                "name": f"{name} share",
                "source": source,
                "op": "share",
                "codes": codes.tolist(),
                "shares": shares.tolist(),
            }
        )
    return columns
