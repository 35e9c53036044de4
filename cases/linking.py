"""Keep the index of links up with the predictions and labels: behind scoring, never on its path.

One sweep takes in what came since the last, in the order of ids, which are made from the time of
scoring. It waits GRACE so that whatever was being committed meanwhile is there. Progress moves in
the same transaction as what was taken in, and only from where the sweep found it: two sweeps at
once, or one that was killed, count nothing twice. What is committed later than GRACE after its
scoring is passed over until the index is made anew.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from accounts import vault
from cases.links_models import EntityLink, KnownEntity, LinkProgress, SharedValue
from scoring.core.ids import made_at
from scoring.core.reader import SpecError
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec
from scoring.erasing import ERASED
from scoring.feature_store.history import clear
from scoring.models import Detector, Label, Prediction

GRACE = timedelta(seconds=60)
MOST = 40_000
"""Rows that one sweep takes in, about."""
CHUNK = 2000
SHORT_CHUNK = 200
"""Where there is one writer at a time: who scores waits for a chunk, not for a sweep."""
BATCH = 400
"""Rows in one statement: SQLite takes a bounded number of parameters."""
LONGEST = 64
NIL = UUID(int=0)
EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Overtaken(Exception):
    """Another sweep took in the same rows first."""


def index_links(*, most: int = MOST) -> int:
    """Take in about so many new predictions, then labels; how many rows were read.

    May run twice, also at once. On SQLite it rests as long as it works, so that others may write.
    """
    read, done = 0, False
    while read < most and not done:
        began = time.monotonic()
        try:
            count, done = _take_predictions(timezone.now() - GRACE)
            read += count
            if done:
                count, done = _take_labels(timezone.now() - GRACE)
                read += count
        except Overtaken:
            return read
        if connection.vendor == "sqlite" and not done:
            time.sleep(time.monotonic() - began)
    return read


def _chunk() -> int:
    return SHORT_CHUNK if connection.vendor == "sqlite" else CHUNK


def rebuild_links() -> None:
    """Forget the index; the sweeps after this make it anew."""
    with transaction.atomic():
        for model in (EntityLink, SharedValue, KnownEntity, LinkProgress):
            model.objects.all().delete()


def links_known_until() -> datetime | None:
    """All that arrived before this is in the index; None before the first complete sweep."""
    progress = LinkProgress.objects.first()
    return None if progress is None else progress.caught_up_at


# --- Predictions ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seen:
    """How often, and from when to when."""

    shown: str
    events: int
    first: datetime
    last: datetime

    def add(self, at: datetime) -> None:
        self.events += 1
        self.first, self.last = min(self.first, at), max(self.last, at)


@transaction.atomic
def _take_predictions(until: datetime) -> tuple[int, bool]:
    """(how many were read, whether there are no more for now)."""
    progress, chunk = hold_mark(), _chunk()
    rows = list(
        Prediction.objects.filter(pk__gt=progress.prediction)
        .order_by("pk")
        .only(
            "detector_id",
            "external_id",
            "entity",
            "event",
            "event_time",
            "received_at",
            "erased_at",
        )[:chunk]
    )
    # Up to the first that is too young: the mark must not pass over it, nor over what was scored
    # at the same moment as one that had waited for long.
    ripe = list(takewhile(lambda row: max(row.received_at, _scored_at(row)) <= until, rows))
    done = len(ripe) < chunk
    entities, links = _collect(ripe)
    _move_on(
        progress,
        prediction=ripe[-1].pk if ripe else progress.prediction,
        caught_up_at=until if done else progress.caught_up_at,
    )
    _add_links(links)
    _add_entities(entities)
    return len(ripe), done


def _scored_at(row: Prediction) -> datetime:
    return datetime.fromtimestamp(made_at(row.pk), UTC)


def hold_mark() -> LinkProgress:
    """How far the index is, held until the end of the caller's transaction: what a sweep reads is
    what stands when it writes, and an erasure finds all that a sweep took in before it."""
    held = LinkProgress.objects.select_for_update()
    return held.get_or_create(pk=1, defaults={"prediction": NIL})[0]


def _move_on(progress: LinkProgress, **changes: Any) -> None:
    """Move the mark, if it still stands where we found it. Raises Overtaken."""
    moved = LinkProgress.objects.filter(
        pk=progress.pk,
        prediction=progress.prediction,
        label=progress.label,
        retracted_until=progress.retracted_until,
    ).update(**changes)
    if not moved:
        raise Overtaken


EntityKey = tuple[int, str]
LinkKey = tuple[int, str, str, str]


def _collect(
    rows: Sequence[Prediction],
) -> tuple[dict[EntityKey, _Seen], dict[LinkKey, _Seen]]:
    """What the rows say of entities, by (detector, entity), and of links, by (detector, field,
    token, entity). Detectors without link fields say nothing."""
    specs = _specs({row.detector_id for row in rows})
    entities: dict[EntityKey, _Seen] = {}
    links: dict[LinkKey, _Seen] = {}
    for row in rows:
        spec = specs.get(row.detector_id)
        if spec is None:
            continue
        key = (row.detector_id, row.entity)
        if key not in entities:
            entities[key] = _Seen(_name(row, spec), 0, row.event_time, row.event_time)
        entities[key].add(row.event_time)
        for field, value in _values(row.event, spec):
            link = (row.detector_id, field, vault.token(field, value), row.entity)
            if link not in links:
                shown = vault.mask(value) if field in spec.pii_fields else value[:LONGEST]
                links[link] = _Seen(shown, 0, row.event_time, row.event_time)
            links[link].add(row.event_time)
    return entities, links


def _specs(detectors: set[int]) -> dict[int, DetectorSpec]:
    found = {}
    for detector in Detector.objects.filter(pk__in=detectors):
        try:
            spec = detector.spec()
        except SpecError:
            continue
        if spec.link_fields:
            found[detector.pk] = spec
    return found


def _values(event: Mapping[str, Any], spec: DetectorSpec) -> Iterable[tuple[str, str]]:
    """(field, value) of what may link; personal data in the clear, for its token alone."""
    for field in spec.link_fields:
        value = clear(event.get(field), spec.type_of(field))
        if value is not None and (text := key_text(value)).strip():
            yield field, text


def _name(row: Prediction, spec: DetectorSpec) -> str:
    value = clear(row.event.get(spec.entity_field), spec.type_of(spec.entity_field))
    if value is None:
        return row.external_id[:100] if row.erased_at is None else ERASED
    hidden = spec.entity_field in spec.pii_fields
    return vault.mask(key_text(value)) if hidden else key_text(value)[:100]


# --- Writing -------------------------------------------------------------------------------------

_LINKS, _VALUES, _ENTITIES = (
    model._meta.db_table for model in (EntityLink, SharedValue, KnownEntity)
)
_LATER = "CASE WHEN excluded.last_seen > {0}.last_seen THEN excluded.{1} ELSE {0}.{1} END"
_EARLIER = "CASE WHEN excluded.first_seen < {0}.first_seen THEN excluded.{1} ELSE {0}.{1} END"
ADD_LINKS = f"""
    INSERT INTO {_LINKS} (detector_id, field, token, entity, events, first_seen, last_seen)
    VALUES {{rows}}
    ON CONFLICT (token, entity, field, detector_id) DO UPDATE SET
        events = {_LINKS}.events + excluded.events,
        first_seen = {_EARLIER.format(_LINKS, "first_seen")},
        last_seen = {_LATER.format(_LINKS, "last_seen")}
    RETURNING detector_id, field, token, entity, events
