"""Every learner by its name. A new algorithm is one file beside this one and one line here."""

from typing import Any, Final

from models_registry.core.learners.base import Learner, LearnerError
from models_registry.core.learners.gradient_boosting import GradientBoosting
from models_registry.core.learners.isolation_forest import IsolationForest
from models_registry.core.learners.logistic_regression import LogisticRegression

LEARNERS: Final[dict[str, type[Learner]]] = {
    learner.name: learner for learner in (LogisticRegression, GradientBoosting, IsolationForest)
}


def make_learner(name: str, **parameters: Any) -> Learner:
    """A new, unfitted learner; raises `LearnerError` on an unknown name or parameter."""
    if name not in LEARNERS:
        raise LearnerError(f"Unknown algorithm '{name}': expected one of {', '.join(LEARNERS)}.")
    try:
        return LEARNERS[name](**parameters)
    except TypeError as error:
        raise LearnerError(f"Wrong parameters for '{name}': {error}") from error
