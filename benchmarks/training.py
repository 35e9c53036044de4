"""`python -m benchmarks.training`: how long a million rows take to learn from, and how much memory.

1,000,000 rows of 30 columns are learned from, on one thread as the platform does it (its workers
fork, and more are for who asks for them: `--threads`); a further 1,000,000 are judged as training
judges them (calibrated and given thresholds on the first fifth, evaluated on all); the model is
exported and its parity checked. Each learner runs in a process of its own, which says its seconds,
the processor seconds that it used, and the most memory that it ever held. The data are made up and
in memory: a training in the platform reads its events first, which is not measured here.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Row, machine, table
from models_registry.core.calibration import fit_calibration
from models_registry.core.evaluation import evaluate
from models_registry.core.export import arrays_to_bytes, check_parity
from models_registry.core.learners.base import Learner
from models_registry.core.learners.catalogue import LEARNERS, make_learner
from models_registry.core.thresholds import choose_thresholds, choose_thresholds_without_labels
from scoring.core.spec import CostSpec

ROWS, COLUMNS, POSITIVES = 1_000_000, 30, 0.01
ASKED = ("lightgbm", "isolation_forest")
TARGET_SECONDS, TARGET_MB = 60.0, 3000.0
# Threads that wait do not spin: what is counted as processor time is work.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE"}
STAGES = ("fit", "judge", "export")
SHOWN = (
    "learner", "made", *STAGES, "seconds", "processor seconds", "peak MB", "roc_auc",
    "average_precision", "load",
)  # fmt: skip


def make_rows(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """matrix float32[n, 30], labels int8[n]: a third of the columns heavy-tailed, a third flags."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((n, COLUMNS), dtype=np.float32)
    third = COLUMNS // 3
    np.exp(matrix[:, :third], out=matrix[:, :third])
    matrix[:, -third:] = matrix[:, -third:] > 1.0
    log_odds = matrix[:, 0] + matrix[:, third] * matrix[:, -1] + 2.0 * (matrix[:, 1] > 4.0)
    log_odds += rng.gumbel(size=n)
    return matrix, (log_odds > np.quantile(log_odds, 1.0 - POSITIVES)).astype(np.int8)


@contextmanager
def timed(row: Row, stage: str) -> Iterator[None]:
    """Notes the seconds of a stage."""
    begun = time.perf_counter()
    yield
    row[stage] = round(time.perf_counter() - begun, 2)


def measure(name: str, rows: int, threads: int) -> Row:
    """All stages of one learner, in this process; `threads` for those that can use several."""
    row: Row = {"learner": name, "load": round(os.getloadavg()[0], 1)}
    with timed(row, "made"):
        matrix, labels = make_rows(rows, 1)
    used = time.process_time()
    several = {"n_jobs": threads} if "n_jobs" in make_learner(name).parameters() else {}
    learner = make_learner(name, **several)
    with timed(row, "fit"):
        learner.fit(matrix, labels if learner.supervised else None)
    del matrix, labels
    made = time.process_time()
    fresh, truth = make_rows(rows, 2)
    used += time.process_time() - made
    with timed(row, "judge"):
        metrics = judge(learner, fresh, truth)
    with timed(row, "export"):
        exported = learner.export()
        check_parity(learner, exported, fresh[:200_000])
        arrays_to_bytes(exported.arrays)
    row["seconds"] = round(sum(row[stage] for stage in STAGES), 1)
    row["processor seconds"] = round(time.process_time() - used, 1)
    row["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return row | {key: round(metrics[key], 3) for key in ("roc_auc", "average_precision")}


def judge(
    learner: Learner, matrix: NDArray[np.float32], labels: NDArray[np.int8]
) -> dict[str, Any]:
    """Metrics of `evaluate`, with amounts, entities and two weeks of time."""
    rng = np.random.default_rng(3)
    n, costs = len(labels), CostSpec()
    amounts = rng.lognormal(3.5, 1.0, n)
    fifth = slice(0, n // 5)
    margin = learner.margin(matrix)
    calibration = fit_calibration(margin[fifth], labels[fifth])
    risk = calibration.probability(margin)
    if risk is None:
        risk = margin
        thresholds = choose_thresholds_without_labels(margin[fifth], costs.capacity)
    else:
        thresholds = choose_thresholds(risk[fifth], labels[fifth], amounts[fifth], costs)
    metrics, _ = evaluate(
        labels=labels,
        risk=risk,
        calibrated=calibration.kind != "none",
        amounts=amounts,
        entities=rng.integers(50_000, size=n),
        event_time=np.sort(rng.uniform(0.0, 14 * 86400.0, n)),
        thresholds=thresholds,
        costs=costs,
    )
    return metrics


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--learner", action="append", choices=sorted(LEARNERS))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--here", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.here, options.rows, options.threads)))
        return 0
    here = machine()
    print(f"{here['cpus']} CPUs, load {here['load_before'][0]} before the start")
    rows = []
    for name in options.learner or ASKED:
        command = [
            sys.executable, "-m", "benchmarks.training", "--here", name,
            "--rows", str(options.rows), "--threads", str(options.threads),
        ]  # fmt: skip
        run = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | QUIET
        )
        rows.append(json.loads(run.stdout.splitlines()[-1]))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    title = f"{options.rows:,} rows x {COLUMNS} columns, threads: {options.threads}"
    print(table(title, rows, SHOWN))
    kept = all(
        row["seconds"] <= TARGET_SECONDS and row["peak MB"] <= TARGET_MB
        for row in rows
        if row["learner"] in ASKED
    )
    print(
        f"Asked of {' and '.join(ASKED)}: at most {TARGET_SECONDS:g} s and {TARGET_MB:g} MB:"
        f" {'kept' if kept else 'NOT kept'}."
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
