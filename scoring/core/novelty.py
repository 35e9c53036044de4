"""Whether a feature vector is one that the model could know: what of it training never saw.

A model answers for events like those that it learnt from. Outside them its score, and every
contribution behind it, is extrapolation. Per feature the bundle's reference statistics tell: a
number beyond the smallest and the largest of training, a category that never came, a gap where
nothing was ever missing. For an event like those of training (exchangeable with its `rows`) each
number lies outside with a chance of 2 / (rows + 1), so with f features a false alarm is rarer than
2 f / (rows + 1). Combinations that never came of values that did are not found.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scoring.core.bundle import Bundle
from scoring.core.reasons import SHOWN_AS, number, phrase, title
from scoring.core.spec import DetectorSpec
from scoring.core.transformations import FeatureSpec
from scoring.core.types import Event, Floats

MOST_LEVELS: Final = 20
"""Levels that a reference keeps; with as many, others may have been left out."""
SLACK: Final = 0.01
"""Beyond the range by less than this share of its width is rounding, not news."""


@dataclass(frozen=True, slots=True)
class Strange:
    """One feature outside of training. `share`: of all contributions by size."""

    feature: str
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class Novelty:
    """What is outside, the most telling first; `share` of the contributions rests on it."""

    strange: tuple[Strange, ...]
    share: float
    rows: int


def find_novelty(
    bundle: Bundle, event: Event, vector: Floats, contributions: Floats | None
) -> Novelty:
    """What of `vector` float64[n] lies outside the training reference of the bundle."""
    sizes = (
        [0.0] * len(vector) if contributions is None else [abs(c) for c in contributions.tolist()]
    )
    whole = sum(sizes)
    found, rows = [], 0
    for i, feature in enumerate(bundle.spec.features):
        known = bundle.reference.get(feature.name)
        if not isinstance(known, Mapping):
            continue
        rows = max(rows, int(known.get("count") or 0))
        how = _outside(known, float(vector[i]))
        if how:
            text = _told(bundle.spec, feature, float(vector[i]), event, how, known)
            found.append(Strange(feature.name, text, sizes[i] / whole if whole else 0.0))
    found.sort(key=lambda one: -one.share)
    return Novelty(tuple(found), sum(one.share for one in found), rows)


def _outside(known: Mapping[str, Any], value: float) -> str:
    """`above`, `below`, `unseen`, `missing`, or empty where training saw the like."""
    if not known.get("count"):
        return ""
    if math.isnan(value):
        return "missing" if known.get("missing_share") == 0.0 else ""
    if known.get("kind") == "category":
        levels = known.get("levels") or []
        complete = 0 < len(levels) < MOST_LEVELS
        return "unseen" if complete and all(value != one["value"] for one in levels) else ""
    deciles = known.get("deciles")
    if not deciles:
        return ""
    low, high = float(deciles[0]), float(deciles[-1])
    slack = SLACK * (high - low)
    if value > high + slack:
        return "above"
    return "below" if value < low - slack else ""


def _told(
    spec: DetectorSpec,
    feature: FeatureSpec,
    value: float,
    event: Event,
    how: str,
    known: Mapping[str, Any],
) -> str:
    if how == "missing":
        return f"{title(feature)} missing, which never was in training"
    now = phrase(spec, feature, value, event)
    if how == "unseen" or feature.field in spec.pii_fields:
        return f"{now}, never seen in training"
    show = SHOWN_AS.get(feature.kind, number)
    deciles: Sequence[float] = known["deciles"]
    return f"{now}, in training {show(deciles[0])} to {show(deciles[-1])}"
