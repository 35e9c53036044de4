"""Whether a Celery worker answers; a broker that is silent holds nobody up."""

import logging
import threading
from typing import Any

from celery import current_app
from django.core.cache import cache

logger = logging.getLogger(__name__)
PING_SECONDS = 0.5
BROKER_SECONDS = 1.0
"""For so long a broker is waited for: one that is frozen takes connections and then says nothing,
and its client gives up after several times its own patience."""
REMEMBERED = 20
_asking = threading.Lock()


def workers_answering() -> int | None:
    """1 when a worker answered a ping, 0 when none did, None when the broker did not answer.

    Asked at most every 20 seconds; a broker that is away is asked each time.
    """
    key = "models_registry.workers"
    try:
        found: Any = cache.get(key)
        if found is None and (found := _asked()) is not None:
            cache.set(key, found, REMEMBERED)
    except Exception:  # Redis holds the cache too: where it is gone, nothing is remembered.
        logger.warning("The cache is gone.", exc_info=True)
        found = _asked()
    return None if found is None else int(found)


def _asked() -> int | None:
    """Asks in a thread, which may wait on when nobody waits for it any more; one at a time."""
    if not _asking.acquire(blocking=False):
        return None
    _ = current_app.producer_pool  # Loaded here: it costs more than the broker is waited for.
    answers: list[int] = []
    asking = threading.Thread(target=_ask, args=(answers,), name="ping", daemon=True)
    asking.start()
    asking.join(BROKER_SECONDS)
    return answers[0] if answers else None


def _ask(answers: list[int]) -> None:
    try:
        answers.append(len(current_app.control.ping(timeout=PING_SECONDS, limit=1)))
    except Exception:  # Each transport raises what its client library raises.
        logger.warning("Workers cannot be asked: the broker is gone.", exc_info=True)
    finally:
        _asking.release()
