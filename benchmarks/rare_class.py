"""`python -m benchmarks.rare_class`: whether making the rare class count for more helps.

LightGBM's defaults on the validation weeks of `benchmarks.handbook` (its 15 features; some 0.9 % of
the transactions are frauds), each method of `training.imbalance` at two ratios of positives to
negatives; average precision. The judged week is not looked at.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import handbook
from benchmarks.measure import Row, machine, table
from models_registry.core.imbalance import fit_balanced
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.metrics import average_precision
from scoring.core.imbalance import METHODS, NOTHING, ImbalanceSpec

LEARNER = "lightgbm"
RATIOS = (0.1, 1.0)
WEEKS = tuple(map(str, handbook.VALIDATION_STARTS))
SHOWN = ("method", "ratio", *WEEKS, "mean", "weeks ahead", "processor s")


def measure(data: handbook.Handbook) -> list[Row]:
    """A row for each method and ratio; `weeks ahead`: in how many it beats the rows as they are."""
    columns = handbook.HANDBOOK_FEATURES
    folds = [handbook.fold(data, start, columns) for start in handbook.VALIDATION_STARTS]
    tried = [NOTHING, *(ImbalanceSpec(how, ratio) for how in METHODS[1:] for ratio in RATIOS)]
    rows: list[Row] = []
    plain: list[float] = []
    for how in tried:
        used = time.process_time()
        weeks = []
        for one in folds:
            learner = fit_balanced(make_learner(LEARNER), how, one.train, one.train_labels)
            margin = learner.margin(one.validation)
            weeks.append(average_precision(one.validation_labels, margin))
        plain = plain or weeks
        rows.append(
            {
                "method": how.method,
                "ratio": "as it is" if how is NOTHING else f"1:{1 / how.ratio:g}",
                **{week: f"{value:.3f}" for week, value in zip(WEEKS, weeks, strict=True)},
                "mean": f"{np.mean(weeks):.3f}",
                "weeks ahead": sum(w > p for w, p in zip(weeks, plain, strict=True)),
                "processor s": time.process_time() - used,
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rare_class", description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(), "rows": measure(handbook.load())}
    print(table("Average precision by the week that training starts", found["rows"], SHOWN))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
