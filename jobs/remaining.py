"""How long running work still takes: from its pace, and from what its log tells of its time.

Work may hold a search, which lasts as long as it is given, whatever the pace of the rest. Its part
of the progress shows a clock, so the two are foretold apart.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

LEAST_PROGRESS: Final = 0.05
"""Before that much is done, how long the rest takes is a guess."""
SEARCH_BEGINS: Final = 0.3
SEARCH_ENDS: Final = 0.4
"""The part of the progress that is a search's, where there is one."""
SEARCH: Final = SEARCH_ENDS - SEARCH_BEGINS
USUAL: Final = "usual"
"""What a line of the log tells: seconds that such work usually takes outside a search."""
SEARCHED: Final = "searched"
"""What a line of the log tells: seconds that the search took; 0 where it could not be."""
TOLD: Final = (USUAL, SEARCHED)
SILENT_AFTER: Final = 25.0
"""Seconds without a sign of life after which nothing is foretold: longer than a writer may wait for
SQLite's lock (20 s)."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """`seconds` that work may still take; `is_bound` where it is a search's part alone."""

    seconds: float
    is_bound: bool = False

    @property
    def text(self) -> str:
        """`about 3 min left`, `at least 40 s left`."""
        how = "at least" if self.is_bound else "about"
        if self.seconds < 10:
            return f"{'at least ' * self.is_bound}a few seconds left"
        if self.seconds < 90:
            return f"{how} {10 * self._whole(10)} s left"
        return f"{how} {self._whole(60)} min left"

    def _whole(self, unit: float) -> int:
        # A bound is not rounded up; nor is one that is whole but for the last digits rounded down.
        units = self.seconds / unit
        return math.floor(units + 1e-6) if self.is_bound else round(units)


def silent_for(heard_at: datetime | None, now: datetime) -> float:
    """Seconds since the worker's last sign of life; 0 while that is not too long ago."""
    silent = (now - heard_at).total_seconds() if heard_at else 0.0
    return silent if silent > SILENT_AFTER else 0.0


def spelled(seconds: float) -> str:
    """A time that work took, in the unit in which it reads well."""
    if seconds < 0.1:
        return "<\u00a00.1\u00a0s"
    if seconds < 10:
        return f"{seconds:.1f}\u00a0s"
    if seconds < 90:
        return f"{seconds:.0f}\u00a0s"
    return f"{seconds / 60:.0f}\u00a0min" if seconds < 5_400 else f"{seconds / 3_600:.1f}\u00a0h"


def foretell(
    progress: float,
    spent: float,
    *,
    tune_for: float = 0.0,
    usual: float | None = None,
    searched: float | None = None,
) -> Remaining | None:
    """What is left of work that is `progress` (0 to 1) done after `spent` seconds; None while
    nobody knows.

    `tune_for`: seconds that a search in it may take, 0 without one. `usual` and `searched` as the
    log tells them, None where it does not.
    """
    if not tune_for or searched == 0.0:
        if progress < LEAST_PROGRESS:
            return None
        return Remaining(spent * (1.0 - progress) / progress)
    if searched is not None:
        done = max(progress, SEARCH_ENDS)
        outside = max(spent - searched, 0.0)
        return Remaining(outside * (1.0 - done) / (done - SEARCH))
    if progress >= SEARCH_ENDS:
        return None
    search = tune_for * min((SEARCH_ENDS - progress) / SEARCH, 1.0)
    if usual is None:
        return Remaining(search, is_bound=True)
    outside = 1.0 - SEARCH - min(progress, SEARCH_BEGINS)
    return Remaining(search + usual * outside / (1.0 - SEARCH))


def told_since(log: Iterable[Mapping[str, Any]], began: datetime) -> dict[str, float]:
    """The TOLD numbers of a log's lines since `began`, by name; the last of each."""
    # A line's time is cut to the second.
    first = began.astimezone(UTC).isoformat(timespec="seconds")[:19]
    return {
        name: float(line[name])
        for line in log
        if line["at"][:19] >= first
        for name in TOLD
        if name in line
    }
