"""Labels of events that were scored before, from a file: an id and a truth a row.

They count as feedback: what an import of the events themselves says of them later, or again, takes
none of them back.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from scoring import writer
from scoring.core.field_checks import parse_time
from scoring.core.spec import DetectorSpec
from scoring.importing import CHUNK, Chunk, DeadLetters, EventSource, ImportReport
from scoring.labelling import record_truths
from scoring.models import Detector, Label
from scoring.writer import Stored

TIME: Final = "label_time"
COLUMN: Final = "label"
"""The column of labels of a detector that declares none."""
FEEDBACK: Final = Label.Source.FEEDBACK
Said = tuple[bool, datetime]
"""Whether it is fraud, and when that became known."""


def labels_spec(spec: DetectorSpec) -> DetectorSpec:
    """The detector's id and label, and when that was known, as if they were all of its event.

    Raises ValueError where its events have no id.
    """
    if not spec.id_field:
        raise ValueError(
            f"{spec.slug} declares no event.id, by which a label would find its event."
        )
    fields = {
        spec.id_field: spec.schema["properties"][spec.id_field],
        TIME: {"type": "string", "format": "date-time"},
    }
    return replace(
        spec,
        schema={"type": "object", "required": [spec.id_field], "properties": fields},
        label_column=spec.label_column or COLUMN,
        time_field="",
        elapsed_field="",
    )


def import_labels(detector: Detector, source: EventSource) -> ImportReport:
    """Record every label of the file that was not said before; of `source`, what `labels_spec`
    names is read. May run twice."""
    report, letters = ImportReport(rows=source.rows), DeadLetters(detector, source)
    for chunk in source.chunks(CHUNK):
        truths, refused = _read(detector, source.spec, chunk)
        letters.refuse({row: [problem] for row, problem in refused.items()}, report)
        recorded = record_truths(detector.pk, truths, source=FEEDBACK)
        report.labelled += recorded.added
        report.corrected += recorded.corrected
        report.skipped += len(chunk.ids) - len(refused) - recorded.added
    return report


def _read(
    detector: Detector, spec: DetectorSpec, chunk: Chunk
) -> tuple[dict[str, Said], dict[int, tuple[str, str]]]:
    """({id: (is fraud, when that became known)}, {row: (column, what is wrong)})"""
    now = timezone.now()
    truths: dict[str, Said] = {}
    refused: dict[int, tuple[str, str]] = {}
    asked = [name for name in chunk.ids if name and "\0" not in name]
    stored = writer.ask_stored(detector.pk, asked, FEEDBACK)
    said_before = _said_before(stored.values())
    rows = zip(chunk.ids, chunk.labels, chunk.read(range(len(chunk.ids))), strict=True)
    for row, (name, label, said) in enumerate(rows, chunk.first):
        try:
            if label is None:
                raise _Wrong(spec.label_column, "is no label: write 1 or 0")
            event = _stored_as(name, stored, spec)
            one = label, _known_at(said.get(TIME), event, now)
            others = [*said_before[event.pk], *([truths[name]] if name in truths else [])]
            if one not in others:
                _check_newest(one[1], others)
                truths[name] = one
        except _Wrong as error:
            refused[row] = (error.column, error.problem)
    return truths, refused


class _Wrong(Exception):
    def __init__(self, column: str, problem: str) -> None:
        super().__init__(problem)
        self.column, self.problem = column, problem


def _stored_as(name: str, stored: dict[str, Stored], spec: DetectorSpec) -> Stored:
    if name not in stored:
        said = f"no event '{name}' was scored" if name else "is required"
        raise _Wrong(str(spec.id_field), said)
    return stored[name]


def _said_before(events: Iterable[Stored]) -> dict[UUID, list[Said]]:
    """What labels of this source say of each event, and since when. One query."""
    said: dict[UUID, list[Said]] = defaultdict(list)
    rows = Label.objects.filter(prediction__in=[event.pk for event in events], source=FEEDBACK)
    for pk, truth, known in rows.values_list("prediction", "is_fraud", "label_time"):
        said[pk].append((truth, known))
    return said


def _check_newest(known: datetime, others: Iterable[Said]) -> None:
    """Of an event the newest label counts: an older one that is new would change nothing."""
    newest = max((when for _, when in others), default=known)
    if known < newest:
        raise _Wrong(TIME, f"is before the label of {newest:%Y-%m-%dT%H:%M:%SZ}, which counts")


def _known_at(text: Any, event: Stored, now: datetime) -> datetime:
    """When a label became known: between the event and now, and now where nothing is said."""
    # A clock that runs a little ahead of ours may have dated the event after now.
    latest = max(now, event.event_time)
    if text is None or text == "":
        return latest
    try:
        known = datetime.fromtimestamp(parse_time(str(text))[0], UTC)
    except (ValueError, OverflowError) as error:
        raise _Wrong(TIME, "must be an ISO-8601 time such as 2026-11-21T09:30:00Z") from error
    if not event.event_time <= known <= latest:
        raise _Wrong(TIME, "must lie between the event's time and now")
    return known
