"""Predictions and labels into the database, many at once, inside the caller's transaction.

Plain SQL with the columns of the models: for one row the ORM takes longer to compose the statement
than the database takes to run it. PostgreSQL gets batches by COPY. Who groups concurrent requests
into one commit calls `write_predictions` once for all of them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection, models
from django.db.backends.utils import format_number

from scoring import postgres
from scoring.copying import Write, copied, writers
from scoring.models import EntityState, Label, Prediction, ScoreTally
from scoring.postgres import Parameter, Trip

MOST_PARAMETERS = 10_000

SHARDS = 64
_COUNTS = ("count", "degraded", "latency_us", "risk_sum", "risk_count")
_TALLIES = ScoreTally._meta.db_table
TALLY = f"""
    INSERT INTO {_TALLIES} (detector_id, hour, shard, risk_level, decision, {", ".join(_COUNTS)})
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (detector_id, hour, shard, risk_level, decision) DO UPDATE
    SET {", ".join(f"{name} = {_TALLIES}.{name} + excluded.{name}" for name in _COUNTS)}
"""  # noqa: S608 - our own names

PREDICTIONS = Prediction._meta.db_table
COPY_FROM = 24
"""Rows from which COPY beats other ways on PostgreSQL (measured)."""
SILENCE = 20.0
"""Seconds for which scoring waits for a word of PostgreSQL; a writer of SQLite waits as long."""
KNOWN = f"""
    SELECT external_id FROM {PREDICTIONS} WHERE detector_id = %s AND external_id IN ({{marks}})
"""  # noqa: S608 - our own names
# On PostgreSQL one look by the unique index for each id, whatever the planner thinks of the table:
# to it a detector that is new since the last ANALYZE is empty, and `+ 0` keeps it from reading all
# of the detector's rows instead.
KNOWN_OF_ARRAY = f"""
    SELECT named.external_id FROM unnest(%s::text[]) AS named(external_id)
    CROSS JOIN LATERAL (
        SELECT 1 FROM {PREDICTIONS} one
        WHERE one.external_id = named.external_id AND one.detector_id + 0 = %s LIMIT 1
    ) stored
"""  # noqa: S608 - our own names
_LABELS = Label._meta.db_table
STORED_OF_ARRAY = f"""
    SELECT named.external_id, stored.id, stored.body_digest, stored.event_time, said.is_fraud::int
    FROM unnest(%s::text[]) AS named(external_id)
    CROSS JOIN LATERAL (
        SELECT id, body_digest, event_time FROM {PREDICTIONS} one
        WHERE one.external_id = named.external_id AND one.detector_id + 0 = %s LIMIT 1
    ) stored
    LEFT JOIN LATERAL (
        SELECT is_fraud FROM {_LABELS} label WHERE label.prediction_id = stored.id
        AND label.source = %s AND label.retracted_at IS NULL
        ORDER BY label.label_time DESC, label.id DESC LIMIT 1
    ) said ON true
"""  # noqa: S608 - our own names
_NAMES = tuple(str(field.column) for field in Prediction._meta.concrete_fields)
INSERT_AS_JSON = f"""
    INSERT INTO {PREDICTIONS} ({", ".join(_NAMES)}) SELECT {", ".join(_NAMES)}
    FROM json_populate_recordset(null::{PREDICTIONS}, %s::json)
