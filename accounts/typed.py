"""What somebody typed into an address, a form or a variable, if a database can hold it.

Python reads numbers of thousands of digits and days of the year 1; databases and sums of days do
not.
"""

from datetime import UTC, date, datetime
from typing import Final

from django.utils.dateparse import parse_date, parse_datetime

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9000
FLAGS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def is_whole(text: str, digits: int = 18) -> bool:
    """A whole number of at most so many digits: 18 fit into a key, 9 into a count."""
    return text.isascii() and text.isdecimal() and len(text) <= digits


def storable(text: str) -> str:
    """The text as every database keeps it: without NUL, with ? for what is no character."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def parse_flag(text: str) -> bool | None:
    """True or false in any of the usual words; None for anything else."""
    return FLAGS.get(text.strip().lower())


def is_plausible(day: date) -> bool:
    """Whether days can be added to and taken from it."""
    return FIRST_YEAR <= day.year <= LAST_YEAR


def parse_day(text: str) -> date | None:
    """The day of `2026-01-31`; None for anything else."""
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found is not None and is_plausible(found) else None


def parse_moment(text: str) -> datetime | None:
    """The aware moment of an ISO 8601 text, in UTC; None for anything else."""
    try:
        found = parse_datetime(text)
        if found is None or found.tzinfo is None or not is_plausible(found):
            return None
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
