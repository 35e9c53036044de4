"""Split history as it would have been lived: train | delay | validation | delay | test.

A label arrives days after its event. Were the delay blocks left out, a model would be judged with
knowledge that it could not have had (Le Borgne et al., "Reproducible machine learning for credit
card fraud detection", chapter 5; Dal Pozzolo et al., IEEE TNNLS 2018).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
MOST_FOLDS = 4

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


class SplitError(ValueError):
    """A history that is too short, or labels too few, to train and judge on."""


@dataclass(frozen=True)
class LabelHistory:
    """Every label ever given: for entry i the event's row, the value (0/1) and the label time.

    Times are seconds since 1970, UTC. A row may occur often; the newest entry counts.
    `confidence` float64 in [0, 1] says how sure each entry is; None: all of them are.
    """

    row: IntArray
    value: NDArray[np.int8]
    time: FloatArray
    confidence: FloatArray | None = None

    def as_known_at(self, at: float, n_rows: int) -> NDArray[np.int8]:
        """int8[n_rows]: each row's newest label given at or before `at`; -1 where there is none."""
        known = np.flatnonzero(self.time <= at)
        known = known[np.argsort(self.time[known], kind="stable")]
        labels = np.full(n_rows, UNKNOWN, dtype=np.int8)
        # Of several writes to one row numpy keeps the last, here the newest.
        labels[self.row[known]] = self.value[known]
        return labels

    def confidence_at(self, at: float, n_rows: int) -> FloatArray | None:
        """float64[n_rows]: how sure each row's newest label at `at` is, 1 where there is none.

        None where all are sure.
        """
        if self.confidence is None:
            return None
        known = np.flatnonzero(self.time <= at)
        known = known[np.argsort(self.time[known], kind="stable")]
        found = np.ones(n_rows)
        found[self.row[known]] = self.confidence[known]
        return None if (found == 1.0).all() else found

    def matured(
        self, at: float, event_time: FloatArray, *, delay: float, matured_is_genuine: bool
    ) -> NDArray[np.int8]:
        """int8[n]: labels of the events at `event_time` [n] as known at `at`, 0 for the quiet ones.

        An event without a label counts as 0 only once it is `delay` seconds old, and only where
        silence says so; a younger one is always unknown, -1.
        """
        labels = self.as_known_at(at, event_time.size)
        if matured_is_genuine:
            labels[(labels == UNKNOWN) & (event_time + delay <= at)] = 0
        return labels


@dataclass(frozen=True)
class Part:
    """Rows of one part, oldest first, with the labels that were known when it was used.

    `span` [m]: all rows of its time, `rows` and those of which nothing was known. `weights`
    float64[n]: how sure each label is; None where all are. `labels` are 0 or 1; -1 (unknown) only
    among training rows of a learner that needs none.
    """

    rows: IntArray
    labels: NDArray[np.int8]
    span: IntArray
    weights: FloatArray | None = None

    @property
    def known(self) -> NDArray[np.bool_]:
        """bool[m]: which of the `span` are the `rows`, in their order."""
        return np.isin(self.span, self.rows)

    @property
    def span_labels(self) -> NDArray[np.int8]:
        """int8[m]: labels of the `span`, -1 where nothing was known."""
        found = np.full(self.span.size, UNKNOWN, np.int8)
        found[self.known] = self.labels
        return found

    @property
    def labelled(self) -> int:
        """How many of the `rows` have a label."""
        return int((self.labels != UNKNOWN).sum())

    @property
    def positives(self) -> int:
        return int((self.labels == 1).sum())


@dataclass(frozen=True)
class Parts:
    """The three parts of a split."""

    train: Part
    validation: Part
    test: Part

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many rows of each part count, and how many of them are known to be positive."""
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        return {
            name: {"events": int(part.rows.size), "positives": part.positives}
            for name, part in parts.items()
        }


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

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """[start, end) of each part by name."""
        return {
            "training": (self.train_start, self.train_end),
            "validation": (self.validation_start, self.validation_end),
            "test": (self.test_start, self.test_end),
        }

    def part_of(self, at: float) -> str:
        """The part that an event of this moment belongs to; empty for the delays and beyond."""
        inside = (name for name, (start, end) in self.bounds.items() if start <= at < end)
        return next(inside, "")

    def apply(
        self,
        event_time: FloatArray,
        history: LabelHistory,
        *,
        matured_is_genuine: bool,
        known_at: float = np.inf,
        needs_labels: bool = True,
    ) -> Parts:
        """The parts of the events at `event_time` float64[n].

        `matured_is_genuine`: a row that nobody labelled within the delay counts as 0 (the usual
        reading of transactions); otherwise it is left out. `known_at` is when the labels were
        read (seconds): what had not matured by then is left out too. A learner that does not need
        labels (`needs_labels`) learns from every event of its span: those that somebody labelled
        are mostly the risky ones, and would pass for what is usual. Raises `SplitError` if a part
        lacks rows; without need of labels, if its span does.
        """
        parts = []
        for name, (start, end) in self.bounds.items():
            at = min(end + self.delay, known_at)
            labels = history.matured(
                at,
                event_time,
                delay=self.delay,
                matured_is_genuine=matured_is_genuine,
            )
            span = np.flatnonzero((event_time >= start) & (event_time < end))
            span = span[np.argsort(event_time[span], kind="stable")]
            rows = span[labels[span] != UNKNOWN]
            if (rows if needs_labels else span).size == 0:
                wanted = "labelled event" if needs_labels else "event"
                raise SplitError(f"The {name} part has no {wanted}.")
            if name == "training" and not needs_labels:
                rows = span
            sure = history.confidence_at(at, event_time.size)
            parts.append(Part(rows, labels[rows], span, None if sure is None else sure[rows]))
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
            f"{delay / 86400:.1f} days to mature, three times over, so it takes more than "
            f"{3 * delay / 86400:.1f}."
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


def prequential_splits(start: float, now: float, *, delay: float, folds: int) -> list[TimeSplit]:
    """Up to `folds` splits of the history, oldest first: what training anew each time had given.

    The newest is judged on the last tenth of the history, each earlier one on the tenth before;
    a fold learns from everything before its own validation tenth and the delays between (Gama,
    Sebastiao & Rodrigues 2013; Le Borgne et al. 2022, chapter 5). Times in seconds, UTC. At least
    half of the folds' history is learnt from. Raises `SplitError` if the history is too short.
    """
    tenth = (now - start - 3 * delay) / 10
    if tenth <= 0:
        raise SplitError(
            f"{(now - start) / 86400:.1f} days of history are too few for folds: it takes more "
            f"than {3 * delay / 86400:.1f}."
        )
    found = []
    for back in range(min(folds, MOST_FOLDS)):
        test_end = now - delay - back * tenth
        validation_end = test_end - tenth - delay
        found.append(
            TimeSplit(
                train_start=start,
                train_end=validation_end - tenth - delay,
                validation_end=validation_end,
                test_end=test_end,
                delay=delay,
            )
        )
    return found[::-1]
