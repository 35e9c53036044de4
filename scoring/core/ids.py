"""Time-ordered identifiers, so that new rows land at the end of an index (RFC 9562, version 7)."""

import os
import threading
import uuid

FINER = 12
"""Bits of a clock tick below the millisecond: 1 / 4096 of it (section 6.2, method 3)."""
LEAST_STEP_BACK = 10_000 << FINER
"""Ticks, 10 seconds: a clock that is put back further is followed."""


class IdSequence:
    """Identifiers of one process, each above the one before, whichever thread asks.

    Of one instant, and while the clock stands or is put back a little, they count on from the last.
    Those of several processes on one clock are in its order. 62 bits are random.
    """

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self, nanoseconds: int) -> uuid.UUID:
        """A UUID of version 7 for a time in nanoseconds since 1970."""
        tick = (nanoseconds << FINER) // 1_000_000
        with self._lock:
            if self._last - LEAST_STEP_BACK < tick <= self._last:
                tick = self._last + 1
            self._last = tick
        random = int.from_bytes(os.urandom(8)) >> 2
        return uuid.UUID(
            int=(tick >> FINER) << 80 | (0x7000 | tick & 0xFFF) << 64 | 0x8000 << 48 | random
        )


def made_at(identifier: uuid.UUID) -> float:
    """When it was made, in seconds since 1970, to the millisecond."""
    return (identifier.int >> 80) / 1000.0
