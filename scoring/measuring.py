"""What a process measures while it scores, for `/metrics`.

The numbers live in prometheus-client's files, one set per process (settings.PROMETHEUS_DIR), which
whoever answers a scrape adds up. One call costs a few microseconds.

The files are mapped into memory, and who writes where a full disk has no room for a page is killed
at once (SIGBUS). So a process takes its room first, and measures nothing where there is none.
"""

import logging
import os
import threading
from functools import lru_cache
from pathlib import Path
from time import monotonic

from django.conf import settings
from prometheus_client import Counter, Histogram

from scoring.judging import cache

logger = logging.getLogger(__name__)
ROOM = 1 << 20
"""Bytes of each of a process's files: the latencies of some 300 detectors."""
AGAIN_AFTER = 60.0
"""Seconds without measuring until room is looked for again."""

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
_lock = threading.Lock()
_seen = {"hit": 0, "miss": 0}
_look_again: dict[int, float] = {}
"""By process (a fork has files of its own), when it may look for room again; never: it has it."""
NEVER = float("inf")


def note_scored(slug: str, seconds: float) -> None:
    """One request of a detector was answered from the service after `seconds`."""
    if not _has_room():
        return
    _latency_of(slug).observe(seconds)
    if (cache.hits, cache.misses) != (_seen["hit"], _seen["miss"]):
        _note_cache()


def note_announced(count: int, *, told: bool) -> None:
    """The workers were told at once of predictions that need a human, or could not be."""
    if _has_room():
        ANNOUNCED.labels("told" if told else "left").inc(count)


def _has_room() -> bool:
    """Whether all that this process will write has its place on the disk."""
    process = os.getpid()
    again = _look_again.get(process, 0.0)
    if again == NEVER:
        return True
    with _lock:
        if monotonic() < again:
            return False
        try:
            for kind in ("counter", "histogram"):
                _take_room(Path(settings.PROMETHEUS_DIR) / f"{kind}_{process}.db")
        except OSError as problem:
            logger.warning("Nothing is measured for /metrics in this process: %s", problem)
            _look_again[process] = monotonic() + AGAIN_AFTER
            return False
        _look_again[process] = NEVER
        return True


def _take_room(path: Path) -> None:
    """Zeros up to ROOM, as an unused part of such a file is. Raises OSError."""
    with path.open("ab", buffering=0) as file:
        held = size = file.tell()
        try:
            while size < ROOM:
                size += file.write(bytes(ROOM - size))
        except OSError:
            file.truncate(held)
            if not held:
                path.unlink()
            raise


@lru_cache(maxsize=256)
def _latency_of(slug: str) -> Histogram:
    return LATENCY.labels(slug)


def _note_cache() -> None:
    with _lock:
        for result, now in (("hit", cache.hits), ("miss", cache.misses)):
            # Below what was seen after the cache was emptied with its counters.
            new = now - _seen[result] if now >= _seen[result] else now
            _seen[result] = now
            if new:
                CACHE.labels(result).inc(new)
