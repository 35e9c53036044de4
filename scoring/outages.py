"""What people are told of a database that failed: that it is away, or that its disk is full.

The one passes by itself, the other waits for somebody to make room, and whoever reads an answer has
to know which it is.
"""

import sqlite3

from django.db import OperationalError

GONE = "The database is unavailable for the moment."
FULL = "The disk of the database is full: nothing can be stored until there is room."
DISK_FULL = "53100"
"""https://www.postgresql.org/docs/current/errcodes-appendix.html"""


class LeftAlone(OperationalError):
    """A database that failed of late is not asked for a while; `told` is why, GONE or FULL."""

    def __init__(self, told: str) -> None:
        self.told = told or GONE
        super().__init__(f"{self.told} It failed of late and is left alone for a while.")


def told_of(error: Exception) -> str:
    """GONE or FULL, by what the driver said."""
    if isinstance(error, LeftAlone):
        return error.told
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK)
    full = getattr(cause, "sqlstate", "") == DISK_FULL or code & 0xFF == sqlite3.SQLITE_FULL
    return FULL if full else GONE
