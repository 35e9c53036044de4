"""Statements for the hot path on PostgreSQL, straight to libpq and inside Django's transaction.

A `Trip` carries several statements to the server at once and brings back all their answers: one
round trip, one write, one wait. Parameters travel beside the statement, bytes and lists in binary,
and a statement is parsed and planned once a connection. psycopg's own pipeline waits after each
statement and adapts each value, which took ten times as long as this. Errors are Django's all the
same.
"""

import select
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from django.conf import settings
from django.db import connection
from psycopg import errors
from psycopg.abc import Buffer
from psycopg.copy import LibpqWriter
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from scoring import turns

Row = tuple[Any, ...]
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
Read = Callable[[bytes], Any]
Parameter = int | float | str | bytes | Sequence[str] | Sequence[bytes]
GONE: Final = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED, ExecStatus.BAD_RESPONSE)
TEXT_OID: Final = 25
BYTES_OID: Final = 17
LENGTH: Final = struct.Struct(">i")
ARRAY: Final = struct.Struct(">5i")
"""Dimensions, whether there are nulls, type of the elements, elements, number of the first one."""
AS_TEXT, AS_BINARY = 0, 1
MOST_PREPARED: Final = 300
MOST_KEPT: Final = 2 * 1024 * 1024
"""Bytes of a COPY that are kept for the server, more than a batch has: a connection never gives
their memory back."""


@dataclass(slots=True)
class _Prepared:
    """A statement that a session has parsed. Its plan is kept too, and one made while a table was
    small would still be used when it has grown: so it is made anew after 8, 16, 32, ... uses."""

    name: bytes
    until: int
    uses: int = 0


_Statements = dict[bytes, _Prepared]
_prepared: "WeakKeyDictionary[psycopg.Connection[Row], _Statements]" = WeakKeyDictionary()
_numbers = count()
FIRST_PLAN: Final = 8


def text(value: bytes) -> str:
    """Reads a text column."""
    return value.decode()


def whole(value: bytes) -> int:
    """Reads a column of whole numbers of any size."""
    return int.from_bytes(value, "big", signed=True)


def moment(value: bytes) -> datetime:
    """Reads a timestamptz column."""
    return EPOCH + timedelta(microseconds=whole(value))


def is_used() -> bool:
    """Whether the database is PostgreSQL."""
    return connection.vendor == "postgresql"


def trust() -> None:
    """Spare this request the question whether its connection still lives.

    For who notices a dead one, and tries again on a new one.
    """
    connection.health_check_done = True  # type: ignore[attr-defined]


class Answer:
    """What a statement of a trip gave: `rows`, once the trip is over."""

    __slots__ = ("_reads", "_result")

    def __init__(self, reads: Sequence[Read]) -> None:
        self._reads = reads
        self._result: PGresult | None = None

    def rows(self) -> list[Row]:
        """The rows, each column read by what the statement was asked with; NULL is None."""
        result, reads = self._result, self._reads
        if result is None:
            raise RuntimeError("The trip is not over.")
        return [
            tuple(
                None if (value := result.get_value(row, column)) is None else read(value)
                for column, read in enumerate(reads)
            )
            for row in range(result.ntuples)
        ]


class Trip:
    """Statements in the order of asking; `go` sends them and waits for them all.

    In Django's outermost transaction the first trip begins it; the statement `COMMIT` may be the
    last one of the last trip: Django's own commit then finds nothing to do.
    `patience`: seconds without a word after which the server is taken for gone; None: no end.
    """

    def __init__(self, *, patience: float | None = None) -> None:
        self._asked: list[tuple[bytes, Sequence[Parameter], Answer]] = []
        self._patience = patience

    def ask(self, sql: str, parameters: Sequence[Parameter], *reads: Read) -> Answer:
        """Add a statement, its parameters marked `%s`; `reads` tell its columns."""
        answer = Answer(reads)
        self._asked.append((_numbered(sql), parameters, answer))
        return answer

    def go(self) -> None:
        """Raises Django's database errors; then no statement after the wrong one has run."""
        asked, self._asked = self._asked, []
        if not asked:
            return
        with connection.wrap_database_errors:
            raw = _raw()
            with raw.lock:
                pgconn = raw.pgconn
                if pgconn.transaction_status == TransactionStatus.IDLE and not raw.autocommit:
                    asked.insert(0, (b"BEGIN", (), Answer(())))
                try:
                    _travel(raw, pgconn, asked, self._patience)
                except BaseException:
                    if pgconn.pipeline_status:
                        raw.close()  # Halfway: what is still on its way cannot be told apart.
                    raise


def execute(
    sql: str, parameters: Sequence[Parameter], *reads: Read, trip: Trip | None = None
) -> Answer:
    """Ask on a trip that others share, else on one of its own, at once."""
    if trip is not None:
        return trip.ask(sql, parameters, *reads)
    alone = Trip()
    answer = alone.ask(sql, parameters, *reads)
    alone.go()
    return answer


class _Eager(LibpqWriter):
    """Sends what the server takes at once and keeps the rest: the next piece is made meanwhile.

    Whoever waits for the server lends the turn to compute.
    """

    def __init__(self, cursor: "psycopg.Cursor[Row]") -> None:
        super().__init__(cursor, flush_threshold=0)  # Its `write` waits until all is sent.
        self._kept = 0

    def write(self, data: Buffer) -> None:
        if self._kept + len(data) <= MOST_KEPT and self._pgconn.put_copy_data(data):
            self._kept = self._kept + len(data) if self._pgconn.flush() else 0
            return
        with turns.of_batches.lent():
            super().write(data)
        self._kept = 0

    def finish(self, exc: BaseException | None = None) -> None:
        with turns.of_batches.lent():
            super().finish(exc)


