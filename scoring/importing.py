"""Import a file of past events: score, store, label; resumable, in bounded memory.

The stored predictions themselves tell which rows are done: every chunk asks for its ids, and only
rows that lack their prediction or their label, or differ from what is stored, are read on. So an
import goes on after an interruption, and a longer file fills in what shorter ones or live scoring
left out, wherever that stands in it. Rows that break the schema, and those whose id is stored with
another body, go to a dead-letter file with what is wrong. A label that says the opposite of the one
that an earlier import brought is added to it, and counts.
"""

import gc
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from scoring import deployment, writer
from scoring.calls import digest_of
from scoring.core.field_checks import parse_time
from scoring.core.schema import SchemaError
from scoring.core.spec import DetectorSpec
from scoring.core.types import Decision
from scoring.labelling import record_truths
from scoring.models import Detector, Label
from scoring.quiet_imports import without_alerts
from scoring.services import Conflicting, Outcome, Refused, Scored, score_events

CHUNK = 5000
SELDOM = (50_000, 20, 20)
SIDES: Final = ("left", "right")
MOST_NAME = 150
"""Bytes of a file's name that its dead letters are named by."""
NAMELESS = "is required: without it the next import would take the row for a new one"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Row `first` (0-based) of a file and those after it.

    `ids` as predictions store them, "" where a row has none; of `labels` None means unknown.
    `read` gives the events at these places of the chunk, `problems` what is wrong with each of them
    by a schema of the file's own, before the detector's is asked.
    """

    first: int
    ids: list[str]
    labels: list[bool | None]
    read: Callable[[Sequence[int]], list[dict[str, Any]]]
    problems: Callable[[Sequence[int]], list[list[tuple[str, str]]]] = lambda places: [
        [] for _ in places
    ]


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

    def column_of(self, name: str) -> str:
        """The column that a field of the detector is read from."""

    def chunks(self, size: int) -> Iterator[Chunk]: ...


@dataclass(slots=True)
class ImportReport:
    """What an import did. The events of `skipped` rows are stored from before.

    `conflicting` of the `refused` rows have the id of an event that is stored with another body;
    `corrected` of the `labelled` ones had a label of an earlier import that said the opposite;
    `unripe` rows say a label that was not known yet, and did not get it.
    """

    rows: int
    skipped: int = 0
    scored: int = 0
    refused: int = 0
    conflicting: int = 0
    flagged: int = 0
    labelled: int = 0
    corrected: int = 0
    unripe: int = 0
    last_event_at: datetime | None = None
    dead_letters: Path | None = field(default=None)


def labelled_and_refused(report: ImportReport) -> str:
    """`9 labelled (2 of them corrected), 1 refused`, for who ordered the import."""
    labelled, refused = f"{report.labelled:,} labelled", f"{report.refused:,} refused"
    if report.corrected:
        labelled += f" ({report.corrected:,} of them corrected)"
    if report.conflicting:
        refused += f" ({report.conflicting:,} of them stored before with another body)"
    return f"{labelled}, {refused}"


def unripe_labels(report: ImportReport, spec: DetectorSpec, as_of: datetime | None) -> str:
    """What is said of labels that were left out; empty where there were none."""
    if not report.unripe or as_of is None:
        return ""
    days = spec.training.label_delay / timedelta(days=1).total_seconds()
    told = " Unlabelled, they come to count as legitimate."
    return (
        f"{report.unripe:,} labels were left out: a label is known training.label_delay"
        f" ({days:g} days) after its event, and these were not by {as_of:%Y-%m-%d %H:%M} UTC."
    ) + (told if spec.training.unlabelled_is_legitimate else "")


def letters_path(detector: Detector, path: Path) -> Path:
    """Where the refused rows of a file are told: every file has one, also of files of one name in
    several folders, and of long names that begin alike."""
    place = hashlib.blake2b(os.fsencode(path.resolve()), digest_size=4).hexdigest()
    name = path.name.encode(errors="replace")[:MOST_NAME].decode(errors="ignore")
    letters = Path(settings.VAR_DIR) / "dead_letters"
    return letters / f"{detector.slug}-{name}-{place}.jsonl"


class DeadLetters:
    """Refused rows with their problems, a line each in a file that earlier imports wrote to too.

    What those left is read once, and eight bytes a line are kept of it. A run refuses a row once.
    """

    def __init__(self, detector: Detector, source: EventSource) -> None:
        self._path = letters_path(detector, source.path)
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
        cut = b"" if _ends_a_line(self._path) else b"\n"
        lines = [json.dumps({"row": row, "problems": refused[row]}) + "\n" for row in refused]
        digests = np.array([_digest(line) for line in lines], np.uint64)
        first, after = (np.searchsorted(self._before, digests, side) for side in SIDES)
        new = first == after
        with self._path.open("ab") as file:
            file.write(cut)
            file.writelines(
                line.encode() for line, wanted in zip(lines, new, strict=True) if wanted
            )
        report.refused += len(refused)
        report.dead_letters = self._path


def _ends_a_line(path: Path) -> bool:
    """Whether a file ends as a text does; not where a full disk cut its last line short."""
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


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
    alerts_from: datetime | None = None,
    on_progress: Progress = lambda done, report: None,
) -> ImportReport:
    """Import every row that is not there yet.

    Events before `alerts_from` open no alert; None: what is flagged and has no label opens one,
    however old it is.

    `as_of` is the moment from which the import looks at the file: a label becomes known
    `training.label_delay` after its event, and one not known by then is left out. Without it,
    every label of the file counts as known.
    """
    report, letters = ImportReport(rows=source.rows), DeadLetters(detector, source)
    with _rare_collections(), without_alerts(detector, alerts_from) as still:
        for chunk in source.chunks(CHUNK):
            still()
            missing = _missing(detector, source, chunk, as_of, report, letters)
            for batch in _batches(source.spec, missing):
                outcomes = score_events(detector.slug, batch.events, announce=False, waits=True)
                _tally(source, batch, outcomes, report, letters)
                _label(detector, source, batch, outcomes, as_of, report)
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
    """The rows of a chunk that lack their prediction or their label, or differ from what is stored;
    the others are skipped."""
    # A database takes no NUL, and no id has one: the schema refuses it.
    asked = [name for name in chunk.ids if name and "\0" not in name]
    stored = writer.ask_stored(detector.pk, asked, Label.Source.IMPORT)
    truths, digests = _truths(chunk), _digests(detector, chunk, stored)
    delay = timedelta(seconds=source.spec.training.label_delay)

    def is_done(i: int) -> bool:
        known = stored.get(chunk.ids[i])
        if known is None or digests[i] != known.body_digest:
            return False
        if truths[i] in (None, known.is_fraud):
            return True
        young = as_of is not None and known.event_time + delay > as_of
        report.unripe += young
        return young

    wanted = [i for i in range(len(chunk.ids)) if not is_done(i)]
    report.skipped += len(chunk.ids) - len(wanted)
    if source.spec.id_field:
        # Stored under ids made up for them they would be imported anew by every run.
        nameless = [chunk.first + i for i in wanted if not chunk.ids[i]]
        problem = (source.column_of(source.spec.id_field), NAMELESS)
        letters.refuse({row: [problem] for row in nameless}, report)
        wanted = [i for i in wanted if chunk.ids[i]]
    wrong = {i: found for i, found in zip(wanted, chunk.problems(wanted), strict=True) if found}
    letters.refuse({chunk.first + i: found for i, found in wrong.items()}, report)
    wanted = [i for i in wanted if i not in wrong]
    return Batch(
        [chunk.first + i for i in wanted],
        chunk.read(wanted),
        [truths[i] for i in wanted],
    )


def _truths(chunk: Chunk) -> list[bool | None]:
    """The label of each row; of rows that contradict each other the last one is right."""
    said = zip(chunk.ids, chunk.labels, strict=True)
    last = {name: label for name, label in said if name and label is not None}
    return [last.get(name, label) for name, label in zip(chunk.ids, chunk.labels, strict=True)]


def _digests(detector: Detector, chunk: Chunk, stored: Collection[str]) -> dict[int, str]:
    """Digests of the rows whose ids are stored; "" for one that breaks the schema."""
    parser, now = deployment.serving_of(detector).bundle.parser, time.time()
    places = [i for i, name in enumerate(chunk.ids) if name in stored]
    found = {}
    for i, event in zip(places, chunk.read(places), strict=True):
        try:
            found[i] = digest_of(parser.parse(event, now).fields)
        except SchemaError:
            found[i] = ""
    return found


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
    source: EventSource,
    batch: Batch,
    outcomes: list[Outcome],
    report: ImportReport,
    letters: DeadLetters,
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
                refused[row] = _by_columns(source, problems)
            case Conflicting(external_id):
                report.conflicting += 1
                refused[row] = [("", f"'{external_id}' was scored before with another body")]
    letters.refuse(refused, report)


def _by_columns(
    source: EventSource, problems: Sequence[tuple[str, str]]
) -> Sequence[tuple[str, str]]:
    """The detector's problems, each column once: whoever mends the file knows no other names."""
    named: dict[str, str] = {}
    for name, message in problems:
        named.setdefault(source.column_of(name), message)
    return list(named.items())


def _label(
    detector: Detector,
    source: EventSource,
    batch: Batch,
    outcomes: list[Outcome],
    as_of: datetime | None,
    report: ImportReport,
) -> None:
    delay = timedelta(seconds=source.spec.training.label_delay)
    truths = {}
    for outcome, label in zip(outcomes, batch.labels, strict=True):
        if label is None or not isinstance(outcome, Scored):
            continue
        known = outcome.prediction.event_time + delay
        if as_of is None or known <= as_of:
            truths[outcome.prediction.external_id] = (label, known)
        else:
            report.unripe += 1
    if truths:
        recorded = record_truths(detector.pk, truths, source=Label.Source.IMPORT)
        report.labelled += recorded.added
        report.corrected += recorded.corrected
