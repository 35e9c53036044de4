"""Rows of a model in the binary form of PostgreSQL's COPY.

How a value is written depends on its column alone, so it is found out once a column, where psycopg
looks at every value anew; and the server takes numbers as they are, where it would parse text.
https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import orjson
from django.db import models
from psycopg.types.numeric import DecimalBinaryDumper

from scoring.postgres import EPOCH

Write = Callable[[Any], bytes]
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">2i", 0, 0)
TRAILER: Final = struct.pack(">h", -1)
NULL: Final = struct.pack(">i", -1)
MICROSECOND: Final = timedelta(microseconds=1)
CHUNK: Final = 100
"""Rows that travel together: some 100 kB."""
_length = struct.Struct(">i").pack
_numeric = DecimalBinaryDumper(Decimal)


def writers(fields: Sequence["models.Field[Any, Any]"]) -> tuple[Write, ...]:
    """How the values of each field are written. Raises TypeError for a kind that is not known."""
    return tuple(_write(field) for field in fields)


def copied(rows: Iterable[Sequence[Any]], writes: Sequence[Write]) -> Iterator[bytes]:
    """What COPY is sent, in chunks; each row has one value for each of `writes`, None for NULL."""
    start = struct.pack(">h", len(writes))
    parts = [HEADER]
    for number, row in enumerate(rows, 1):
        parts.append(start)
        parts += [
            NULL if value is None else write(value)
            for value, write in zip(row, writes, strict=True)
        ]
        if number % CHUNK == 0:
            yield b"".join(parts)
            parts = []
    parts.append(TRAILER)
    yield b"".join(parts)


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
    encoded = orjson.dumps(value)
    return _length(len(encoded) + 1) + b"\1" + encoded  # The version of jsonb's binary form.


def _moment(value: datetime) -> bytes:
    return _eight(8, (value - EPOCH) // MICROSECOND)


def _decimal(value: Decimal) -> bytes:
    return _sized(bytes(_numeric.dump(value) or b""))


_eight = struct.Struct(">iq").pack
_four = struct.Struct(">ii").pack
_double, _truth = struct.Struct(">id").pack, struct.Struct(">i?").pack


WRITES: Final[dict[str, Write]] = {
    "AutoField": lambda value: _four(4, value),
    "BigAutoField": lambda value: _eight(8, value),
    "BigIntegerField": lambda value: _eight(8, value),
    "BinaryField": _sized,
    "BooleanField": lambda value: _truth(1, value),
    "CharField": _text,
    "DateTimeField": _moment,
    "DecimalField": _decimal,
    "FloatField": lambda value: _double(8, value),
    "IntegerField": lambda value: _four(4, value),
    "JSONField": _json,
    "PositiveIntegerField": lambda value: _four(4, value),
    "TextField": _text,
    "UUIDField": lambda value: b"\0\0\0\x10" + value.bytes,
}
"""By Django's name of a kind of field: length and value."""
