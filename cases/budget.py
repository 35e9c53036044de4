"""How a queue's budget is spent: what the next hand-out is for, what a page shows. No Django."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeVar

Row = TypeVar("Row")


class Purpose(StrEnum):
    """Why an alert is worked on."""

    EXPLOIT = "exploit"
    UNCERTAIN = "uncertain"
    AUDIT = "random_audit"


@dataclass(frozen=True, slots=True)
class Budget:
    """Shares in [0, 1]; what is left is exploited."""

    uncertain: float = 0.0
    audit: float = 0.0

    def share(self, purpose: Purpose) -> float:
        """The share of a purpose; all three add up to 1."""
        if purpose is Purpose.UNCERTAIN:
            return self.uncertain
        return self.audit if purpose is Purpose.AUDIT else 1.0 - self.uncertain - self.audit

    def draw(self, rng: Random) -> Purpose:
        """What the next hand-out is for, by chance, so that every alert had a known one."""
        at = rng.random()
        if at < self.audit:
            return Purpose.AUDIT
        return Purpose.UNCERTAIN if at < self.audit + self.uncertain else Purpose.EXPLOIT


def places(share: float, rows: int) -> int:
    """How many of a page's rows a share is; one at least where it is not nothing."""
    return min(rows, max(1, round(share * rows))) if share > 0.0 else 0


def spread(main: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """All rows, `others` evenly between those of `main`, both in their own order."""
    total = len(main) + len(others)
    if not others:
        return list(main)
    step = total / len(others)
    spots = {min(total - 1, int(step * (i + 0.5))): row for i, row in enumerate(others)}
    rest = iter(main)
    return [spots[i] if i in spots else next(rest) for i in range(total)]
