"""Metrics as they were kept, told as they are told today.

Evaluations of before say 0 where there was nothing to divide by. A reader shows what `as_told`
gives, so that one dash means the same for every version, however old.
"""

from collections.abc import Mapping
from statistics import fmean, pstdev
from typing import Any, Final

OF_POSITIVES: Final = ("precision", "recall", "f1", "entity_precision_at_100")
"""What says nothing of a model where there was nothing to find."""


def as_told(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a version or an evaluation, its folds too; None for what has no answer.

    Without positives that is each of OF_POSITIVES; F1 also where precision or recall has none.
    Their intervals are left out, and `mean` and `std` are over the folds that have a value.
    """
    found = dict(kept)
    if isinstance(folds := found.get("folds"), list):
        found["folds"] = [as_told(fold) for fold in folds]
        found |= _over(found)
    unknown = _unanswered(found)
    found |= dict.fromkeys(unknown)
    if unknown and isinstance(intervals := found.get("intervals"), dict):
        found["intervals"] = {k: bounds for k, bounds in intervals.items() if k not in unknown}
    return found


def _over(kept: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`mean` and `std` of folds, those of OF_POSITIVES anew."""
    found = {key: dict(kept[key]) for key in ("mean", "std") if key in kept}
    for name in OF_POSITIVES:
        known = [value for fold in kept["folds"] if (value := fold.get(name)) is not None]
        for key, of in (("mean", fmean), ("std", pstdev)):
            if name in found.get(key, {}):
                found[key][name] = of(known) if known else None
    return found


def _unanswered(kept: Mapping[str, Any]) -> set[str]:
    """Names in `kept` that are numbers although nothing can be told."""
    unknown = set(OF_POSITIVES) if kept.get("positives") == 0 else set()
    if any(name in kept and kept[name] is None for name in ("precision", "recall")):
        unknown.add("f1")
    return {name for name in unknown if kept.get(name) is not None}
