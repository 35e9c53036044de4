"""Validate a raw event against its detector's schema (a subset of JSON Schema).

Supported keywords: type (string, number, integer, boolean), minimum, exclusiveMinimum, maximum,
enum, minLength, maxLength, format (date-time, country, time-of-day), required. Fields that the
schema does not name are kept when they are plain values: a client may send more than is read.
"""

import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from scoring.core.spec import DetectorSpec
from scoring.core.types import Event

MAX_FIELDS = 256
MAX_TEXT = 1000
MAX_ID = 200
FUTURE_SECONDS = 86400.0
EARLIEST = 0.0
MAX_NUMBER = float(2**53)
"""Beyond it a float64 no longer tells whole numbers apart."""

CLOCK_TIME = re.compile(r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$", re.ASCII)

Check = Callable[[Any], str | None]
Keyed = Callable[[str, str], str]
"""What stands for an entity: its field and its text -> the key."""


class SchemaError(ValueError):
    """An event that cannot be scored. `problems` is a list of (field, message), one per field."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{field}: {message}" for field, message in problems))


@lru_cache(maxsize=8)
def parse_time(text: str) -> tuple[float, float]:
    """(seconds since 1970 UTC, UTC offset in seconds) of an ISO-8601 time; none given means UTC.

    Remembered for a moment: an event's time is read by its check, and again for the event. Raises
    ValueError when the text is no time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    offset = moment.utcoffset()
    return moment.timestamp(), offset.total_seconds() if offset else 0.0


def as_whole(value: Any) -> Any:
    """5.0 as 5: clients that repeat a value may write it in another way. Others as they are."""
    if type(value) is float and value.is_integer() and abs(value) <= MAX_NUMBER:
        return int(value)
    return value


def key_text(value: Any) -> str:
    """A value of an event as an id, or as the key of an entity: 5 and 5.0 are one."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return str(value)


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
    form = rule.get("format", "")

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "must be a string"
        if "\x00" in value:
            return "must not hold a NUL character"
        if len(value) < shortest:
            return f"must have at least {shortest} character{'s' if shortest > 1 else ''}"
        if len(value) > longest:
            return f"must have at most {longest} characters"
        if form == "date-time":
            try:
                parse_time(value)
            except (ValueError, OverflowError):
                return "must be an ISO-8601 time such as 2026-11-21T09:30:00+01:00"
        if form == "time-of-day" and not CLOCK_TIME.match(value):
            return "must be a time of day such as 23:15"
        if form == "country" and not (len(value) == 2 and value.isascii() and value.isalpha()):
            return "must be a two-letter country code (ISO 3166-1)"
        return None

    return check


def _boolean(rule: Mapping[str, Any]) -> Check:
    return lambda value: None if isinstance(value, bool) else "must be true or false"


def _enum(rule: Mapping[str, Any]) -> Check:
    allowed, typed = rule["enum"], CHECKS[rule["type"]](rule)
    text = ", ".join(str(value) for value in allowed)
    return lambda value: typed(value) or (None if value in allowed else f"must be one of {text}")


CHECKS: dict[str, Callable[[Mapping[str, Any]], Check]] = {
    "number": _number,
    "integer": _number,
    "string": _string,
    "boolean": _boolean,
}


def _extra(value: Any) -> str | None:
    """A field that the schema does not name: any plain value of a sane size."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _string({})(value)
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return "must be a finite number"
        return None if abs(value) <= MAX_NUMBER else "is out of range"
    return "is not a field of this detector and not a plain value"


def _as_sent(field: str, text: str) -> str:
    return text


class EventParser:
    """The compiled schema of one detector: `parse(raw, received) -> Event`."""

    def __init__(self, spec: DetectorSpec) -> None:
        self.spec = spec
        self.required = tuple(spec.schema.get("required", ()))
        properties = spec.schema["properties"]
        self.whole = tuple(n for n, rule in properties.items() if rule["type"] == "integer")
        self.checks: dict[str, Check] = {
            name: _enum(rule) if "enum" in rule else CHECKS[rule["type"]](rule)
            for name, rule in properties.items()
        }

    def problems(self, raw: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Every offending field, once, with what is wrong."""
        if len(raw) > MAX_FIELDS:
            return [("", f"an event has at most {MAX_FIELDS} fields")]
        found = [(name, "is required") for name in self.required if raw.get(name) is None]
        for name, value in raw.items():
            if value is None or not isinstance(name, str):
                continue
            check = self.checks.get(name)
            if check is None and "\0" in name:
                found.append((name.replace("\0", "")[:MAX_ID], "has a name with a NUL character"))
                continue
            message = (check or _extra)(value)
            if message:
                found.append((name[:MAX_ID], message))
        return found

    def parse(self, raw: object, received: float, keyed: Keyed = _as_sent) -> Event:
        """Validate; whole numbers become integers. `received`: seconds since 1970, UTC.

        `keyed` makes the event's entity keys from what was sent. Raises SchemaError.
        """
        if not isinstance(raw, Mapping):
            raise SchemaError([("", "an event is a JSON object")])
        problems = self.problems(raw)
        wrong = {name for name, _ in problems}
        if "" in wrong:  # Too many fields to look at each.
            raise SchemaError(problems)
        spec = self.spec
        fields = {n: value for n, value in raw.items() if value is not None and n not in wrong}
        for name in self.whole:
            if type(fields.get(name)) is float:
                fields[name] = as_whole(fields[name])
        time, offset = received, 0.0
        if spec.time_field in fields:
            time, offset = parse_time(fields[spec.time_field])
            if not EARLIEST <= time <= received + FUTURE_SECONDS:
                problems.append((spec.time_field, "lies before 1970 or over a day ahead"))
        said = fields.get(spec.id_field)
        external_id = uuid.uuid4().hex if said is None else key_text(said)
        if not 0 < len(external_id) <= MAX_ID:
            problems.append((spec.id_field, f"must have 1 to {MAX_ID} characters"))
        if problems:
            raise SchemaError(problems)
        amount = fields.get(spec.amount_field)
        return Event(
            external_id=external_id,
            time=time,
            received=received,
            utc_offset=offset,
            amount=None if amount is None else float(amount),
            currency=str(fields.get(spec.currency_field, spec.currency)),
            fields=fields,
            keys={k: keyed(k, key_text(fields[k])) for k in spec.entity_fields if k in fields},
        )
