"""Tables as CSV: streamed, and harmless in a spreadsheet.

A text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV
injection), and so does what follows a semicolon, a tab or a new line in it: LibreOffice, and Excel
in half of Europe, begin a cell there. Numbers stay numbers, times are UTC.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

LONGEST_CELL = 32_000
_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001
DANGEROUS = (*_STARTS, "\t", "\r", "\n")
_NEXT_CELL = re.compile(f'([;\\t\\r\\n][ "]*)(?=[{re.escape("".join(_STARTS))}])')
Cell = str | int | float | Decimal | datetime | None


def safe(value: Cell) -> Cell:
    """The value as a cell may hold it."""
    if not isinstance(value, str):
        return value
    # What no cell of XLSX (XML 1.0) can hold goes.
    text = "".join(c for c in value if c >= " " or c in "\t\n\r")[:LONGEST_CELL]
    text = _NEXT_CELL.sub(r"\1'", text)[:LONGEST_CELL]
    return f"'{text}" if text.startswith(DANGEROUS) else text


class _Echo:
    """A file that gives back what is written to it, for the CSV writer."""

    def write(self, text: str) -> str:
        return text


def csv_stream(head: Sequence[str], lines: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The table as CSV, a part at a time; it begins with a mark that tells Excel it is UTF-8."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(head)
    for line in lines:
        yield writer.writerow([_text(safe(cell)) for cell in line])


def _text(cell: Cell) -> Any:
    if isinstance(cell, datetime):
        return f"{cell.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return "" if cell is None else cell
