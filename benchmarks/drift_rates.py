"""`python -m benchmarks.drift_rates`: how often a drift check alarms when nothing moved, and how
often it sees a shift.

Every check draws its training window and its recent events anew. 15 features: normals, lognormals,
counts, mostly zero amounts, categories. The rates stand with 95 % Wilson intervals.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models_registry.core.drift import Drift, feature_drifts, overall
from models_registry.core.reference import describe_features

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]
SHIFTS = (0.0, 0.1, 0.25, 0.5)
ROWS = (1000, 2500, 10_000)
TRAINED_ON = 10_000
LEVEL = 0.01


def _zeros(rng: np.random.Generator, rows: int) -> NDArray[np.float64]:
    return np.where(rng.random(rows) < 0.9, 0.0, rng.exponential(1.0, rows))


KINDS: tuple[tuple[str, Draw], ...] = (
    ("normal", lambda rng, rows: rng.normal(0.0, 1.0, rows)),
    ("lognormal", lambda rng, rows: rng.lognormal(3.0, 1.0, rows)),
    ("count", lambda rng, rows: rng.poisson(3.0, rows).astype(float)),
    ("zeros", _zeros),
    (
        "category",
        lambda rng, rows: rng.choice(6, rows, p=[0.5, 0.25, 0.15, 0.07, 0.02, 0.01]).astype(
            np.float64
        ),
    ),
)
NAMES = [f"{kind}_{i}" for i in range(3) for kind, _ in KINDS]
CATEGORICAL = {name for name in NAMES if name.startswith("category")}


def draw(rng: np.random.Generator, rows: int) -> NDArray[np.float64]:
    """float64[rows, 15] of independent rows."""
    return np.column_stack([make(rng, rows) for _ in range(3) for _, make in KINDS])


def check(rng: np.random.Generator, rows: int, *, shift: float = 0.0) -> list[Drift]:
    """One whole check; the first feature, a normal, moved by `shift` standard deviations."""
    reference = describe_features(draw(rng, TRAINED_ON), NAMES, categorical=CATEGORICAL)
    recent = draw(rng, rows)
    recent[:, 0] += shift
    return feature_drifts(recent, NAMES, reference)


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a rate."""
    z, p = 1.959964, hits / trials
    middle = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def told(hits: int, trials: int) -> str:
    """`1.2 % (0.8 to 1.9)`."""
    low, high = wilson(hits, trials)
    return f"{100 * hits / trials:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def false_alarms(rows: int, checks: int) -> Sequence[str]:
    """Of checks in which nothing moved: alarms, significance alone, PSI above 0.1 alone."""
    rng = np.random.default_rng(rows)
    alarms = significant = naive = 0
    for _ in range(checks):
        found = check(rng, rows)
        alarms += overall(found) != "stable"
        significant += any(one.p is not None and one.p < LEVEL for one in found)
        naive += any(one.psi is not None and one.psi >= 0.1 for one in found)
    counts = (alarms, significant, naive)
    return [f"{rows:,}", f"{checks:,}", *(told(count, checks) for count in counts)]


def power(rows: int, shift: float, checks: int) -> Sequence[str]:
    """How often the moved one of 15 features is in alarm, and major."""
    rng = np.random.default_rng([rows, round(1000 * shift)])
    found = [check(rng, rows, shift=shift)[0].status for _ in range(checks)]
    alarms = sum(status in ("moderate", "major") for status in found)
    return [f"{rows:,}", f"{shift:g}", told(alarms, checks), told(found.count("major"), checks)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift_rates", description=__doc__)
    parser.add_argument("--checks", type=int, default=2000, help="For false alarms at each size.")
    parser.add_argument("--shifted", type=int, default=300, help="For power at each size.")
    options = parser.parse_args()
    begun = time.monotonic()
    print(f"{len(NAMES)} features, {TRAINED_ON:,} rows of training.\n")
    head = ("recent rows", "checks", "alarm", f"significant alone (Holm {LEVEL:g})", "PSI >= 0.1")
    print(_row(head), _row(["--"] * len(head)), sep="\n")
    for rows in ROWS:
        print(_row(false_alarms(rows, options.checks)), flush=True)
    shown = ("recent rows", "shift (std)", "alarm", "major")
    print("", _row(shown), _row(["--"] * len(shown)), sep="\n")
    for rows in ROWS:
        for shift in SHIFTS[1:]:
            print(_row(power(rows, shift, options.shifted)), flush=True)
    print(f"\n{time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
