"""What a declaration says about a rare class: `training.imbalance`, described in docs/detectors.md.

What is done to training rows is in models_registry.core.imbalance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from scoring.core.reader import Reader
from scoring.core.shape import is_number

PLACE: Final = "training.imbalance"
IMBALANCE: Final = "imbalance"
"""Where a version's parameters say what was done about its rare class."""
METHODS: Final = ("none", "class_weights", "smote", "under_sampling", "balanced_bagging")
ONLY_FOR: Final = {"neighbours": "smote", "bags": "balanced_bagging"}
MOST: Final = {"neighbours": 100, "bags": 50}


@dataclass(frozen=True, slots=True)
class ImbalanceSpec:
    """How training rows of a rare class are given more weight.

    `ratio`: positives for each negative afterwards, in (0, 1]. `neighbours` of a positive between
    which SMOTE puts new ones; `bags`: how many under-sampled parts are learned from.
    """

    method: str = "none"
    ratio: float = 0.1
    neighbours: int = 5
    bags: int = 5

    def is_rare(self, positives: int, events: int) -> bool:
        """Whether `positives` of `events` are fewer than asked for, so that something is done.
        SMOTE makes whole ones: where less than one is missing it has nothing to do."""
        missing = self.ratio * (events - positives) - positives
        return positives > 0 and missing > 0 and (self.method != "smote" or missing >= 1)


NOTHING: Final = ImbalanceSpec()


def chosen(declared: ImbalanceSpec, method: str) -> ImbalanceSpec:
    """What a training does that asks for `method`: what is declared where it asks for that method
    or for none ("", not "none"), else the method with its defaults."""
    return declared if method in ("", declared.method) else ImbalanceSpec(method)


def read_imbalance(read: Reader, raw: Mapping[str, Any]) -> ImbalanceSpec:
    """The section as declared; every mistake is noted with its place."""
    read.only(PLACE, raw, [field.name for field in fields(ImbalanceSpec)])
    method = read.one_of(f"{PLACE}.method", raw.get("method", "none"), METHODS)
    given: dict[str, Any] = {"method": method if method in METHODS else "none"}
    if "ratio" in raw:
        if is_number(raw["ratio"]) and 0.0 < raw["ratio"] <= 1.0:
            given["ratio"] = float(raw["ratio"])
        else:
            read.bad(f"{PLACE}.ratio", "is a number above 0, at most 1")
    for name, owner in ONLY_FOR.items():
        if name not in raw:
            continue
        value, most = raw[name], MOST[name]
        if isinstance(value, int) and is_number(value) and 1 <= value <= most:
            given[name] = value
        else:
            read.bad(f"{PLACE}.{name}", f"is a whole number from 1 to {most}")
        if method != owner:
            read.bad(f"{PLACE}.{name}", f"belongs to {owner}")
    return ImbalanceSpec(**given)
