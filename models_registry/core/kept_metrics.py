"""Metrics as they were kept, told as they are told today.

Evaluations of before say 0 where there was nothing to divide by. A reader shows what `as_told`
gives, so that one dash means the same for every version, however old.
"""

import re
from collections.abc import Iterable, Mapping
from statistics import fmean, pstdev
from typing import Any, Final

OF_POSITIVES: Final = ("precision", "recall", "f1")
"""With card precision, what says nothing of a model where there was nothing to find."""
OF_LEGITIMATE: Final = ("average_precision", "precision", "f1", "false_alerts_per_true_alert")
"""With card precision, what is perfect for any model where there was nothing to be wrong about."""
CARD_PRECISION: Final = re.compile(r"entity_precision_at_([1-9][0-9]{0,2})")


def card_precision_at(k: int) -> str:
    """What card precision@k is kept under: of another k it is another metric."""
    return f"entity_precision_at_{k}"


def cards_in(*kept: Iterable[str]) -> dict[str, int]:
    """The k of each card precision among these names of metrics, by name, rising."""
    found = {
        name: int(match[1])
        for names in kept
        for name in names
        if (match := CARD_PRECISION.fullmatch(name))
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def as_told(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a version or an evaluation, its folds too; None for what has no answer.

    Without positives that is each of OF_POSITIVES and card precision, without legitimate events
    each of OF_LEGITIMATE and card precision; F1 also where precision or recall has none. Their
    intervals are left out, and `mean` and `std` are over the folds that have a value.
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
    """`mean` and `std` of folds, those that may have no answer anew."""
    found = {key: dict(kept[key]) for key in ("mean", "std") if key in kept}
    names = {*OF_POSITIVES, *OF_LEGITIMATE, *cards_in(found.get("mean", ()))}
    for name in names:
        known = [value for fold in kept["folds"] if (value := fold.get(name)) is not None]
        for key, of in (("mean", fmean), ("std", pstdev)):
            if name in found.get(key, {}):
                found[key][name] = of(known) if known else None
    return found


def _unanswered(kept: Mapping[str, Any]) -> set[str]:
    """Names in `kept` that are numbers although nothing can be told."""
    unknown = {*OF_POSITIVES, *cards_in(kept)} if kept.get("positives") == 0 else set()
    if kept.get("rows", 0) and kept["rows"] == kept.get("positives"):
        unknown |= {*OF_LEGITIMATE, *cards_in(kept)}
    if any(name in kept and kept[name] is None for name in ("precision", "recall")):
        unknown.add("f1")
    return {name for name in unknown if kept.get(name) is not None}
