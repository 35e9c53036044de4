"""Where the log goes, and what it says of requests."""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.utils import Error

WORDS = """
DETAIL DÉTAIL DETALLE DETALHE DETTAGLI DETALJ SZCZEGÓŁY ПОДРОБНОСТИ ДЕТАЛІ დეტალი 상세정보 描述
CONTEXT CONTEXTE CONTEXTO CONTESTO KONTEXT KONTEKST КОНТЕКСТ კონტექსტი 구문 背景
LINE LIGNE ZEILE LÍNEA LINHA RIGA RAD LINIA ŘÁDKA СТРОКА РЯДОК ΓΡΑΜΜΗ ხაზი 줄 行
"""  # noqa: RUF001
"""With which PostgreSQL's client begins a line that holds values, in the languages it speaks."""
VALUES = re.compile(rf"(\\n|\n)(({'|'.join(WORDS.split())})(\s?\d+)?\s?:|第\d+行).*", re.DOTALL)
"""What a database's error says below its first line: the row, or the statement with its values."""
MOST_LETTERS = 20_000
"""Of a database's error that is looked for line by line; of a log entry with a longer one nothing
is told behind its first line."""
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
        values = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
        errors = [value for value in values if isinstance(value, BaseException)]
        if record.exc_info and record.exc_info[1]:
            errors.append(record.exc_info[1])
        return VALUES.sub("", _without_rows(super().formatMessage(record), *errors))

    def formatException(self, ei: Any) -> str:
        return _without_rows(super().formatException(ei), ei[1])


def _without_rows(told: str, *errors: BaseException) -> str:
    """`told`, with the first line alone of what a database says in them, in any language."""
    seen: set[int] = set()
    for error in (found for given in errors for found in _chain(given, seen)):
        if isinstance(error, Error) or hasattr(error, "diag"):  # Django's, and psycopg's own.
            said = str(error).rstrip()
            first, *rest = said.splitlines(keepends=True) or [""]
            if len(said) > MOST_LETTERS:
                told = told.partition(first.rstrip())[0] + first.rstrip()
            elif rest:
                kept = first.splitlines()[0]
                lines = [_as_told(first[len(kept) :]), *map(_as_told, rest)]
                # Between them is the margin that the traceback of an exception group has.
                told = re.sub(f"({_as_told(kept)}){'[ |]*'.join(lines)}", r"\1", told)
    return told


def _as_told(line: str) -> str:
    """A pattern for a line as it is, and as `repr`, once or again, has it in another text."""
    escaped = re.escape(repr(f'"{line}')[2:-1])  # The quotation mark: so that each ' has its \.
    # As many as there are, without a second try: else a row full of them takes for ever.
    escaped = re.sub(r"(?:\\\\)+", lambda _: r"\\++", escaped).replace(r"\\++'", r"\\*+'")
    return f"(?:{re.escape(line)}|{escaped})"


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
