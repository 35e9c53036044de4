"""What a process measures while it scores, for `/metrics`.

The numbers live in prometheus-client's files, one set per process (settings.PROMETHEUS_DIR), which
whoever answers a scrape adds up. One call costs a few microseconds.

The files are mapped into memory, and who writes where a full disk has no room for a page is killed
at once (SIGBUS). So a process takes the room of each label set first, and does not measure what has
none.
"""

import logging
import os
import sys
import threading
from collections import Counter as Tally
from pathlib import Path
from time import monotonic
from typing import Any

from django.conf import settings
from prometheus_client import Counter, Histogram

from scoring.judging import cache

logger = logging.getLogger(__name__)
ROOM = 1 << 16
"""Bytes that each of a process's files begins with, as prometheus-client's own do; they double."""
ROOM_OF_SET = 1 << 13
"""Bytes of a label set, at most: the latencies of one detector take some 3,200."""
AGAIN_AFTER = 60.0
"""Seconds without new label sets until room is looked for again."""

BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LATENCY = Histogram(
    "riskplatform_score_seconds",
    "From a validated request to its stored predictions.",
    ["detector"],
    buckets=BUCKETS,
)
CACHE = Counter("riskplatform_prediction_cache", "Looks into the cache of predictions.", ["result"])
ANNOUNCED = Counter(
    "riskplatform_announced_predictions",
    "Predictions that need a human: told to the workers, or left to the sweep.",
    ["result"],
)
KINDS = {LATENCY: "histogram", CACHE: "counter", ANNOUNCED: "counter"}
"""What prometheus-client calls the file of a metric."""
_lock = threading.RLock()
_seen = {"hit": 0, "miss": 0}
_sets: dict[tuple[Counter | Histogram, str], Any] = {}
"""The label sets that have their room in the files of the process `_of["process"]`. A fork has
files of its own, and prometheus-client writes there what it was forked with."""
_of = {"process": 0}
_look_again = {"at": 0.0}


def note_scored(slug: str, seconds: float) -> None:
    """One request of a detector was answered from the service after `seconds`."""
    if (latency := _set_of(LATENCY, slug)) is not None:
        latency.observe(seconds)
    if (cache.hits, cache.misses) != (_seen["hit"], _seen["miss"]):
        _note_cache()


def note_announced(count: int, *, told: bool) -> None:
    """The workers were told at once of predictions that need a human, or could not be."""
    if (announced := _set_of(ANNOUNCED, "told" if told else "left")) is not None:
        announced.inc(count)


def _set_of(metric: Counter | Histogram, label: str) -> Any:
    """The label set to write to; None where the disk has no room for it."""
    key, process = (metric, label), os.getpid()
    if _of["process"] == process and key in _sets:
        return _sets[key]
    with _lock:
        if monotonic() < _look_again["at"]:
            return None
        new = {key} - _sets.keys() if _of["process"] == process else {key} | _sets.keys()
        try:
            for kind, count in Tally(KINDS[one] for one, _ in new).items():
                _take_room(Path(settings.PROMETHEUS_DIR) / f"{kind}_{process}.db", sets=count)
        except OSError as problem:
            logger.warning("What is new to /metrics in this process is not measured: %s", problem)
            _look_again["at"] = monotonic() + AGAIN_AFTER
            return None
        _of["process"] = process
        # Made before anybody else asks how much of the file is used.
        return _sets.setdefault(key, metric.labels(label))


def _take_room(path: Path, *, sets: int) -> None:
    """Zeros for so many more label sets, as an unused part of such a file is. Raises OSError.

    The file doubles, as prometheus-client doubles what it maps: it finds the room taken.
    """
    with path.open("a+b", buffering=0) as file:
        held = size = file.tell()
        file.seek(0)
        used = int.from_bytes(file.read(4), sys.byteorder)
        if used > held:
            raise OSError(f"{path} is damaged.")
        wanted = max(held, ROOM)
        while wanted < used + sets * ROOM_OF_SET:
            wanted *= 2
        try:
            while size < wanted:
                size += file.write(bytes(wanted - size))
        except OSError:
            file.truncate(held)
            if not held:
                path.unlink()
            raise


def _note_cache() -> None:
    with _lock:
        for result, now in (("hit", cache.hits), ("miss", cache.misses)):
            # Below what was seen after the cache was emptied with its counters.
            new = now - _seen[result] if now >= _seen[result] else now
            looks = _set_of(CACHE, result) if new else None
            if looks is not None:
                looks.inc(new)
            if looks is not None or not new:
                _seen[result] = now
