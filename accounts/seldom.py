"""Warnings of what lasts and is met at every turn: a line once in a while, not one each time."""

import logging
import threading
import time
from collections.abc import Callable


class Seldom:
    """Warns at most once in `seconds`; the next line says how many were held back before it."""

    def __init__(
        self,
        logger: logging.Logger,
        *,
        seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._said_at: float | None = None
        self._held = 0

    def warning(self, text: str, *values: object, exc_info: bool = False) -> None:
        """As `Logger.warning`."""
        with self._lock:
            now = self._clock()
            if self._said_at is not None and now - self._said_at < self._seconds:
                self._held += 1
                return
            self._said_at, held, self._held = now, self._held, 0
        if held:
            text, values = f"{text} %d more since the last such line.", (*values, held)
        self._logger.warning(text, *values, exc_info=exc_info)
