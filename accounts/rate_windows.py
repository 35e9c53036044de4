"""A sliding window as bytes: exact for small rates, counted in parts of the window for large ones.

Up to MOST_EXACT requests a window the moment of each is kept. A larger limit keeps, for each of
PARTS parts of its window, how many requests there were and the moment of the last. All of a part
count as if they came at that moment: never more than the limit is let through, and room comes at
most one part (1/PARTS of the window) later than it would exactly. Moments are microseconds since
1970.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from accounts.rates import Limit

MICRO = 1_000_000
MOST_EXACT = 1000
PARTS = 500
AHEAD = 10 * MICRO
"""So far two hosts' clocks may differ."""
Counts = list[tuple[int, int]]
"""(moment of the last request, how many) of each part that had requests, oldest first."""


@dataclass(slots=True)
class SlidingWindow:
    """`stamps`: when each request of late was let through, oldest first; `counts`: by large limit.

    As bytes: little-endian int64. For each large limit -count, seconds, n and n pairs; then the
    stamps.
    """

    stamps: "array[int]" = field(default_factory=lambda: array("q"))
    counts: dict[Limit, Counts] = field(default_factory=dict)

    @classmethod
    def read(cls, stored: bytes | memoryview) -> "SlidingWindow":
        """Of what `write` made. Stamps alone, as earlier versions wrote them, are one too."""
        values, counts = array("q", bytes(stored)), {}
        if sys.byteorder == "big":
            values.byteswap()
        while values and values[0] < 0:
            end = 3 + 2 * values[2]
            pairs = zip(values[3:end:2], values[4:end:2], strict=True)
            counts[Limit(-values[0], values[1])] = list(pairs)
            values = values[end:]
        return cls(values, counts)

    def write(self) -> bytes:
        values = array("q")
        for limit, counts in self.counts.items():
            values.extend((-limit.count, limit.seconds, len(counts)))
            for pair in counts:
                values.extend(pair)
        values.extend(self.stamps)
        if sys.byteorder == "big":
            values.byteswap()
        return values.tobytes()

    def set_back(self, now: int) -> bool:
        """Whether anything lies so far ahead that a clock was set back since; it counts as of now.

        Otherwise the window would stand still, and full, until the clock has come there again.
        """
        lasts = [*self.stamps[-1:], *(held[-1][0] for held in self.counts.values() if held)]
        if max(lasts, default=now) <= now + AHEAD:
            return False
        self.stamps = array("q", (min(at, now) for at in self.stamps))
        for limit, held in self.counts.items():
            self.counts[limit] = [(min(at, now), number) for at, number in held]
        return True

    def take(self, now: int, limits: Sequence[Limit]) -> int:
        """Microseconds until a request is allowed; 0: it is, and was counted."""
        # Two hosts' clocks may differ a little; the window never runs backwards.
        at = max([now, *self.stamps[-1:], *(held[-1][0] for held in self.counts.values() if held)])
        exact = [limit for limit in limits if limit.count <= MOST_EXACT]
        self.counts = {limit: self._recent(limit, at) for limit in limits if limit not in exact}
        longest = max((limit.seconds for limit in exact), default=0) * MICRO
        self.stamps = self.stamps[bisect_right(self.stamps, at - longest) :]
        waits = [_exact_wait(self.stamps, at, limit) for limit in exact]
        waits += [_wait(counts, at, limit) for limit, counts in self.counts.items()]
        wait = max(waits, default=0)
        if wait == 0:
            if exact:
                self.stamps.append(at)
            for limit, counts in self.counts.items():
                _count(counts, at, limit)
        return wait

    def _recent(self, limit: Limit, at: int) -> Counts:
        """What a large limit has counted in its window; of a new one, what the stamps tell."""
        held = self.counts.get(limit)
        if held is None:
            held = _counted(self.stamps, limit)
        start = at - limit.seconds * MICRO
        return [pair for pair in held if pair[0] > start]


def _counted(stamps: Iterable[int], limit: Limit) -> Counts:
    counts: Counts = []
    for at in stamps:
        _count(counts, at, limit)
    return counts


def _count(counts: Counts, at: int, limit: Limit) -> None:
    part = limit.seconds * MICRO // PARTS
    if counts and counts[-1][0] // part == at // part:
        counts[-1] = (at, counts[-1][1] + 1)
    else:
        counts.append((at, 1))


def _exact_wait(stamps: Sequence[int], at: int, limit: Limit) -> int:
    if len(stamps) < limit.count:
        return 0
    # The request that must leave the window before there is room.
    return max(0, stamps[-limit.count] + limit.seconds * MICRO - at)


def _wait(counts: Counts, at: int, limit: Limit) -> int:
    wait, too_many = 0, sum(number for _, number in counts) - limit.count + 1
    for last, number in counts:
        if too_many <= 0:
            break
        # The part that must leave the window before there is room.
        wait, too_many = last + limit.seconds * MICRO - at, too_many - number
    return wait
