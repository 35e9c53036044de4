"""Which parameters of a learner are worth trying, and within what bounds.

Bounds are those that `explain` and a millisecond allow. A learner that is not named has nothing to
tune: it is trained with its own defaults.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol


class Suggests(Protocol):
    """The part of an Optuna trial that a space uses."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...
    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


Parameters = dict[str, Any]


def _logistic_regression(trial: Suggests) -> Parameters:
    return {
        "inverse_penalty": trial.suggest_float("inverse_penalty", 1e-3, 1e2, log=True),
        "positive_weight": trial.suggest_float("positive_weight", 1.0, 100.0, log=True),
    }


def _lightgbm(trial: Suggests) -> Parameters:
    return {
        "n_trees": trial.suggest_int("n_trees", 100, 500),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.15, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 3, 12),
        "max_depth": trial.suggest_int("max_depth", 2, 6),
        "min_child_samples": trial.suggest_int("min_child_samples", 3, 80, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 30.0, log=True),
        "column_share": trial.suggest_float("column_share", 0.3, 1.0),
    }


def _xgboost(trial: Suggests) -> Parameters:
    return {
        "n_trees": trial.suggest_int("n_trees", 50, 400),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 6),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.1, 20.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 30.0, log=True),
        "row_share": trial.suggest_float("row_share", 0.5, 1.0),
        "column_share": trial.suggest_float("column_share", 0.3, 1.0),
    }


def _random_forest(trial: Suggests) -> Parameters:
    return {
        "max_depth": trial.suggest_int("max_depth", 4, 10),
        "max_leaves": trial.suggest_int("max_leaves", 16, 128, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 2, 50, log=True),
        "column_share": trial.suggest_float("column_share", 0.2, 1.0),
    }


def _voting_ensemble(trial: Suggests) -> Parameters:
    return {
        "booster_weight": trial.suggest_float("booster_weight", 0.1, 0.9),
        "n_boosted": trial.suggest_int("n_boosted", 50, 300),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        "boosted_depth": trial.suggest_int("boosted_depth", 2, 6),
    }


SPACES: Final[Mapping[str, Callable[[Suggests], Parameters]]] = {
    "logistic_regression": _logistic_regression,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "random_forest": _random_forest,
    "voting_ensemble": _voting_ensemble,
}

AVERAGED: Final = frozenset({"lightgbm"})
"""Learners of which a search takes the mean of its best few: their margins are log-odds, a rest of
chance is left in each, and three times their trees are still explained in a millisecond."""
