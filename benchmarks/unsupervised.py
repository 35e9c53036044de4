"""`python -m benchmarks.unsupervised`: what is found without labels, and at what price.

Two sets of series: ten metrics of the Numenta Anomaly Benchmark (RISK_DATA_DIR/nab; one model for
each series, as NAB runs its detectors) and the simulated hosts of the `anomaly` detector (one model
for all hosts, as the platform trains it). Features are computed by the platform's own pipeline.

A learner is fitted on the first part of a series (15 %, NAB's probation) and sees no label. Its
threshold is the score that the stated share of that part exceeds, each half scored by a model of
the other half. An hour in which a sample of an entity is flagged is one alarm, so that what is
flagged for days on end counts as often as it would be looked at. A labelled window is detected if a
flagged sample lies in it; an alarm without a sample in a window is false. `by chance` is the share
of windows that as many alarms would have hit, had they been thrown at the series blindly.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.measure import Row, table
from benchmarks.models import DECLARATIONS, empty_windows
from models_registry.core.encoding import fit_encoder
from models_registry.core.learners.catalogue import LEARNERS, make_learner
from scoring.core.features import FeaturePlan
from scoring.core.schema import EventParser
from scoring.core.spec import parse_spec
from scoring.core.vectors import build_many
from scoring.simulation.stream import history

LEARNED_FROM = 0.15
RATES = (0.002, 0.005, 0.02)
HOUR = 3600.0
DAY = 86400.0
HOST_DAYS = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 17
NAMES = tuple(name for name, learner in LEARNERS.items() if not learner.supervised)
SHOWN = (
    "learner", "alert rate", "windows", "detected", "share", "by chance", "false alarms a day",
    "flagged outside",
)  # fmt: skip

METRIC: dict[str, Any] = {
    "slug": "metric",
    "event": {
        "id": "sample_id",
        "time": "timestamp",
        "entity": "metric",
        "schema": {
            "required": ["sample_id", "metric", "timestamp", "value"],
            "properties": {
                "sample_id": {"type": "string"},
                "metric": {"type": "string"},
                "timestamp": {"type": "string", "format": "date-time"},
                "value": {"type": "number", "minimum": 0},
            },
        },
    },
    "features": {
        "transformations": [
            {"type": "numeric", "config": {"fields": ["value"]}},
            {
                "type": "time_window_aggregation",
                "config": {
                    "entity_key": "metric",
                    "value": "value",
                    "windows": ["1h", "6h", "24h"],
                    "aggregations": ["ratio_to_mean"],
                },
            },
            {"type": "scaling", "config": {"method": "log"}},
        ]
    },
}
"""A detector of one metric: its value beside that of the last hour, six hours and day."""


@dataclass(frozen=True, slots=True)
class Series:
    """Samples in the order of time: vectors float64[n, k], seconds, the entity of each, and the
    number of the labelled window that it lies in (-1: none)."""

    spec: Any
    vectors: NDArray[np.float64]
    time: NDArray[np.float64]
    entity: NDArray[np.int64]
    window: NDArray[np.int64]

    @property
    def first(self) -> int:
        """How many samples are learned from."""
        return int(LEARNED_FROM * len(self.time))


def read_metrics(folder: Path) -> list[Series]:
    """The series of the Numenta Anomaly Benchmark."""
    windows = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    return [_metric(folder / name, spans) for name, spans in sorted(windows.items())]


def _metric(path: Path, spans: list[list[str]]) -> Series:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    payloads = [
        {
            "sample_id": str(i),
            "metric": path.stem,
            "timestamp": f"{row['timestamp']}Z",
            "value": float(row["value"]),
        }
        for i, row in enumerate(rows)
    ]
    vectors, time, entity, spec = _built(METRIC, payloads)
    window = np.full(len(time), -1)
    for number, span in enumerate(spans):
        begin, end = (datetime.fromisoformat(t).replace(tzinfo=UTC).timestamp() for t in span)
        window[(time >= begin) & (time <= end)] = number
    return Series(spec, vectors, time, entity, window)


def read_hosts(days: int) -> Series:
    """The simulated hosts, sampled every five minutes; an incident of a host is a window."""
    config = yaml.safe_load((DECLARATIONS / "anomaly.yaml").read_text(encoding="utf-8"))
    end = START + timedelta(days=days)
    made = list(islice(history("anomaly", start=START, end=end, seed=SEED), 10_000_000))
    made.sort(key=lambda item: item.time)
    vectors, time, entity, spec = _built(config, [item.payload for item in made])
    window, count = np.full(len(time), -1), 0
    struck = np.array([item.scenario for item in made])
    for host in np.unique(entity):
        own = np.flatnonzero((entity == host) & (struck != ""))
        apart = np.diff(time[own]) > HOUR
        apart |= struck[own][1:] != struck[own][:-1]
        window[own] = count + np.concatenate([[0], np.cumsum(apart)])
        count = int(window.max()) + 1
    return Series(spec, vectors, time, entity, window)


def _built(
    config: dict[str, Any], payloads: Sequence[dict[str, Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], Any]:
    spec = parse_spec(config)
    plan, parser = FeaturePlan(spec), EventParser(spec)
    events = [parser.parse(payload, 4e9) for payload in payloads]
    vectors = build_many(plan, events, empty_windows(plan, events))
    names = [event.keys[spec.entity_field] for event in events]
    entity = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return vectors, np.array([event.time for event in events]), entity, spec


def margins(series: Series, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(of the first part, each half by a model of the other; of the rest, by a model of all)."""
    n = series.first
    half = np.arange(n) < n // 2
    unseen = np.empty(n)
    for own in (half, ~half):
        unseen[~own] = _fitted(series, name, np.flatnonzero(own), np.flatnonzero(~own))
    rest = np.arange(n, len(series.time))
    return unseen, _fitted(series, name, np.arange(n), rest)


