"""Circuit breakers: what keeps failing is left alone for a while instead of being waited for.

CLOSED: calls go through. After `failures` in a row it is OPEN: nobody calls, the fallback answers.
After `pause` seconds it is HALF_OPEN: one call goes through, and its outcome closes or opens again.
(Nygard, "Release It!", 2007.) State is per process: what one process cannot reach, another may.

Our own forty lines instead of a library: the check runs for every scored event, and takes 0.1 us
where it is CLOSED; pybreaker wraps each call in a lock and a state object, some 5 us.
"""

import threading
import time
from collections.abc import Callable
from enum import StrEnum


class State(StrEnum):
    """As operators and dashboards know them."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Breaker:
    """Ask `allows()` before a call, then say how it went: `succeeded()` or `failed()`."""

    def __init__(
        self,
        *,
        failures: int = 5,
        pause: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.failures = failures
        self.pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._opened_at: float | None = None
        self._tried_at: float | None = None
        self.why = ""

    @property
    def state(self) -> State:
        """What it does now. Half open as soon as a trial would be let through, and during it."""
        opened = self._opened_at
        if opened is None:
            return State.CLOSED
        return State.HALF_OPEN if self._clock() - opened >= self.pause else State.OPEN

    def allows(self) -> bool:
        """Whether to call. While half open, one caller at a time gets a yes."""
        if self._opened_at is None:
            return True
        with self._lock:
            if self._opened_at is None:
                return True
            now = self._clock()
            if now - max(self._opened_at, self._tried_at or self._opened_at) < self.pause:
                return False
            # Should the one who tries never tell how it went, the next may after another pause.
            self._tried_at = now
            return True

    def wait(self) -> float:
        """Seconds until the next trial; 0 when calls go through."""
        opened = self._opened_at
        return 0.0 if opened is None else max(self.pause - (self._clock() - opened), 0.0)

    def succeeded(self) -> None:
        """The call went well: closed."""
        if self._failed or self._opened_at is not None:
            with self._lock:
                self._failed, self._opened_at, self._tried_at = 0, None, None

    def failed(self, why: str = "", *, at_once: bool = False) -> None:
        """The call failed: counts, and opens at the limit, after a trial, or `at_once` where each
        further try costs as much waiting as this one. `why`: to be told by those who find it
        open."""
        with self._lock:
            self._failed += 1
            self.why = why
            if at_once or self._tried_at is not None or self._failed >= self.failures:
                self._opened_at, self._tried_at = self._clock(), None


_breakers: dict[str, Breaker] = {}
_making = threading.Lock()


def breaker(name: str) -> Breaker:
    """The process's breaker of that name: `database`, `redis`, `broker`, `model:...`."""
    found = _breakers.get(name)
    if found is None:
        with _making:
            found = _breakers.setdefault(name, Breaker())
    return found


def states() -> dict[str, str]:
    """The state of every breaker that was ever asked for, by name."""
    return {name: str(found.state) for name, found in sorted(_breakers.items())}


def reset() -> None:
    """Forget them all, as after a restart."""
    _breakers.clear()
