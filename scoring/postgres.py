"""Statements for the hot path on PostgreSQL, straight to psycopg and inside Django's transaction.

Django binds parameters into the text of a statement: bytes become hex, a thousand ids a thousand
marks. Here they travel beside it in binary, lists as arrays, and a statement is parsed and planned
once a connection. Errors are Django's all the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

Row = tuple[Any, ...]


def is_used() -> bool:
    """Whether the database is PostgreSQL."""
    return connection.vendor == "postgresql"


def execute(sql: str, parameters: Sequence[Any]) -> "psycopg.Cursor[Row]":
    """Run one statement; results come in binary form, bytes as bytes."""
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(_raw())
        cursor.execute(
            sql.encode(), parameters, prepare=settings.DATABASE_PREPARED_STATEMENTS, binary=True
        )
        return cursor


@contextmanager
def pipeline() -> Iterator[None]:
    """The statements of the block go out together; whoever fetches first waits for all."""
    with connection.wrap_database_errors, _raw().pipeline():
        yield


def trust() -> None:
    """Spare this request the question whether its connection still lives.

    For who notices a dead one, and tries again on a new one.
    """
    connection.health_check_done = True  # type: ignore[attr-defined]


def copy(sql: str, rows: Iterator[Sequence[Any]]) -> None:
    """`COPY ... FROM STDIN` of rows."""
    with connection.wrap_database_errors, psycopg.Cursor(_raw()).copy(sql.encode()) as writing:
        for row in rows:
            writing.write_row(row)


def _raw() -> "psycopg.Connection[Row]":
    connection.ensure_connection()
    found: psycopg.Connection[Row] = connection.connection
    return found
