"""How wrong calibration may be where, from test rows: the bundle's calibration bands."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.core.shares import wilson

CUTS: Final = (0.0, 0.005, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 1.0)
"""Narrow where decisions are made: at either end."""
LEAST_ROWS: Final = 30
"""A group with fewer rows is joined with its lower neighbour."""
CLIP: Final = 1e-9
MOST_SHIFT: Final = 20.0
HALVINGS: Final = 60

FloatArray = NDArray[np.float64]


def describe_bands(
    probability: FloatArray, labels: NDArray[Any], entities: NDArray[Any]
) -> dict[str, Any]:
    """Groups of test rows by probability, each with the shifts of its log-odds that fit its fraud.

    All arrays [n]; the rows are ones that neither model nor calibration had learnt from. A shift
    fits if the group's mean shifted probability lies in the 95 % interval of its fraud share
    (Wilson). Events of one entity tend to be fraud together, so the interval is taken over Kish's
    effective number of rows, (sum of m)^2 / sum of m^2 with m rows of each entity: as wide as if an
    entity's rows in a group told the same thing again and again. JSON-ready; empty with fewer than
    LEAST_ROWS rows.
    """
    if labels.size < LEAST_ROWS:
        return {}
    place = np.clip(np.searchsorted(CUTS, probability, side="right") - 1, 0, len(CUTS) - 2)
    counts = np.bincount(place, minlength=len(CUTS) - 1)
    groups = []
    for first, last in _joined(counts.tolist()):
        inside = (place >= first) & (place <= last)
        group = _group(probability[inside], labels[inside], entities[inside])
        groups.append({"begin": CUTS[first], "end": CUTS[last + 1], **group})
    return {"level": 0.95, "method": "log-odds shift, wilson, by entity", "groups": groups}


def _group(
    probability: FloatArray, labels: NDArray[Any], entities: NDArray[Any]
) -> dict[str, float]:
    rows, hits = int(labels.size), int((labels == 1).sum())
    effective = _effective(entities)
    low, high = wilson(hits / rows * effective, effective)
    clipped = np.clip(probability, CLIP, 1.0 - CLIP)
    odds = np.log(clipped / (1.0 - clipped))
    return {
        "rows": rows,
        "effective": effective,
        "hits": hits,
        "expected": float(probability.sum()),
        "shift_low": _shift_to(odds, low),
        "shift_high": _shift_to(odds, high),
    }


def _shift_to(odds: FloatArray, share: float) -> float:
    """The shift of log-odds float64[n] under which their mean probability is `share`."""
    low, high = -MOST_SHIFT, MOST_SHIFT
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        mean = float(np.exp(-np.logaddexp(0.0, -(odds + middle))).mean())
        low, high = (middle, high) if mean < share else (low, middle)
    return (low + high) / 2


def _joined(counts: list[int]) -> list[tuple[int, int]]:
    """Neighbouring bins as (first, last) with enough rows each, the riskiest joined first."""
    spans: list[tuple[int, int]] = []
    last, rows = len(counts) - 1, 0
    for first in range(len(counts) - 1, -1, -1):
        rows += counts[first]
        if rows >= LEAST_ROWS:
            spans.append((first, last))
            last, rows = first - 1, 0
    if last >= 0:
        # What is left at the bottom is too small: it goes to the group above it.
        spans[-1] = (0, spans[-1][1])
    return spans[::-1]


def _effective(entities: NDArray[Any]) -> float:
    _, sizes = np.unique(entities, return_counts=True)
    return float(sizes.sum() ** 2 / (sizes.astype(np.float64) ** 2).sum())