def _fitted(
    series: Series, name: str, learned: NDArray[np.intp], judged: NDArray[np.intp]
) -> NDArray[np.float64]:
    encoder = fit_encoder(series.spec.features, series.vectors[learned], {})
    learner = make_learner(name).fit(encoder.matrix(series.vectors[learned]))
    return learner.margin(encoder.matrix(series.vectors[judged]))


def count(series: Series, flagged: NDArray[np.bool_]) -> Row:
    """What the flagged samples of the rest of a series find and cost."""
    rest = slice(series.first, None)
    time, entity, window = series.time[rest], series.entity[rest], series.window[rest]
    found = np.unique(window[flagged & (window >= 0)])
    hours = entity * 1_000_000 + (time // HOUR).astype(np.int64)
    alarms = np.unique(hours[flagged])
    true = np.unique(hours[flagged & (window >= 0)])
    known, sizes = np.unique(window[window >= 0], return_counts=True)
    days = (time[-1] - time[0]) / DAY * len(np.unique(entity))
    outside = window < 0
    return {
        "windows": known.size,
        "detected": found.size,
        "hit blindly": float((1.0 - (1.0 - sizes / window.size) ** alarms.size).sum()),
        "false": alarms.size - true.size,
        "days": days,
        "flagged": int((flagged & outside).sum()),
        "outside": int(outside.sum()),
    }


def judge(name: str, all_series: Sequence[Series]) -> list[Row]:
    """A row for each alert rate."""
    scored = [(series, *margins(series, name)) for series in all_series]
    rows = []
    for rate in RATES:
        parts = [
            count(series, rest > np.quantile(unseen, 1.0 - rate)) for series, unseen, rest in scored
        ]
        total = {key: sum(part[key] for part in parts) for key in parts[0]}
        rows.append(
            {
                "learner": name,
                "alert rate": f"{rate:.1%}",
                "windows": total["windows"],
                "detected": total["detected"],
                "share": f"{total['detected'] / total['windows']:.0%}",
                "by chance": f"{total['hit blindly'] / total['windows']:.0%}",
                "false alarms a day": total["false"] / total["days"],
                "flagged outside": f"{total['flagged'] / total['outside']:.1%}",
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unsupervised", description=__doc__)
    parser.add_argument("--host-days", type=int, default=HOST_DAYS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, list[Row]] = {}
    folder = Path(os.environ.get("RISK_DATA_DIR", "../shared/data")) / "nab"
    if folder.is_dir():
        metrics = read_metrics(folder)
        rows = found["numenta"] = [row for name in NAMES for row in judge(name, metrics)]
        print(table(f"Numenta: {len(metrics)} metrics, a model for each", rows, SHOWN))
    else:
        print(f"Numenta's series are not measured: there is no {folder}.")
    hosts = read_hosts(options.host_days)
    rows = found["hosts"] = [row for name in NAMES for row in judge(name, [hosts])]
    title = f"Simulated hosts: {len(np.unique(hosts.entity))} hosts, {options.host_days} days, "
    print(table(title + "one model; false alarms per host", rows, SHOWN))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
