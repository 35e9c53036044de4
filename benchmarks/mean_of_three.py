"""`python -m benchmarks.mean_of_three`: how many of the best trials of a search to learn with.

LightGBM on the four validation weeks of `benchmarks.handbook`. Three weeks choose the parameters,
the fourth is learned from and judged with them; each week is the fourth once, and figures are the
mean over the four. Two tables: sets of parameters drawn at random from the bounds of the search,
ranked by their average precision (every figure the mean over random halves of the sets, so that one
lucky set does not decide); and the platform's own search, so many minutes of processor time for
each choice, so that what else the machine does has no say. The judged week is not looked at.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from benchmarks import handbook
from benchmarks.measure import Row, machine, table
from models_registry.core.learners.base import Learner
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.metrics import average_precision, roc_auc
from models_registry.core.search_spaces import SPACES
from models_registry.core.tuning import Fold, Search, Trial, search

LEARNER = "lightgbm"
COUNTS = (1, 2, 3, 5, 8)
SEARCHED_COUNTS = (1, 3, 5)
HALVES = 15
SEED = 0
SHOWN = ("learn with", "ROC area", "average precision", "ROC weeks ahead", "AP weeks ahead")
FloatArray = NDArray[np.float64]
Judged = tuple[float, float]
"""ROC area and average precision."""


def drawn(folds: Sequence[Fold], sets: int) -> list[Row]:
    """The mean of the best k of `sets` random sets of parameters, for each k of COUNTS."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    tried = [SPACES[LEARNER](study.ask()) for _ in range(sets)]
    margins = [[_margin(one, parameters) for one in folds] for parameters in tried]
    reached = np.array([[_judged(one, m)[1] for one, m in zip(folds, own, strict=True)]
                        for own in margins])  # fmt: skip
    rng = np.random.default_rng(SEED)
    halves = [rng.permutation(sets)[: sets // 2] for _ in range(HALVES)]
    found = []
    for k in COUNTS:
        by_week = np.empty((len(folds), 2))
        for week, one in enumerate(folds):
            others = np.delete(reached, week, axis=1).mean(axis=1)
            best = [half[np.argsort(-others[half], kind="stable")[:k]] for half in halves]
            by_week[week] = np.mean(
                [_judged(one, _mean(margins[i][week] for i in picked)) for picked in best], axis=0
            )
        found.append((_named(k), by_week))
    return _rows(found, beside=0)


def searched(folds: Sequence[Fold], seconds: float) -> list[Row]:
    """The defaults, and the mean of the best k trials of the platform's search."""
    names = ("the defaults", *map(_named, SEARCHED_COUNTS))
    by_name = {name: np.empty((len(folds), 2)) for name in names}
    for week, one in enumerate(folds):
        others = [fold for i, fold in enumerate(folds) if i != week]
        task = Search(LEARNER, others, _make, seconds, clock=time.process_time)
        trials = search(task)
        best = _ranked(trials)[: max(SEARCHED_COUNTS)]
        print(f"week {week + 1}: {len(trials)} trials, {len(_ranked(trials))} finished", flush=True)
        margins = [_margin(one, trial.parameters) for trial in best]
        by_name[names[0]][week] = _judged(one, _margin(one, {}))
        for k, name in zip(SEARCHED_COUNTS, names[1:], strict=True):
            by_name[name][week] = _judged(one, _mean(margins[:k]))
    return _rows(list(by_name.items()), beside=1)


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    finished = [trial for trial in trials if trial.value is not None]
    return sorted(finished, key=lambda trial: (-(trial.value or 0.0), trial.number))


def _make(parameters: dict[str, Any]) -> Learner:
    return make_learner(LEARNER, **parameters)


def _margin(one: Fold, parameters: dict[str, Any]) -> FloatArray:
    return _make(parameters).fit(one.train, one.train_labels).margin(one.validation)


def _mean(margins: Iterable[FloatArray]) -> FloatArray:
    """As `committee.mean_margin` does with fitted learners."""
    result: FloatArray = np.mean(list(margins), axis=0)
    return result


def _judged(one: Fold, margin: FloatArray) -> Judged:
    label = one.validation_labels
    return roc_auc(label, margin), average_precision(label, margin)


def _named(count: int) -> str:
    return "the best alone" if count == 1 else f"the mean of the best {count}"


def _rows(found: Sequence[tuple[str, FloatArray]], *, beside: int) -> list[Row]:
    """Lines of (name, float64[weeks, 2]); how many weeks each is ahead of the one at `beside`."""
    alone = found[beside][1]
    rows = []
    for name, by_week in found:
        roc, precision = by_week.mean(axis=0)
        ahead = (by_week > alone).sum(axis=0).tolist()
        rows.append(
            {
                "learn with": name,
                "ROC area": f"{roc:.4f}",
                "average precision": f"{precision:.4f}",
                "ROC weeks ahead": f"{ahead[0]} of {len(alone)}",
                "AP weeks ahead": f"{ahead[1]} of {len(alone)}",
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mean_of_three", description=__doc__)
    parser.add_argument("--sets", type=int, default=76, help="Drawn at random; 0 leaves them out.")
    parser.add_argument(
        "--minutes",
        type=float,
        default=3.0,
        help="Of processor time for each search; 0 leaves them out.",
    )
    parser.add_argument("--features", choices=("15", "all"), default="15")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = handbook.load()
    columns = data.vectors.shape[1] if options.features == "all" else handbook.HANDBOOK_FEATURES
    folds = [handbook.fold(data, start, columns) for start in handbook.VALIDATION_STARTS]
    found: dict[str, Any] = {"machine": machine(), "features": columns}
    if options.sets:
        found["drawn"] = drawn(folds, options.sets)
        print(table(f"{columns} features, {options.sets} sets drawn", found["drawn"], SHOWN))
    if options.minutes:
        found["searched"] = searched(folds, options.minutes * 60.0)
        title = f"{columns} features, {options.minutes:g} min of processor time for each search"
        print(table(title, found["searched"], SHOWN))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
