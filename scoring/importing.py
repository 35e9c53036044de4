"""Import a file of past events: score, store, label; resumable, in bounded memory.

The stored predictions themselves tell which rows are done: every chunk asks for its ids, and only
rows that lack their prediction or their label are read on. So an import goes on after an
interruption, and a longer file fills in what shorter ones or live scoring left out, wherever that
stands in it. Rows that break the schema go to a dead-letter file with what is wrong.
"""

import gc
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from scoring import writer
from scoring.core.schema import parse_time
from scoring.core.spec import DetectorSpec
from scoring.core.types import Decision
from scoring.labelling import record_truths
from scoring.models import Detector, Label, Prediction
from scoring.services import Conflicting, Outcome, Refused, Scored, score_events

CHUNK = 5000
SELDOM = (50_000, 20, 20)
SIDES: Final = ("left", "right")
NAMELESS = "is required: without it the next import would take the row for a new one"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Row `first` (0-based) of a file and those after it.

    `ids` as predictions store them, "" where a row has none; of `labels` None means unknown.
    `read` gives the events at these places of the chunk.
    """

    first: int
    ids: list[str]
    labels: list[bool | None]
    read: Callable[[Sequence[int]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are scored at once: their numbers in the file, events and labels."""

    rows: list[int]
    events: list[dict[str, Any]]
    labels: list[bool | None]


class EventSource(Protocol):
    """A file of events in a fixed order (scoring.ingestion.files.EventFile is one)."""

    spec: DetectorSpec
    path: Path
    rows: int

    def chunks(self, size: int) -> Iterator[Chunk]: ...


@dataclass(slots=True)
class ImportReport:
    """What an import did. The events of `skipped` rows are stored from before."""

    rows: int
    skipped: int = 0
    scored: int = 0
    refused: int = 0
    flagged: int = 0
    labelled: int = 0
    last_event_at: datetime | None = None
    dead_letters: Path | None = field(default=None)


class DeadLetters:
    """Refused rows with their problems, a line each in a file that earlier imports wrote to too.

    What those left is read once, and eight bytes a line are kept of it. A run refuses a row once.
    """

    def __init__(self, detector: Detector, source: EventSource) -> None:
        folder = Path(settings.VAR_DIR) / "dead_letters"
        self._path = folder / f"{detector.slug}-{source.path.name}.jsonl"
        self._before: NDArray[np.uint64] | None = None

    def refuse(
        self, refused: Mapping[int, Sequence[tuple[str, str]]], report: ImportReport
    ) -> None:
        """Write these rows, but for those that are there; all of them count as refused."""
        if not refused:
            return
        if self._before is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._before = digests_of(self._path)
        lines = [json.dumps({"row": row, "problems": refused[row]}) + "\n" for row in refused]
        digests = np.array([_digest(line) for line in lines], np.uint64)
        first, after = (np.searchsorted(self._before, digests, side) for side in SIDES)
        new = first == after
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(line for line, wanted in zip(lines, new, strict=True) if wanted)
        report.refused += len(refused)
        report.dead_letters = self._path


def digests_of(path: Path) -> NDArray[np.uint64]:
    """Of the lines of a text file, sorted; none where there is no file."""
    if not path.exists():
        return np.empty(0, np.uint64)
    with path.open(encoding="utf-8") as file:
        return np.unique(np.fromiter((_digest(line) for line in file), np.uint64))


def _digest(line: str) -> int:
    return int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest())


Progress = Callable[[int, ImportReport], None]


def import_file(
    detector: Detector,
    source: EventSource,
    *,
    as_of: datetime | None = None,
    on_progress: Progress = lambda done, report: None,
) -> ImportReport:
    """Import every row that is not there yet.

    `as_of` is the moment from which the import looks at the file: a label becomes known
    `training.label_delay` after its event, and one not known by then is left out. Without it,
    every label of the file counts as known.
    """
    report, letters = ImportReport(rows=source.rows), DeadLetters(detector, source)
    with _rare_collections():
        for chunk in source.chunks(CHUNK):
            missing = _missing(detector, source, chunk, as_of, report, letters)
            for batch in _batches(source.spec, missing):
                outcomes = score_events(detector.slug, batch.events, announce=False)
                _tally(batch, outcomes, report, letters)
                report.labelled += _label(detector, source, batch, outcomes, as_of)
            on_progress(chunk.first + len(chunk.ids), report)
    return report


