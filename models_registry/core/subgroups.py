"""How a model judges each level of a categorical feature: the same metrics, group by group."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.metrics import at_threshold, average_precision
from scoring.core.encoder import Encoder

LEAST_ROWS: Final = 50
LEAST_POSITIVES: Final = 10
"""Fewer say nothing about recall or ranking: counts are given alone."""
ALL_OTHERS: Final = "all others"

FloatArray = NDArray[np.float64]


def level_names(encoder: Encoder, names: Sequence[str]) -> dict[str, dict[float, str]]:
    """By name of a categorical feature, the readable name of each level that is known by one."""
    return {names[place]: known for place, known in encoder.level_names.items()}


def subgroup_metrics(
    vectors: FloatArray,
    labels: NDArray[Any],
    risk: FloatArray,
    *,
    review: float,
    names: Sequence[str],
    levels: Mapping[str, Mapping[float, str]],
) -> list[dict[str, Any]]:
    """One dict per feature in `levels`: `feature` and `groups`, the largest first.

    `vectors` float64[n, k], `labels` 0, 1 or -1 (unknown) and `risk` float64[n]; `names` [k]. A
    group has `level`, `rows`, `positives`, `alert_rate`; `precision`, `recall`,
    `average_precision` of those with a label too where 10 positives or more allow it, else they
    are None, as is what no legitimate event tells. Levels without a name (rare in training, or
    missing) are one group, ALL_OTHERS. Groups of fewer than 50 are left out, and none else: the one
    that a model fails is mostly not among the largest.
    """
    found = []
    for feature, known in levels.items():
        values = vectors[:, names.index(feature)]
        groups = [
            _group(name, labels[rows], risk[rows], review)
            for name, rows in (
                *((name, values == code) for code, name in known.items()),
                (ALL_OTHERS, ~np.isin(values, list(known))),
            )
            if rows.sum() >= LEAST_ROWS
        ]
        groups.sort(key=lambda group: -int(group["rows"]))
        if groups:
            found.append({"feature": feature, "groups": groups})
    return found


def _group(name: str, labels: NDArray[Any], risk: FloatArray, review: float) -> dict[str, Any]:
    rows, alert_rate = labels.size, at_threshold(labels, risk, review).alert_rate
    known = labels >= 0
    labels, risk = labels[known], risk[known]
    at = at_threshold(labels, risk, review)
    positives = int((labels == 1).sum())
    told = positives >= LEAST_POSITIVES
    return {
        "level": name,
        "rows": int(rows),
        "positives": positives,
        "alert_rate": alert_rate,
        "precision": at.precision if told and math.isfinite(at.precision) else None,
        "recall": at.recall if told else None,
        "average_precision": (
            average_precision(labels, risk) if told and positives < labels.size else None
        ),
    }
