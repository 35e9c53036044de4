"""Import a file of past events: score, store, label; resumable, in bounded memory.

Chunks are committed in the order of the file, so the stored predictions themselves tell how far an
interrupted import came. Rows that break the schema go to a dead-letter file with what is wrong.
"""

import gc
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings

from scoring.core.schema import parse_time
from scoring.core.spec import DetectorSpec
from scoring.core.types import Decision
from scoring.labelling import record_truths
from scoring.models import Detector, Label, Prediction
from scoring.services import Conflicting, Outcome, Refused, Scored, score_events

CHUNK = 5000
SELDOM = (50_000, 20, 20)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows `first` (0-based) and following; `labels` has one entry per event, None = unknown."""

    first: int
    events: list[dict[str, Any]]
    labels: list[bool | None]


class EventSource(Protocol):
    """A file of events in a fixed order (scoring.ingestion.files.EventFile is one)."""

    spec: DetectorSpec
    path: Path
    rows: int

    def chunk(self, first: int, size: int) -> Chunk: ...

    def rows_older(self, row: int, by: timedelta) -> int: ...

    def chunks(self, *, start: int, size: int) -> Iterator[Chunk]: ...


@dataclass(slots=True)
class ImportReport:
    """What an import did. `skipped` rows had been imported before."""

    rows: int
    skipped: int = 0
    scored: int = 0
    refused: int = 0
    flagged: int = 0
    labelled: int = 0
    last_event_at: datetime | None = None
    dead_letters: Path | None = field(default=None)


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
    first = _first_missing(detector, source)
    report = ImportReport(rows=source.rows, skipped=first)
    with _rare_collections():
        for chunk in _chunks(source, first):
            outcomes = score_events(detector.slug, chunk.events, announce=False)
            _tally(detector, source, chunk, outcomes, report)
            report.labelled += _label(detector, source, chunk, outcomes, as_of)
            on_progress(chunk.first + len(chunk.events), report)
    return report


def _chunks(source: EventSource, first: int) -> Iterator[Chunk]:
    """The file in chunks that are scored at once.

    Where features count known fraud, a chunk spans less time than a label takes: then nothing in a
    chunk was known before its last event, and the labels of a chunk may be taught after it.
    """
    spec = source.spec
    span = max(spec.risk_delay, spec.training.label_delay)
    for chunk in source.chunks(start=first, size=CHUNK):
        if spec.time_field and span < math.inf:
            yield from _cut(chunk, spec.time_field, span)
        else:
            yield chunk


def _cut(chunk: Chunk, time_field: str, span: float) -> Iterator[Chunk]:
    """Parts of a chunk whose times lie less than `span` seconds apart; odd times go along."""
    begin, low, high = 0, math.inf, -math.inf
    for i, event in enumerate(chunk.events):
        try:
            at = parse_time(str(event.get(time_field)))[0]
        except (ValueError, OverflowError):
            continue
        low, high = min(low, at), max(high, at)
        if high - low >= span:
            yield _part(chunk, begin, i)
            begin, low, high = i, at, at
    yield _part(chunk, begin, len(chunk.events))


def _part(chunk: Chunk, begin: int, end: int) -> Chunk:
    return Chunk(chunk.first + begin, chunk.events[begin:end], chunk.labels[begin:end])


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


def _first_missing(detector: Detector, source: EventSource) -> int:
    """Row to go on from: bisects over chunks by whether a chunk's events are stored."""
    low, high = 0, -(-source.rows // CHUNK)
    while low < high:
        middle = (low + high) // 2
        chunk = source.chunk(middle * CHUNK, CHUNK)
        ids = [str(event.get(source.spec.id_field, "")) for event in chunk.events]
        if Prediction.objects.filter(detector=detector, external_id__in=ids).exists():
            low = middle + 1
        else:
            high = middle
    # The last chunk that is there may lack its labels, and events shortly before it had labels
    # that were not known last time: they are done again, which changes nothing but adds labels.
    first = max(low - 1, 0) * CHUNK
    delay = timedelta(seconds=source.spec.training.label_delay)
    return min(first, source.rows_older(first, delay))


def _tally(
    detector: Detector,
    source: EventSource,
    chunk: Chunk,
    outcomes: list[Outcome],
    report: ImportReport,
) -> None:
    letters = []
    for i, outcome in enumerate(outcomes):
        match outcome:
            case Scored(prediction, created):
                report.scored += created
                report.skipped += not created
                report.flagged += created and prediction.decision != Decision.APPROVE
                if report.last_event_at is None or prediction.event_time > report.last_event_at:
                    report.last_event_at = prediction.event_time
            case Refused(problems):
                letters.append({"row": chunk.first + i, "problems": list(problems)})
            case Conflicting(external_id):
                problem = ("", f"'{external_id}' was scored before with another body")
                letters.append({"row": chunk.first + i, "problems": [problem]})
    if letters:
        report.refused += len(letters)
        report.dead_letters = _write_dead_letters(detector, source, letters)


def _write_dead_letters(
    detector: Detector, source: EventSource, letters: list[dict[str, object]]
) -> Path:
    folder = Path(settings.VAR_DIR) / "dead_letters"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{detector.slug}-{source.path.name}.jsonl"
    with path.open("a", encoding="utf-8") as file:
        for letter in letters:
            file.write(json.dumps(letter) + "\n")
    return path


def _label(
    detector: Detector,
    source: EventSource,
    chunk: Chunk,
    outcomes: list[Outcome],
    as_of: datetime | None,
) -> int:
    delay = timedelta(seconds=source.spec.training.label_delay)
    truths = {}
    for outcome, label in zip(outcomes, chunk.labels, strict=True):
        if label is None or not isinstance(outcome, Scored):
            continue
        known = outcome.prediction.event_time + delay
        if as_of is None or known <= as_of:
            truths[outcome.prediction.external_id] = (label, known)
    return record_truths(detector.pk, truths, source=Label.Source.IMPORT) if truths else 0