"""  # noqa: S608 - our own names

STATES = EntityState._meta.db_table
INTRODUCED_AT = (500, 5_000)
NEW_TABLES = "SELECT relname FROM pg_class WHERE relname = ANY(%s::text[]) AND reltuples < 0"

Prepare = Callable[[Any], Any]


class Stored(NamedTuple):
    """What is stored of an event: its prediction, digest of its body, its time, and what the newest
    label of one source says (None: there is none)."""

    pk: UUID
    body_digest: str
    event_time: datetime
    is_fraud: bool | None


_written = 0


def write_predictions(predictions: Sequence[Prediction], trip: Trip | None = None) -> None:
    """Insert. Raises IntegrityError when an event id of the detector is already there."""
    if postgres.is_used() and 0 < len(predictions) < COPY_FROM:
        _insert_as_json(predictions, trip)
        return
    _insert(Prediction, predictions)


def _insert_as_json(predictions: Sequence[Prediction], trip: Trip | None) -> None:
    """All rows as one JSON text: for a few of them, the fewest microseconds and round trips.

    Numbers come out of it with the same bits: both sides write the shortest text that is exact.
    """
    rows = []
    for prediction in predictions:
        row = {name: prediction.__dict__[name] for name in _NAMES}
        for name in ("vector", "contributions"):
            if row[name] is not None:
                row[name] = "\\x" + row[name].hex()
        rows.append(row)
    postgres.execute(INSERT_AS_JSON, [orjson.dumps(rows, default=str)], trip=trip)


@contextmanager
def together() -> Iterator[Trip | None]:
    """On PostgreSQL a trip on which what the block asks and writes travels at its end; else None,
    and everything happens where it is asked for."""
    if not postgres.is_used():
        yield None
        return
    trip = Trip(patience=SILENCE)
    yield trip
    trip.go()


def write_labels(labels: Sequence[Label]) -> None:
    """Insert labels; they are never updated. Their ids stay unknown here."""
    _insert(Label, labels)


def add_tallies(predictions: Sequence[Prediction], trip: Trip | None = None) -> None:
    """Count predictions into the running totals of their hour; call it last in a transaction.

    Each process has rows of its own, so processes hardly wait for each other here, and all take
    them in one order.
    """
    sums: dict[tuple[Any, ...], list[float]] = {}
    for row in predictions:
        hour = _hour_of(row.received_at)
        key = (row.detector_id, hour, str(row.risk_level), str(row.decision))
        found = sums.setdefault(key, [0, 0, 0, 0.0, 0])
        risk = row.risk
        found[0] += 1
        found[1] += row.degraded
        found[2] += row.latency_us
        if risk is not None:
            found[3] += risk
            found[4] += 1
    shard = os.getpid() % SHARDS
    adapt = str if postgres.is_used() else connection.ops.adapt_datetimefield_value
    tallies = [
        [detector_id, adapt(hour), shard, level, decision, *counts]
        for (detector_id, hour, level, decision), counts in sorted(sums.items())
    ]
    if postgres.is_used():
        for tally in tallies:
            postgres.execute(TALLY, tally, trip=trip)
        return
    with connection.cursor() as cursor:
        cursor.executemany(TALLY, tallies)


@lru_cache(maxsize=64)
def _hour_of(moment: datetime) -> datetime:
    """Of the events of a batch, which came in one moment, it is found once."""
    return moment.replace(minute=0, second=0, microsecond=0)


def ask_known(
    detector_id: int, external_ids: Sequence[str], trip: Trip | None = None
) -> Callable[[], list[str]]:
    """Ask which events were scored before: nearly always none of them.

    The answer is what the returned function gives, after the trip.
    """
    if postgres.is_used():
        values: list[Parameter] = [list(external_ids), detector_id]
        asked = postgres.execute(KNOWN_OF_ARRAY, values, postgres.text, trip=trip)
        return lambda: [external_id for (external_id,) in asked.rows()]
    found: list[str] = []
    with connection.cursor() as cursor:
        for first in range(0, len(external_ids), MOST_PARAMETERS):
            part = external_ids[first : first + MOST_PARAMETERS]
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(KNOWN.format(marks=marks), [detector_id, *part])
            found += [external_id for (external_id,) in cursor.fetchall()]
    return lambda: found


def ask_stored(detector_id: int, external_ids: Sequence[str], source: str) -> dict[str, Stored]:
    """What is stored of these events, with their labels of a source; others are left out."""
    if postgres.is_used():
        values: list[Parameter] = [list(external_ids), detector_id, source]
        reads = (postgres.text, _uuid, postgres.text, postgres.moment, postgres.whole)
        found = postgres.execute(STORED_OF_ARRAY, values, *reads).rows()
        return {
            external_id: Stored(pk, digest, at, None if said is None else bool(said))
            for external_id, pk, digest, at, said in found
        }
    labels = Label.objects.filter(prediction=models.OuterRef("pk"), source=source)
    newest = models.Subquery(labels.order_by("-label_time", "-id").values("is_fraud")[:1])
    rows = Prediction.objects.filter(detector_id=detector_id).order_by()
    return {
        external_id: Stored(pk, digest, at, said)
        for first in range(0, len(external_ids), MOST_PARAMETERS)
        for external_id, pk, digest, at, said in rows.filter(
            external_id__in=external_ids[first : first + MOST_PARAMETERS]
        ).values_list("external_id", "pk", "body_digest", "event_time", newest)
    }


def _uuid(value: bytes) -> UUID:
    return UUID(bytes=value)


def stored_predictions(detector_id: int, external_ids: Sequence[str]) -> dict[str, Prediction]:
    """Stored predictions by external id."""
    if not external_ids:
        return {}
    rows = Prediction.objects.filter(detector_id=detector_id)
    return {
        row.external_id: row
        for first in range(0, len(external_ids), MOST_PARAMETERS)
        for row in rows.filter(external_id__in=external_ids[first : first + MOST_PARAMETERS])
    }


def commit_early(trip: Trip | None) -> None:
    """On PostgreSQL: let the commit travel with the writes before it.

    Only as the last statement of an outermost `atomic`, whose own commit then finds nothing to do;
    should this one fail, the block ends with the error and rolls back.
    """
    if trip is not None:
        trip.ask("COMMIT", [])


def introduce_tables(rows: int) -> None:
    """Let PostgreSQL's planner look at tables that are new, after so many `rows` of this process.

    Until autovacuum's first look, up to a minute after an installation, it knows nothing of them
    and reads all rows of a detector to find one. Call it outside of transactions.
    """
    global _written
    before, _written = _written, _written + rows
    if not postgres.is_used() or not any(before < enough <= _written for enough in INTRODUCED_AT):
        return
    for (table,) in postgres.execute(NEW_TABLES, [[PREDICTIONS, STATES]], postgres.text).rows():
        postgres.execute(f"ANALYZE {table}", [])


def _insert(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    if not rows:
        return
    plan = _plan(model, connection.vendor)
    for field in plan.filled_in:
        for row in rows:
            field.pre_save(row, True)
    table = connection.ops.quote_name(model._meta.db_table)
    values = map(plan.attributes, rows)
    if postgres.is_used():
        sql = f"COPY {table} ({plan.columns}) FROM STDIN (FORMAT BINARY)"
        postgres.copy(sql, copied(values, plan.writes))
        return
    sql = f"INSERT INTO {table} ({plan.columns}) VALUES ({plan.marks})"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(sql, plan.prepared(next(values)))
        else:
            cursor.executemany(sql, [plan.prepared(found) for found in values])


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows of one model become parameters. On PostgreSQL `writes` has a way for each value;
    elsewhere `prepare` holds (place, what is done there)."""

    columns: str
    marks: str
    attributes: Callable[[models.Model], tuple[Any, ...]]
    writes: tuple[Write, ...]
    prepare: tuple[tuple[int, Prepare], ...]
    filled_in: tuple["models.Field[Any, Any]", ...]

    def prepared(self, attributes: tuple[Any, ...]) -> list[Any]:
        """The parameters of one row."""
        found = list(attributes)
        for place, prepare in self.prepare:
            if found[place] is not None:
                found[place] = prepare(found[place])
        return found


