"""Split history as it would have been lived: train | delay | validation | delay | test.

A label arrives days after its event. Were the delay blocks left out, a model would be judged with
knowledge that it could not have had (Le Borgne et al., "Reproducible machine learning for credit
card fraud detection", chapter 5; Dal Pozzolo et al., IEEE TNNLS 2018).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


class SplitError(ValueError):
    """A history that is too short, or labels too few, to train and judge on."""


@dataclass(frozen=True)
class LabelHistory:
    """Every label ever given: for entry i the event's row, the value (0/1) and the label time.

    Times are seconds since 1970, UTC. A row may occur often; the newest entry counts.
    """

    row: IntArray
    value: NDArray[np.int8]
    time: FloatArray

    def as_known_at(self, at: float, n_rows: int) -> NDArray[np.int8]:
        """int8[n_rows]: each row's newest label given at or before `at`; -1 where there is none."""
        known = np.flatnonzero(self.time <= at)
        known = known[np.argsort(self.time[known], kind="stable")]
        labels = np.full(n_rows, UNKNOWN, dtype=np.int8)
        # Of several writes to one row numpy keeps the last, here the newest.
        labels[self.row[known]] = self.value[known]
        return labels


@dataclass(frozen=True)
class Part:
    """Rows of one part, oldest first, with the labels that were known when it was used."""

    rows: IntArray
    labels: NDArray[np.int8]

    @property
    def positives(self) -> int:
        return int((self.labels == 1).sum())


@dataclass(frozen=True)
class Parts:
    """The three parts of a split."""

    train: Part
    validation: Part
    test: Part


@dataclass(frozen=True)
class TimeSplit:
    """Bounds of the parts in seconds since 1970, UTC; each part is [start, end).

    The labels of a part are read as known `delay` seconds after its end, which for the first two
    is the start of the next part.
    """

    train_start: float
    train_end: float
    validation_end: float
    test_end: float
    delay: float

    def __post_init__(self) -> None:
        if not self.delay >= 0:
            raise SplitError("The label delay cannot be negative.")
        if not (
            self.train_start < self.train_end
            and self.validation_start < self.validation_end
            and self.test_start < self.test_end
        ):
            raise SplitError("The history is too short for three parts and two label delays.")

    @property
    def validation_start(self) -> float:
        return self.train_end + self.delay

    @property
    def test_start(self) -> float:
        return self.validation_end + self.delay

    def apply(
        self, event_time: FloatArray, history: LabelHistory, *, matured_is_genuine: bool
    ) -> Parts:
        """The parts of the events at `event_time` float64[n].

        `matured_is_genuine`: a row that nobody labelled within the delay counts as 0 (the usual
        reading of transactions); otherwise it is left out. Raises `SplitError` if a part lacks
        rows.
        """
        bounds = {
            "training": (self.train_start, self.train_end),
            "validation": (self.validation_start, self.validation_end),
            "test": (self.test_start, self.test_end),
        }
        parts = []
        for name, (start, end) in bounds.items():
            labels = history.as_known_at(end + self.delay, event_time.size)
            if matured_is_genuine:
                labels[labels == UNKNOWN] = 0
            rows = np.flatnonzero((event_time >= start) & (event_time < end) & (labels != UNKNOWN))
            if rows.size == 0:
                raise SplitError(f"The {name} part has no labelled event.")
            rows = rows[np.argsort(event_time[rows], kind="stable")]
            parts.append(Part(rows, labels[rows]))
        return Parts(*parts)


def plan_split(
    start: float,
    now: float,
    *,
    delay: float,
    shares: tuple[float, float, float] = (0.6, 0.2, 0.2),
) -> TimeSplit:
    """Bounds for the history from `start` to `now`, both in seconds.

    Events younger than `delay` have no mature label and stay outside; what is left after the two
    delay blocks is divided by `shares`. Raises `SplitError` if nothing is left.
    """
    usable = now - start - 3 * delay
    if usable <= 0:
        raise SplitError(
            f"{(now - start) / 86400:.1f} days of history are too few: labels take "
            f"{delay / 86400:.1f} days to mature, three times over."
        )
    unit = usable / sum(shares)
    train_end = start + shares[0] * unit
    validation_end = train_end + delay + shares[1] * unit
    return TimeSplit(
        train_start=start,
        train_end=train_end,
        validation_end=validation_end,
        test_end=validation_end + delay + shares[2] * unit,
        delay=delay,
    )
