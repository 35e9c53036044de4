"""What a benchmark is to reach beside what it reached: kept or not, and so the command's status."""

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.measure import table


class Aim(NamedTuple):
    """A figure that is to be at least (or, with `most`, at most) as wanted."""

    name: str
    wanted: float
    reached: float
    most: bool = False

    @property
    def is_kept(self) -> bool:
        """An unknown figure (NaN) keeps nothing."""
        if self.most:
            return self.reached <= self.wanted
        return self.reached >= self.wanted


def judged(aims: Sequence[Aim]) -> int:
    """Print the aims; the status of the command: 0 when all are kept, else 1."""
    rows = [
        {
            "aim": aim.name,
            "wanted": f"{'<=' if aim.most else '>='} {aim.wanted:g}",
            "reached": f"{aim.reached:.4g}",
            "kept": "yes" if aim.is_kept else "NO",
        }
        for aim in aims
    ]
    print(table("What was aimed at", rows, ("aim", "wanted", "reached", "kept")))
    return 0 if all(aim.is_kept for aim in aims) else 1