def copy(sql: str, chunks: Iterable[bytes]) -> None:
    """`COPY ... FROM STDIN` of what is sent there, piece by piece."""
    cursor = psycopg.Cursor(_raw())
    with (
        connection.wrap_database_errors,
        cursor.copy(sql.encode(), writer=_Eager(cursor)) as writing,
    ):
        for chunk in chunks:
            writing.write(chunk)


def _raw() -> "psycopg.Connection[Row]":
    connection.ensure_connection()
    found: psycopg.Connection[Row] = connection.connection
    return found


def _travel(
    raw: "psycopg.Connection[Row]",
    pgconn: PGconn,
    asked: Sequence[tuple[bytes, Sequence[Parameter], Answer]],
    patience: float | None,
) -> None:
    """Send, wait, give each answer its result. Raises psycopg's error of the first wrong one."""
    statements = _prepared.setdefault(raw, {})
    new: _Statements = {}
    expected: list[Answer | None] = []
    pgconn.enter_pipeline_mode()
    for sql, parameters, answer in asked:
        values = [_encoded(value) for value in parameters]
        texts, formats = [value for value, _ in values], [form for _, form in values]
        if not settings.DATABASE_PREPARED_STATEMENTS or _is_long(parameters):
            pgconn.send_query_params(sql, texts, None, formats, AS_BINARY)
        else:
            prepared = new.get(sql) or statements.get(sql)
            if prepared is None or prepared.uses >= prepared.until:
                if prepared is not None:
                    pgconn.send_query_params(b"DEALLOCATE " + prepared.name, None)
                    expected.append(None)
                until = FIRST_PLAN if prepared is None else 2 * prepared.until
                prepared = new[sql] = _Prepared(b"risk_%d" % next(_numbers), until)
                pgconn.send_prepare(prepared.name, sql)
                expected.append(None)
            prepared.uses += 1
            pgconn.send_query_prepared(prepared.name, texts, formats, AS_BINARY)
        expected.append(answer)
    pgconn.pipeline_sync()
    wrong = _collect(pgconn, expected, patience)
    pgconn.exit_pipeline_mode()
    if wrong is not None:
        for sql in new:  # Whether the server has them depends on where it stopped.
            statements.pop(sql, None)
        raise errors.error_from_result(wrong, encoding="utf-8")
    statements.update(new)


def _is_long(parameters: Sequence[Parameter]) -> bool:
    """Whether a list is so long that planning anew costs nothing beside it, while a plan made for
    few rows would cost a lot."""
    return any(
        len(value) > MOST_PREPARED
        for value in parameters
        if not isinstance(value, int | float | str | bytes)
    )


def _collect(
    pgconn: PGconn, expected: Sequence[Answer | None], patience: float | None
) -> PGresult | None:
    """Give the answers their results, up to the one of the sync; returns the first wrong one."""
    wrong: PGresult | None = None
    waiting = select.poll()
    waiting.register(pgconn.socket, select.POLLIN)
    sending = pgconn.flush()
    while sending:
        both = select.poll()
        both.register(pgconn.socket, select.POLLIN | select.POLLOUT)
        _wait(both, patience)
        pgconn.consume_input()
        sending = pgconn.flush()
    for answer in (*expected, None):  # The last one is the sync's.
        result = _next(pgconn, waiting, patience)
        if result is None:
            raise psycopg.OperationalError("The server ended the connection.")
        if result.status in GONE:
            wrong = wrong or result
        elif answer is not None:
            answer._result = result
        if result.status != ExecStatus.PIPELINE_SYNC:
            _next(pgconn, waiting, patience)  # Each statement's results end with none.
    return wrong


def _next(pgconn: PGconn, waiting: "select.poll", patience: float | None) -> PGresult | None:
    while pgconn.is_busy():
        _wait(waiting, patience)
        pgconn.consume_input()
    if pgconn.status == ConnStatus.BAD:
        raise psycopg.OperationalError(pgconn.get_error_message())
    return pgconn.get_result()


def _wait(waiting: "select.poll", patience: float | None) -> None:
    with turns.of_batches.lent():
        ready = waiting.poll(None if patience is None else patience * 1000)
    if not ready:
        raise psycopg.OperationalError(f"The server has not answered for {patience:g} s.")


@lru_cache(maxsize=256)
def _numbered(sql: str) -> bytes:
    """`%s` as `$1`, `$2`, ..., as the server takes them."""
    first, *others = sql.split("%s")
    return (first + "".join(f"${i}{part}" for i, part in enumerate(others, 1))).encode()


def _encoded(value: Parameter) -> tuple[bytes, int]:
    """(what is sent, its format)."""
    if isinstance(value, str):
        return value.encode(), AS_TEXT
    if isinstance(value, bytes):
        return value, AS_BINARY
    if isinstance(value, int | float):
        return repr(value).encode(), AS_TEXT
    return _array(value), AS_BINARY


def _array(values: Sequence[str] | Sequence[bytes]) -> bytes:
    """A one-dimensional text[] or bytea[] in PostgreSQL's binary form."""
    parts = [value.encode() if isinstance(value, str) else value for value in values]
    oid = TEXT_OID if all(isinstance(value, str) for value in values[:1]) else BYTES_OID
    found = [ARRAY.pack(1, 0, oid, len(parts), 1)] if parts else [LENGTH.pack(0) * 2]
    if not parts:
        found.append(LENGTH.pack(oid))
    for part in parts:
        found += (LENGTH.pack(len(part)), part)
    return b"".join(found)
