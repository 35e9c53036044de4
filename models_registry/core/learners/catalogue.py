"""Every learner by its name. A new algorithm is one file beside this one and one line here."""

from typing import Any, Final

from models_registry.core.learners.autoencoder import Autoencoder
from models_registry.core.learners.base import Learner, LearnerError
from models_registry.core.learners.committee import MEAN_WITH, Committee
from models_registry.core.learners.ecod import ECOD
from models_registry.core.learners.gradient_boosting import GradientBoosting
from models_registry.core.learners.isolation_forest import IsolationForest
from models_registry.core.learners.logistic_regression import LogisticRegression
from models_registry.core.learners.one_class_svm import OneClassSVM
from models_registry.core.learners.random_forest import RandomForest
from models_registry.core.learners.voting_ensemble import VotingEnsemble
from models_registry.core.learners.xgboost import XGBoost

LEARNERS: Final[dict[str, type[Learner]]] = {
    learner.name: learner
    for learner in (
        GradientBoosting,
        XGBoost,
        RandomForest,
        VotingEnsemble,
        LogisticRegression,
        IsolationForest,
        OneClassSVM,
        Autoencoder,
        ECOD,
    )
}


def make_learner(name: str, **parameters: Any) -> Learner:
    """A new, unfitted learner; raises `LearnerError` on an unknown name or parameter.

    Each mapping of `mean_with`, where it is given, makes another one, which has these parameters
    otherwise: the learner is then the committee of all.
    """
    apart = parameters.pop(MEAN_WITH, ())
    first = _make(name, parameters)
    others = [_make(name, parameters | other) for other in apart]
    return Committee([first, *others]) if others else first


def _make(name: str, parameters: dict[str, Any]) -> Learner:
    if name not in LEARNERS:
        raise LearnerError(f"Unknown algorithm '{name}': expected one of {', '.join(LEARNERS)}.")
    try:
        return LEARNERS[name](**parameters)
    except TypeError as error:
        raise LearnerError(f"Wrong parameters for '{name}': {error}") from error