"""  # noqa: S608 - our own names
ADD_VALUES = f"""
    INSERT INTO {_VALUES} (detector_id, field, token, shown, entities, last_seen)
    VALUES {{rows}}
    ON CONFLICT (token, field, detector_id) DO UPDATE SET
        entities = {_VALUES}.entities + excluded.entities,
        last_seen = {_LATER.format(_VALUES, "last_seen")}
"""  # noqa: S608 - our own names
ADD_ENTITIES = f"""
    INSERT INTO {_ENTITIES}
        (detector_id, entity, shown, events, frauds, legitimate, first_seen, last_seen)
    VALUES {{rows}}
    ON CONFLICT (entity, detector_id) DO UPDATE SET
        events = {_ENTITIES}.events + excluded.events,
        first_seen = {_EARLIER.format(_ENTITIES, "first_seen")},
        shown = {_LATER.format(_ENTITIES, "shown")},
        last_seen = {_LATER.format(_ENTITIES, "last_seen")}
"""  # noqa: S608 - our own names


def _add_links(links: Mapping[LinkKey, _Seen]) -> None:
    """Count the links; a value's number of entities grows by those that are new to it."""
    adapt = connection.ops.adapt_datetimefield_value
    rows = [
        (*key, seen.events, adapt(seen.first), adapt(seen.last))
        for key, seen in sorted(links.items(), key=lambda item: item[0])
    ]
    fresh: Counter[tuple[int, str, str]] = Counter()
    for detector, field, token, entity, events in _upsert(ADD_LINKS, rows):
        # A link that was there before has more events than were just added.
        if events == links[detector, field, token, entity].events:
            fresh[detector, field, token] += 1
    values: dict[tuple[int, str, str], _Seen] = {}
    for (detector, field, token, _), seen in links.items():
        held = values.setdefault((detector, field, token), seen)
        if seen.last > held.last:
            values[detector, field, token] = seen
    _upsert(
        ADD_VALUES,
        [
            (*key, seen.shown, fresh[key], adapt(seen.last))
            for key, seen in sorted(values.items(), key=lambda item: item[0])
        ],
    )