def _missing(
    detector: Detector,
    source: EventSource,
    chunk: Chunk,
    as_of: datetime | None,
    report: ImportReport,
    letters: DeadLetters,
) -> Batch:
    """The rows of a chunk that lack their prediction or their label; the others are skipped."""
    # A database takes no NUL, and no id has one: the schema refuses it.
    asked = [name for name in chunk.ids if name and "\0" not in name]
    stored = set(writer.ask_known(detector.pk, asked)())
    unlabelled = _unlabelled(detector, source, chunk, stored, as_of)
    wanted = [i for i, name in enumerate(chunk.ids) if name not in stored or name in unlabelled]
    report.skipped += len(chunk.ids) - len(wanted)
    if source.spec.id_field:
        # Stored under ids made up for them they would be imported anew by every run.
        nameless = [chunk.first + i for i in wanted if not chunk.ids[i]]
        problem = (source.spec.id_field, NAMELESS)
        letters.refuse({row: [problem] for row in nameless}, report)
        wanted = [i for i in wanted if chunk.ids[i]]
    return Batch(
        [chunk.first + i for i in wanted],
        chunk.read(wanted),
        [chunk.labels[i] for i in wanted],
    )


def _unlabelled(
    detector: Detector, source: EventSource, chunk: Chunk, stored: set[str], as_of: datetime | None
) -> set[str]:
    """Stored events whose label in the file is known by `as_of` and not recorded yet."""
    truths = zip(chunk.ids, chunk.labels, strict=True)
    told = [name for name, label in truths if label is not None and name in stored]
    if not told:
        return set()
    rows = Prediction.objects.filter(detector=detector, external_id__in=told).order_by()
    lacking = rows.exclude(labels__source=Label.Source.IMPORT)
    delay = timedelta(seconds=source.spec.training.label_delay)
    return {
        name
        for name, event_time in lacking.values_list("external_id", "event_time")
        if as_of is None or event_time + delay <= as_of
    }


def _batches(spec: DetectorSpec, batch: Batch) -> Iterator[Batch]:
    """The rows in parts that are scored at once.

    Where features count known fraud, a part spans less time than a label takes: then nothing in it
    was known before its last event, and its labels may be taught after it.
    """
    span = max(spec.risk_delay, spec.training.label_delay)
    if not batch.events:
        return
    if spec.time_field and span < math.inf:
        yield from _cut(batch, spec.time_field, span)
    else:
        yield batch


def _cut(batch: Batch, time_field: str, span: float) -> Iterator[Batch]:
    """Parts of a batch whose times lie less than `span` seconds apart; odd times go along."""
    begin, low, high = 0, math.inf, -math.inf
    for i, event in enumerate(batch.events):
        try:
            at = parse_time(str(event.get(time_field)))[0]
        except (ValueError, OverflowError):
            continue
        low, high = min(low, at), max(high, at)
        if high - low >= span:
            yield _part(batch, begin, i)
            begin, low, high = i, at, at
    yield _part(batch, begin, len(batch.events))


def _part(batch: Batch, begin: int, end: int) -> Batch:
    return Batch(batch.rows[begin:end], batch.events[begin:end], batch.labels[begin:end])


@contextmanager
def _rare_collections() -> Iterator[None]:
    """A chunk makes objects by the hundred thousand and no cycles to speak of: look for them less.

    The collector's default took a fifth of an import.
    """
    before = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _tally(
    batch: Batch, outcomes: list[Outcome], report: ImportReport, letters: DeadLetters
) -> None:
    refused: dict[int, Sequence[tuple[str, str]]] = {}
    for row, outcome in zip(batch.rows, outcomes, strict=True):
        match outcome:
            case Scored(prediction, created):
                report.scored += created
                report.skipped += not created
                report.flagged += created and prediction.decision != Decision.APPROVE
                if report.last_event_at is None or prediction.event_time > report.last_event_at:
                    report.last_event_at = prediction.event_time
            case Refused(problems):
                refused[row] = problems
            case Conflicting(external_id):
                refused[row] = [("", f"'{external_id}' was scored before with another body")]
    letters.refuse(refused, report)


def _label(
    detector: Detector,
    source: EventSource,
    batch: Batch,
    outcomes: list[Outcome],
    as_of: datetime | None,
) -> int:
    delay = timedelta(seconds=source.spec.training.label_delay)
    truths = {}
    for outcome, label in zip(outcomes, batch.labels, strict=True):
        if label is None or not isinstance(outcome, Scored):
            continue
        known = outcome.prediction.event_time + delay
        if as_of is None or known <= as_of:
            truths[outcome.prediction.external_id] = (label, known)
    return record_truths(detector.pk, truths, source=Label.Source.IMPORT) if truths else 0
