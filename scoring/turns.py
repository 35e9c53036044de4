"""Batches compute in turns, one at a time in a process, where PostgreSQL stores them.

The interpreter runs one thread at a time. Two batches that compute side by side hand it to each
other every few milliseconds, and each time find the processor's caches full of what the other
made. So a thread that has a batch takes the turn, and lends it while it waits for the server
(scoring/postgres.py).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PATIENCE: Final = 0.5
"""Seconds after which a thread goes on without its turn, to the end of what it does: whoever has it
may wait for something that this thread holds."""


class Turns:
    """One turn for the threads of a process."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._lock = threading.Lock()
        self._patience = patience
        self._thread = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """The turn is this thread's, once it comes. Not to be nested."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Others may have the turn while this thread waits; nothing where it has none."""
        if not getattr(self._thread, "has_it", False):
            yield
            return
        self._give()
        try:
            yield
        finally:
            self._take()

    def _take(self) -> None:
        self._thread.has_it = self._lock.acquire(timeout=self._patience)

    def _give(self) -> None:
        if self._thread.has_it:
            self._thread.has_it = False
            self._lock.release()


of_batches = Turns()