@lru_cache(maxsize=8)
def _plan(model: type[models.Model], vendor: str) -> _Plan:
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]
    native = vendor == "postgresql"
    prepared = [(place, _prepare(field)) for place, field in enumerate(fields)]
    return _Plan(
        columns=", ".join(connection.ops.quote_name(str(field.column)) for field in fields),
        marks=", ".join(["%s"] * len(fields)),
        attributes=attrgetter(*(field.attname for field in fields)),
        writes=writers(fields) if native else (),
        prepare=tuple((place, prepare) for place, prepare in prepared if prepare is not None),
        filled_in=tuple(field for field in fields if getattr(field, "auto_now_add", False)),
    )


def _prepare(field: "models.Field[Any, Any]") -> Prepare | None:
    """What the ORM would do for SQLite to a value of this field, found out once instead of for
    each row."""
    match field:
        case models.JSONField():
            return lambda value: orjson.dumps(value).decode()
        case models.ForeignKey():
            return _prepare(field.target_field)
        case models.CharField():
            return str  # An enumeration's member is stored as its text.
        case models.DateTimeField():
            return lambda value: str(value.astimezone(UTC).replace(tzinfo=None))
        case models.DecimalField():
            digits, places = field.max_digits, field.decimal_places
            return lambda value: format_number(value, digits, places)
        case models.UUIDField():
            return lambda value: value.hex
    return None