def _add_entities(entities: Mapping[EntityKey, _Seen]) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    _upsert(
        ADD_ENTITIES,
        [
            (*key, seen.shown, seen.events, 0, 0, adapt(seen.first), adapt(seen.last))
            for key, seen in sorted(entities.items(), key=lambda item: item[0])
        ],
    )


def _upsert(sql: str, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Run the statement over all rows, a batch at a time; what it returned."""
    found: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        for first in range(0, len(rows), BATCH):
            part = rows[first : first + BATCH]
            marks = "(" + ", ".join(["%s"] * len(part[0])) + ")"
            cursor.execute(
                sql.format(rows=", ".join([marks] * len(part))),
                [value for row in part for value in row],
            )
            if cursor.description:
                found += cursor.fetchall()
    return found


# --- Labels --------------------------------------------------------------------------------------


@transaction.atomic
def _take_labels(until: datetime) -> tuple[int, bool]:
    """Count entities' events by their newest labels; a correction moves from one to the other, and
    what was taken back moves to what was said before it."""
    progress, chunk = hold_mark(), _chunk()
    new = list(
        Label.history.filter(pk__gt=progress.label)
        .order_by("pk")
        .values_list("pk", "prediction_id", "recorded_at")[:chunk]
    )
    ripe = list(takewhile(lambda row: row[2] <= until, new))
    back, cut = _taken_back(progress, until)
    touched = {prediction for _, prediction, _ in ripe} | set(back)
    if not touched:
        return 0, True
    last = ripe[-1][0] if ripe else progress.label
    moves = _moves(touched, progress, last, cut)
    _move_on(progress, label=last, retracted_until=cut)
    _count_known(moves)
    return len(ripe) + len(back), len(ripe) < chunk and cut == until


def _count_known(moves: Mapping[EntityKey, Sequence[int]]) -> None:
    """Add (frauds, legitimate) to what is known of each entity that is in the index."""
    moved = sorted(key for key, steps in moves.items() if any(steps))
    for first in range(0, len(moved), BATCH):
        batch = set(moved[first : first + BATCH])
        found = KnownEntity.objects.filter(entity__in={entity for _, entity in batch})
        rows = [row for row in found.order_by("pk") if (row.detector_id, row.entity) in batch]
        for row in rows:
            frauds, legitimate = moves[row.detector_id, row.entity]
            row.frauds = max(0, row.frauds + frauds)
            row.legitimate = max(0, row.legitimate + legitimate)
        KnownEntity.objects.bulk_update(rows, ["frauds", "legitimate"])


def _taken_back(progress: LinkProgress, until: datetime) -> tuple[list[UUID], datetime]:
    """(predictions of labels in the index that were taken back since the last look, up to when).

    That is `until`, or earlier where there are more than a chunk; never between two of one moment.
    """
    rows = Label.history.filter(
        retracted_at__gt=progress.retracted_until or EVER,
        retracted_at__lte=until,
        pk__lte=progress.label,
    ).order_by("retracted_at", "pk")
    chunk = _chunk()
    found = list(rows.values_list("prediction_id", "retracted_at")[:chunk])
    cut = until
    if len(found) == chunk and (last := found[-1][1]) is not None:
        found = list(
            rows.filter(retracted_at__lte=last).values_list("prediction_id", "retracted_at")
        )
        cut = last
    return [prediction for prediction, _ in found], cut


def _moves(
    predictions: set[UUID], before: LinkProgress, last: int, cut: datetime
) -> dict[EntityKey, list[int]]:
    """By entity, how many more of its events are known as (fraud, legitimate) than `before`."""
    labels = (
        Label.history.filter(prediction__in=predictions, pk__lte=last)
        .order_by("label_time", "pk")
        .values_list(
            "pk", "prediction_id", "is_fraud", "detector_id", "prediction__entity", "retracted_at"
        )
    )
    since = before.retracted_until or EVER
    then: dict[UUID, tuple[bool, EntityKey]] = {}
    now: dict[UUID, tuple[bool, EntityKey]] = {}
    for pk, prediction, is_fraud, detector, entity, retracted_at in labels:
        said = (is_fraud, (detector, entity))
        if pk <= before.label and (retracted_at is None or retracted_at > since):
            then[prediction] = said
        if retracted_at is None or retracted_at > cut:
            now[prediction] = said
    found: dict[EntityKey, list[int]] = {}
    for known, step in ((now, 1), (then, -1)):
        for is_fraud, key in known.values():
            found.setdefault(key, [0, 0])[0 if is_fraud else 1] += step
    return found
