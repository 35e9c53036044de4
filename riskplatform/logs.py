"""Where the log goes, and what it says of requests."""

import logging
import re
from collections.abc import Iterator
from typing import Any

from django.db.utils import Error

VALUES = re.compile(r"(\\n|\n)(DETAIL:|CONTEXT:|LINE \d+:).*", re.DOTALL)
"""What a database's error says below its first line: the row, or the statement with its values."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def logging_of(level: str) -> dict[str, Any]:
    """Django's LOGGING: everything from `level` on to the console, a line each."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "riskplatform.logs.WithoutRows",
                "format": "{asctime} {levelname} {name}: {message}",
                "style": "{",
            }
        },
        "filters": {
            "refused": {"()": "riskplatform.logs.WithoutTracebacks"},
            "database": {"()": "riskplatform.logs.DatabaseInOneLine"},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                # Here, not at a logger: what is refused is told under many names (django.request,
                # django.security.DisallowedHost, ...).
                "filters": ["refused"],
            }
        },
        "loggers": {
            "fontTools": {"level": "WARNING"},  # one line a glyph table of every PDF
            "django_celery_beat.schedulers": {"filters": ["database"]},  # again with every task
        },
        "root": {"handlers": ["console"], "level": level},
    }


class WithoutRows(logging.Formatter):
    """Of what a database says only the first line: the others hold the row that it refused, with
    the personal data in it."""

    def __init__(self, format: str, style: str) -> None:
        super().__init__(format, style=style)  # type: ignore[arg-type]

    def formatMessage(self, record: logging.LogRecord) -> str:
        return VALUES.sub("", super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        told = super().formatException(ei)
        for error in _chain(ei[1], set()):
            if isinstance(error, Error) or hasattr(error, "diag"):  # Django's, and psycopg's own.
                said = str(error)
                told = told.replace(said, said.partition("\n")[0])
        return told


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """An exception, what it came of, and what it holds together."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for inner in (error.__cause__, error.__context__, *parts):
        yield from _chain(inner, seen)


class WithoutTracebacks(logging.Filter):
    """A request that was refused (4xx) is one line: nothing of ours broke. A 5xx keeps all."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
        return True


class DatabaseInOneLine(logging.Filter):
    """For a logger whose message says what the database said: on a full disk, or while the database
    is away, a line and no traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], Error):
            record.exc_info = record.exc_text = None
        return True
