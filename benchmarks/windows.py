"""Exact windows or buckets? Cost of one event and size of the state, by events inside the window.

    python -m benchmarks.windows [--json results.json]

Exact: what is shipped, one state row an event (scoring.core.windows). Buckets: count and sum of one
value in 60 equal buckets a window, as small as such a state gets (it knows neither deviation nor
distinct values). Both answer count and mean over 1, 7 and 30 days, learn the event, and are read
from bytes and written back as a store does. The last column is by how much a bucketed count of one
day is off at most, as a share of the true count.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from scoring.core.aggregates import Aggregate, Reading
from scoring.core.windows import EntityWindow

DAY = 86400.0
WINDOWS = (DAY, 7 * DAY, 30 * DAY)
BUCKETS = 60
SIZES = (10, 100, 1_000, 10_000)
READING = Reading(
    [Aggregate(how, int(how == "mean"), length) for length in WINDOWS for how in ("count", "mean")]
)


class BucketWindow:
    """Count and sum by bucket, a ring for each window; column 0 says which bucket a place holds."""

    def __init__(self, blob: bytes | None = None) -> None:
        shape = (len(WINDOWS), BUCKETS + 1, 3)
        state = np.frombuffer(blob).reshape(shape).copy() if blob else np.zeros(shape)
        self.state = state

    def aggregate(self, at: float, value: float) -> list[float]:
        found: list[float] = []
        for ring, length in zip(self.state, WINDOWS, strict=True):
            bucket = at // (length / BUCKETS)
            inside = ring[(ring[:, 0] > bucket - BUCKETS) & (ring[:, 0] <= bucket)]
            count, total = inside[:, 1].sum() + 1, inside[:, 2].sum() + value
            found += [float(count), float(total / count)]
        return found

    def learn(self, at: float, value: float) -> None:
        for ring, length in zip(self.state, WINDOWS, strict=True):
            bucket = at // (length / BUCKETS)
            place = ring[int(bucket) % (BUCKETS + 1)]
            if place[0] != bucket:
                place[:] = (bucket, 0.0, 0.0)
            place[1] += 1
            place[2] += value


def exact_event(blob: bytes, at: float, value: float) -> tuple[list[float], bytes]:
    window = EntityWindow.from_bytes(blob, columns=2, signature=1)
    row = np.array([at, value])
    found = window.aggregate(READING, at, row)
    return found, window.learn(row, horizon=WINDOWS[-1]).to_bytes(signature=1)


def bucket_event(blob: bytes, at: float, value: float) -> tuple[list[float], bytes]:
    window = BucketWindow(blob)
    found = window.aggregate(at, value)
    window.learn(at, value)
    return found, window.state.tobytes()


def microseconds(work, blob: bytes, at: float) -> float:
    """Median of single calls."""
    times = []
    for i in range(400):
        begun = time.perf_counter()
        work(blob, at + i, 10.0)
        times.append(time.perf_counter() - begun)
    return float(np.median(times)) * 1e6


def measure(size: int) -> dict[str, float]:
    rng = np.random.default_rng(size)
    times = np.sort(rng.uniform(0.0, WINDOWS[-1], size))
    values = rng.lognormal(3.0, 1.0, size)
    exact = EntityWindow(np.column_stack((times, values))).to_bytes(signature=1)
    ring = BucketWindow()
    for at, value in zip(times.tolist(), values.tolist(), strict=True):
        ring.learn(at, value)
    buckets = ring.state.tobytes()
    off = 0.0
    for at in rng.uniform(0.9, 1.0, 200) * WINDOWS[-1]:
        before = times <= at
        known = BucketWindow()
        for when in times[before & (times > at - 2 * DAY)].tolist():
            known.learn(when, 1.0)
        true = int((before & (times > at - DAY)).sum()) + 1
        off = max(off, abs(known.aggregate(float(at), 1.0)[0] - true) / true)
    return {
        "events in 30 days": size,
        "exact us": round(microseconds(exact_event, exact, WINDOWS[-1]), 1),
        "exact bytes": len(exact),
        "buckets us": round(microseconds(bucket_event, buckets, WINDOWS[-1]), 1),
        "buckets bytes": len(buckets),
        "count off by at most": round(off, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measure(size) for size in SIZES]
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(str(value) for value in row.values()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
