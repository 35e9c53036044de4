"""Rows of a model in the binary form of PostgreSQL's COPY.

How a value is written depends on its column alone, so it is found out once a column, where psycopg
looks at every value anew; and the server takes numbers as they are, where it would parse text. What
is one object in all rows (a digest, a version) is written once.
https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import chain, islice, repeat
from operator import is_
from typing import Any, Final

import orjson
from django.db import models
from psycopg import adapters
from psycopg.adapt import PyFormat

from scoring.postgres import EPOCH

Write = Callable[[Any], bytes]
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">2i", 0, 0)
TRAILER: Final = struct.pack(">h", -1)
NULL: Final = struct.pack(">i", -1)
MICROSECOND: Final = timedelta(microseconds=1)
CHUNK: Final = 100
"""Rows that travel together: some 100 kB."""
_length = struct.Struct(">i").pack
# The one in C, where psycopg has it: four times as fast as the one in Python.
_numeric = adapters.get_dumper(Decimal, PyFormat.BINARY)(Decimal)


def writers(fields: Sequence["models.Field[Any, Any]"]) -> tuple[Write, ...]:
    """How the values of each field are written. Raises TypeError for a kind that is not known."""
    return tuple(_write(field) for field in fields)


def copied(rows: Iterable[Sequence[Any]], writes: Sequence[Write]) -> Iterator[bytes]:
    """What COPY is sent, in chunks; each row has one value for each of `writes`, None for NULL."""
    start, waiting = struct.pack(">h", len(writes)), iter(rows)
    begin = HEADER
    while some := list(islice(waiting, CHUNK)):
        found = zip(zip(*some, strict=True), writes, strict=True)
        columns = [_column(values, write) for values, write in found]
        yield begin + b"".join(chain.from_iterable(zip(repeat(start), *columns, strict=False)))
        begin = b""
    yield begin + TRAILER


def _column(values: Sequence[Any], write: Write) -> Iterable[bytes]:
    """The values of one column, written; there is at least one."""
    first = values[0]
    if all(map(is_, values, repeat(first))):
        return repeat(NULL if first is None else write(first), len(values))
    return [NULL if value is None else write(value) for value in values]


def _write(field: "models.Field[Any, Any]") -> Write:
    if isinstance(field, models.ForeignKey):
        return _write(field.target_field)
    kind = field.get_internal_type()
    if kind not in WRITES:
        raise TypeError(f"How COPY takes a {kind} is not written down here.")
    return WRITES[kind]


def _sized(value: bytes) -> bytes:
    return _length(len(value)) + value


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def _json(value: Any) -> bytes:
    if value.__class__ is list and not value:  # Hits: most events have none of a kind.
        return NO_ITEMS
    encoded = orjson.dumps(value)
    return _length(len(encoded) + 1) + b"\1" + encoded  # The version of jsonb's binary form.


def _moment(value: datetime) -> bytes:
    return _eight(8, (value - EPOCH) // MICROSECOND)


def _decimal(value: Decimal) -> bytes:
    return _sized(bytes(_numeric.dump(value) or b""))


# The version of jsonb's binary form, then its text.
NO_ITEMS: Final = _length(3) + b"\1[]"
_eight = struct.Struct(">iq").pack
_four = struct.Struct(">ii").pack
_double, _truth = struct.Struct(">id").pack, struct.Struct(">i?").pack
# Without a Python function around them: they are called for every number of a batch.
_as_eight, _as_four = partial(_eight, 8), partial(_four, 4)


WRITES: Final[dict[str, Write]] = {
    "AutoField": _as_four,
    "BigAutoField": _as_eight,
    "BigIntegerField": _as_eight,
    "BinaryField": _sized,
    "BooleanField": partial(_truth, 1),
    "CharField": _text,
    "DateTimeField": _moment,
    "DecimalField": _decimal,
    "FloatField": partial(_double, 8),
    "IntegerField": _as_four,
    "JSONField": _json,
    "PositiveIntegerField": _as_four,
    "TextField": _text,
    "UUIDField": lambda value: b"\0\0\0\x10" + value.bytes,
}
"""By Django's name of a kind of field: length and value."""
