"""`python -m benchmarks.learners`: what each learner's model weighs and costs when it serves.

Each is fitted with its own defaults on a simulated history of two detectors and exported. Bytes are
those of the bundle's two files; times are of one row, medians, by onnxruntime and numpy alone;
`loads` is what turning the stored arrays into an explainer takes, once for each process. The
additivity error is the largest |base + contributions - margin| of the rows.
"""

import argparse
import os
import sys
import time
from typing import Any

from benchmarks.measure import Row, machine, table, time_calls
from benchmarks.models import Material, gather
from models_registry.core.encoding import fit_encoder
from models_registry.core.export import arrays_to_bytes, check_parity
from models_registry.core.learners.catalogue import LEARNERS, make_learner
from scoring.core.explain import Explainer, additivity_error
from scoring.core.inference import Model

DETECTORS = ("cards", "anomaly")
SHOWN = (
    "learner", "columns", "fit s", "model KB", "arrays KB", "loads ms", "model us",
    "contributions us", "parity", "additivity",
)  # fmt: skip


def measure(material: Material, name: str) -> Row:
    """One learner on one detector."""
    encoder = fit_encoder(material.spec.features, material.vectors, {}, material.labels)
    matrix = encoder.matrix(material.vectors)
    used = time.process_time()
    learner = make_learner(name).fit(matrix, material.labels)
    used = time.process_time() - used
    exported = learner.export()
    parity = check_parity(learner, exported, matrix)
    begun = time.perf_counter()
    explainer = Explainer.from_arrays(exported.arrays)
    loads = time.perf_counter() - begun
    model = Model(exported.onnx, link=exported.link)
    n = len(matrix)

    def one(act: Any) -> float:
        return time_calls(lambda i: act(matrix[i % n : i % n + 1]), calls=1000)["p50_us"]

    parts = explainer.contributions(matrix)
    error = additivity_error(explainer.base, parts, model.margin(matrix)).max()
    return {
        "learner": name,
        "columns": matrix.shape[1],
        "fit s": used,
        "model KB": len(exported.onnx) / 1024,
        "arrays KB": len(arrays_to_bytes(exported.arrays)) / 1024,
        "loads ms": 1000 * loads,
        "model us": one(model.margin),
        "contributions us": one(explainer.contributions),
        "parity": f"{parity:.0e}",
        "additivity": f"{error:.0e}",
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learners", description=__doc__)
    parser.add_argument("--detector", action="append", help="One of those with a simulated world.")
    options = parser.parse_args()
    here = machine()
    print(f"{here['cpus']} CPUs, load {here['load_before'][0]} before the start")
    for slug in options.detector or DETECTORS:
        material = gather(slug)
        rows = [measure(material, name) for name in LEARNERS]
        print(table(f"{slug}: {len(material.labels):,} rows", rows, SHOWN))
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    return 0


if __name__ == "__main__":
    sys.exit(main())
