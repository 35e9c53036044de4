"""What may be done about a rare class in a training, and what was, in words.

Imports no learner: pages use it.
"""

from collections.abc import Mapping
from typing import Any, Final

from scoring.core.imbalance import IMBALANCE, ONLY_FOR

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


def rare_class_words(learner: str, parameters: Mapping[str, Any]) -> str:
    """What a version's parameters say was done about its rare class."""
    parameters = _kept(parameters)
    how = parameters.get(IMBALANCE)
    method = str(how.get("method")) if isinstance(how, Mapping) else "none"
    if isinstance(how, Mapping) and method != "none":
        said = f"{TITLES.get(method, method)} up to {how.get('ratio')} positives for each negative"
        own = [name for name, owner in ONLY_FOR.items() if owner == method]
        return ", ".join([said, *(f"{how.get(name)} {name}" for name in own)])
    if learner in WITHOUT_LABELS:
        return "nothing was done: the algorithm needs no labels"
    return "nothing was done" if parameters else "not recorded"


def _kept(parameters: Any) -> Mapping[str, Any]:
    """An earlier release took in bundles whose parameters are no object: they say nothing."""
    return parameters if isinstance(parameters, Mapping) else {}
