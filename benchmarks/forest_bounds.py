"""`python -m benchmarks.forest_bounds`: what the bounds on a random forest's trees cost.

Weeks and the handbook's 15 features as in `benchmarks.handbook`; average precision. Each forest has
100 trees. Beside them stand a forest of scikit-learn's own defaults, whose trees nothing bounds and
which the platform could not explain, and the other learners of trees with their defaults. Defaults
are to be chosen by the validation weeks; the judged week tells what that choice is worth.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from benchmarks import handbook
from benchmarks.measure import Row, machine, table
from models_registry.core.export import arrays_to_bytes
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.metrics import average_precision
from models_registry.core.tuning import Fold

BOUNDS = ((6, 32), (8, 64), (10, 64), (10, 128))
"""Levels and leaves of a tree, at most."""
KILO = 1024
SHOWN = ("model", "validation", "judged week", "from", "to", "KB", "nodes", "processor s")
Fitted = tuple[NDArray[np.float64], Row]
"""Margins float64[n] of the rows to judge, and what the model weighs."""


def contenders() -> dict[str, Callable[[Fold], Fitted]]:
    """What is tried, by its name in the table."""

    def ours(name: str, **parameters: int) -> Callable[[Fold], Fitted]:
        return lambda one: _ours(one, name, **parameters)

    forests = {
        f"random_forest, depth {depth}, {leaves} leaves": ours(
            "random_forest", max_depth=depth, max_leaves=leaves
        )
        for depth, leaves in BOUNDS
    }
    return {
        **forests,
        "scikit-learn's default, unbounded": _unbounded,
        "voting_ensemble, depth 8": ours("voting_ensemble", max_depth=8),
        "xgboost": ours("xgboost"),
        "lightgbm": ours("lightgbm"),
    }


def _ours(one: Fold, name: str, **parameters: int) -> Fitted:
    learner = make_learner(name, **parameters).fit(one.train, one.train_labels)
    exported = learner.export()
    weight = len(exported.onnx) + len(arrays_to_bytes(exported.arrays))
    return learner.margin(one.validation), {"KB": round(weight / KILO)}


def _unbounded(one: Fold) -> Fitted:
    model = RandomForestClassifier(random_state=0).fit(one.train, one.train_labels)
    nodes = sum(tree.tree_.node_count for tree in model.estimators_)
    return model.predict_proba(one.validation)[:, 1], {"nodes": nodes}


def measure(data: handbook.Handbook, starts: Sequence[date]) -> Iterator[Row]:
    """A row for each contender: the mean over the validation weeks that start then, and the judged
    week with its interval over cards; weights are those of the model of the judged week."""
    columns = handbook.HANDBOOK_FEATURES
    folds = [handbook.fold(data, start, columns) for start in starts]
    final = handbook.fold(data, handbook.TEST_START, columns)
    for name, fit in contenders().items():
        used = time.process_time()
        weeks = [average_precision(one.validation_labels, fit(one)[0]) for one in folds]
        margin, weight = fit(final)
        used = time.process_time() - used
        told = handbook.figures(data, handbook.TEST_START, margin)
        yield {
            "model": name,
            "validation": f"{np.mean(weeks):.3f}",
            "judged week": f"{told['average precision']:.3f}",
            "from": f"{told['average precision from']:.3f}",
            "to": f"{told['to']:.3f}",
            **weight,
            "processor s": used,
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forest_bounds", description=__doc__)
    parser.add_argument(
        "--weeks", type=int, choices=(1, 2, 3, 4), default=4, help="Validation weeks, newest first."
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    starts = handbook.VALIDATION_STARTS[: options.weeks]
    found: dict[str, Any] = {"machine": machine(), "weeks": [str(start) for start in starts]}
    found["rows"] = []
    for row in measure(handbook.load(), starts):
        found["rows"].append(row)
        print(row, flush=True)
    print(table("Average precision; KB of model and arrays", found["rows"], SHOWN))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
