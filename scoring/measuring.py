"""What a process measures while it scores, for `/metrics`.

The numbers live in prometheus-client's files, one set per process (settings.PROMETHEUS_DIR), which
whoever answers a scrape adds up. One call costs a few microseconds.
"""

import threading
from functools import lru_cache

from prometheus_client import Counter, Histogram

from scoring.judging import cache

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


def note_scored(slug: str, seconds: float) -> None:
    """One request of a detector was answered from the service after `seconds`."""
    _latency_of(slug).observe(seconds)
    if (cache.hits, cache.misses) != (_seen["hit"], _seen["miss"]):
        _note_cache()


def note_announced(count: int, *, told: bool) -> None:
    """The workers were told at once of predictions that need a human, or could not be."""
    ANNOUNCED.labels("told" if told else "left").inc(count)


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
