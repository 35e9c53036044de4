"""What may be done about a rare class in a training, and what was, in words.

Imports no learner: pages use it.
"""

from collections.abc import Mapping
from typing import Any, Final

from scoring.core.imbalance import IMBALANCE, ONLY_FOR, ImbalanceSpec

TITLES: Final = {
    "none": "Nothing",
    "class_weights": "Class weights",
    "smote": "SMOTE",
    "under_sampling": "Random under-sampling",
    "balanced_bagging": "Balanced bagging",
}
"""By method, in the order in which they are offered."""
WITHOUT_LABELS: Final = frozenset({"isolation_forest", "one_class_svm", "autoencoder", "ecod"})
"""Learners that need no labels: they know of no class that could be rare."""


def why_not(learner: str, method: str) -> str:
    """Why a training of `learner` cannot do `method` ("": as declared), in words; "" if it can."""
    if learner not in WITHOUT_LABELS or method in ("", "none"):
        return ""
    return "This algorithm needs no labels and knows no rare class: choose another, or no method."


def own_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a version's parameters that its learner was made with: to fit another one alike."""
    parameters = _kept(parameters)
    return {name: value for name, value in parameters.items() if name != IMBALANCE}


def rare_class_words(
    learner: str, parameters: Mapping[str, Any], training: Mapping[str, int] | None = None
) -> str:
    """What a version's parameters say was done about its rare class. `training`: how many events it
    learnt from, and how many of them were positive (`Dataset.counts`), where that is known."""
    parameters = _kept(parameters)
    how = parameters.get(IMBALANCE)
    method = str(how.get("method")) if isinstance(how, Mapping) else "none"
    if isinstance(how, Mapping) and method != "none":
        if training and (left := left_alone(method, how.get("ratio"), **training)):
            return left
        said = f"{TITLES.get(method, method)} up to {how.get('ratio')} positives for each negative"
        own = [name for name, owner in ONLY_FOR.items() if owner == method]
        return ", ".join([said, *(f"{how.get(name)} {name}" for name in own)])
    if learner in WITHOUT_LABELS:
        return "nothing was done: the algorithm needs no labels"
    return "nothing was done" if parameters else "not recorded"


def left_alone(method: str, ratio: Any, *, events: int, positives: int) -> str:
    """That a method had nothing to do for these training rows, in words; empty where it had, and
    where nothing is positive: there is no class to be rare."""
    if not positives or ImbalanceSpec(method, float(ratio)).is_rare(positives, events):
        return ""
    said = (
        f"nothing was done: {TITLES[method]} asks for {ratio:g} positives for each negative, and "
        f"{positives:,} of the {events:,} training events are positive already"
    )
    less_than_one = positives < ratio * (events - positives)
    return f"{said}: not a whole one is missing" if less_than_one else said


def _kept(parameters: Any) -> Mapping[str, Any]:
    """An earlier release took in bundles whose parameters are no object: they say nothing."""
    return parameters if isinstance(parameters, Mapping) else {}
