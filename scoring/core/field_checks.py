"""What the schema of an event says of one field -> a check of its values, compiled once.

`schema` checks events by them, `schema_section` what a declaration says of its own fields.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

MAX_TEXT = 1000
MAX_NUMBER = float(2**53)
"""Beyond it a float64 no longer tells whole numbers apart."""

CLOCK_TIME = re.compile(r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$", re.ASCII)

DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

Check = Callable[[Any], str | None]
"""A value -> what is wrong with it, None where nothing is."""


@lru_cache(maxsize=8)
def parse_time(text: str) -> tuple[float, float]:
    """(seconds since 1970 UTC, UTC offset in seconds) of an ISO-8601 time; none given means UTC.

    Letters may be small, as RFC 3339 has it. Remembered for a moment: an event's time is read by
    its check, and again for the event. Raises ValueError when the text is no time.
    """
    moment = datetime.fromisoformat(text.upper() if text.endswith("z") else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    offset = moment.utcoffset()
    return moment.timestamp(), offset.total_seconds() if offset else 0.0


def _is_time(text: str) -> bool:
    try:
        return bool(parse_time(text))
    except (ValueError, OverflowError):
        return False


def _is_day(text: str) -> bool:
    """ISO 8601 knows other forms; this one alone is what people write."""
    try:
        return DAY.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_country(text: str) -> bool:
    return len(text) == 2 and text.isascii() and text.isalpha()


def _is_clock_time(text: str) -> bool:
    return CLOCK_TIME.match(text) is not None


FORMATS: dict[str, tuple[Callable[[str], bool], str]] = {
    "date-time": (_is_time, "an ISO-8601 time such as 2026-11-21T09:30:00+01:00"),
    "date": (_is_day, "a day such as 1962-11-23"),
    "country": (_is_country, "a two-letter country code (ISO 3166-1)"),
    "time-of-day": (_is_clock_time, "a time of day such as 23:15"),
}
"""What a text of each format is, tested and in words."""


def _number(rule: Mapping[str, Any]) -> Check:
    whole = rule["type"] == "integer"
    low, over = rule.get("minimum", -MAX_NUMBER), rule.get("exclusiveMinimum", -math.inf)
    high = rule.get("maximum", MAX_NUMBER)

    def check(value: Any) -> str | None:
        kind = type(value)
        # Nearly every value is fine: one look. NaN and infinities are not finite, bool is no int.
        if (
            (kind is float or kind is int)
            and low <= value <= high
            and value > over
            and math.isfinite(value)
            and (not whole or value == int(value))
        ):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        if not math.isfinite(value):
            return "must be a finite number"
        if whole and value != int(value):
            return "must be a whole number"
        if value <= over:
            return f"must be greater than {over:g}"
        if value < low:
            return f"must be at least {low:g}"
        if value > high:
            return f"must be at most {high:g}"
        return None

    return check


def _string(rule: Mapping[str, Any]) -> Check:
    shortest, longest = rule.get("minLength", 0), rule.get("maxLength", MAX_TEXT)
    form = FORMATS.get(str(rule.get("format", "")))

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "must be a string"
        if "\x00" in value:
            return "must not hold a NUL character"
        if len(value) < shortest:
            return f"must have at least {shortest} character{'s' if shortest > 1 else ''}"
        if len(value) > longest:
            return f"must have at most {longest} characters"
        return None if form is None or form[0](value) else f"must be {form[1]}"

    return check


def _boolean(rule: Mapping[str, Any]) -> Check:
    return lambda value: None if isinstance(value, bool) else "must be true or false"


def _enum(rule: Mapping[str, Any]) -> Check:
    allowed, typed = rule["enum"], bounds_check(rule)
    text = ", ".join(str(value) for value in allowed)
    return lambda value: typed(value) or (None if value in allowed else f"must be one of {text}")


_CHECKS: dict[str, Callable[[Mapping[str, Any]], Check]] = {
    "number": _number,
    "integer": _number,
    "string": _string,
    "boolean": _boolean,
}


def bounds_check(rule: Mapping[str, Any]) -> Check:
    """By a field's type, bounds and format, whatever its enum says."""
    return _CHECKS[rule["type"]](rule)


def field_check(rule: Mapping[str, Any]) -> Check:
    """By everything that is said of a field."""
    return _enum(rule) if "enum" in rule else bounds_check(rule)
