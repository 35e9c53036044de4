"""Predictions and labels into the database, many at once, inside the caller's transaction.

Plain SQL with the columns of the models: for one row the ORM takes longer to compose the statement
than the database takes to run it. PostgreSQL gets batches by COPY. Who groups concurrent requests
into one commit takes one `turn` and calls `write_predictions` once for all of them.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from operator import attrgetter
from typing import Any

import orjson
from django.db import connection, models
from django.db.backends.utils import format_number

from scoring.models import Label, Prediction

COPY_FROM = 20
"""Rows from which COPY beats INSERT on PostgreSQL."""
MOST_PARAMETERS = 10_000

Prepare = Callable[[Any], Any]
_turn = threading.Lock()


def write_predictions(predictions: Sequence[Prediction]) -> None:
    """Insert. Raises IntegrityError when an event id of the detector is already there."""
    _insert(Prediction, predictions)


def write_labels(labels: Sequence[Label]) -> None:
    """Insert labels; they are never updated. Their ids stay unknown here."""
    _insert(Label, labels)


def stored_predictions(detector_id: int, external_ids: Sequence[str]) -> dict[str, Prediction]:
    """Predictions that are there already, by external id.

    Nearly always there are none, so a look at the index comes first.
    """
    found: list[str] = []
    table, quote = connection.ops.quote_name(Prediction._meta.db_table), connection.ops.quote_name
    with connection.cursor() as cursor:
        for first in range(0, len(external_ids), MOST_PARAMETERS):
            part = external_ids[first : first + MOST_PARAMETERS]
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(
                f"SELECT {quote('external_id')} FROM {table}"  # noqa: S608 - our own names
                f" WHERE {quote('detector_id')} = %s AND {quote('external_id')} IN ({marks})",
                [detector_id, *part],
            )
            found += [external_id for (external_id,) in cursor.fetchall()]
    if not found:
        return {}
    rows = Prediction.objects.filter(detector_id=detector_id)
    return {
        row.external_id: row
        for first in range(0, len(found), MOST_PARAMETERS)
        for row in rows.filter(external_id__in=found[first : first + MOST_PARAMETERS])
    }


@contextmanager
def turn() -> Iterator[None]:
    """Wait for this process's turn to write, on SQLite; enter it before the transaction.

    SQLite has one writer at a time and lets the others poll with growing pauses, which makes some
    of them wait a hundred times too long. Between the threads of a process a lock is fair. Who is
    in a transaction already goes on, or two could wait for each other.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with _turn:
        yield


def _insert(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    if not rows:
        return
    plan = _plan(model, connection.vendor)
    table = connection.ops.quote_name(model._meta.db_table)
    values = (plan.values(row) for row in rows)
    if connection.vendor == "postgresql" and len(rows) >= COPY_FROM:
        _copy(f"COPY {table} ({plan.columns}) FROM STDIN", values)
        return
    sql = f"INSERT INTO {table} ({plan.columns}) VALUES ({plan.marks})"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(sql, next(values))
        else:
            cursor.executemany(sql, list(values))


def _copy(sql: str, rows: Iterable[Sequence[Any]]) -> None:
    # A cursor passes COPY through to psycopg, whose errors Django then has to be told to wrap.
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(sql) as copy:
        for row in rows:
            copy.write_row(row)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows of one model become parameters: `prepare` holds (place, what is done there)."""

    columns: str
    marks: str
    attributes: Callable[[models.Model], tuple[Any, ...]]
    prepare: tuple[tuple[int, Prepare], ...]
    filled_in: tuple["models.Field[Any, Any]", ...]

    def values(self, row: models.Model) -> list[Any]:
        """The parameters of one row."""
        for field in self.filled_in:
            field.pre_save(row, True)
        found = list(self.attributes(row))
        for place, prepare in self.prepare:
            if found[place] is not None:
                found[place] = prepare(found[place])
        return found


@lru_cache(maxsize=8)
def _plan(model: type[models.Model], vendor: str) -> _Plan:
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]
    prepared = [(place, _prepare(field, vendor)) for place, field in enumerate(fields)]
    return _Plan(
        columns=", ".join(connection.ops.quote_name(str(field.column)) for field in fields),
        marks=", ".join(["%s"] * len(fields)),
        attributes=attrgetter(*(field.attname for field in fields)),
        prepare=tuple((place, prepare) for place, prepare in prepared if prepare is not None),
        filled_in=tuple(field for field in fields if getattr(field, "auto_now_add", False)),
    )


def _prepare(field: "models.Field[Any, Any]", vendor: str) -> Prepare | None:
    """What the ORM would do to a value of this field, found out once instead of for each row."""
    native = vendor == "postgresql"
    match field:
        case models.JSONField():
            return lambda value: orjson.dumps(value).decode()
        case models.ForeignKey():
            return _prepare(field.target_field, vendor)
        case models.CharField():
            return str  # An enumeration's member is stored as its text.
        case models.DateTimeField() if not native:
            return lambda value: str(value.astimezone(UTC).replace(tzinfo=None))
        case models.DecimalField() if not native:
            digits, places = field.max_digits, field.decimal_places
            return lambda value: format_number(value, digits, places)
        case models.UUIDField() if not native:
            return lambda value: value.hex
    return None
