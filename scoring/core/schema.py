"""Validate a raw event against its detector's schema (a subset of JSON Schema).

Supported keywords: type (string, number, integer, boolean), minimum, exclusiveMinimum, maximum,
enum, minLength, maxLength, format (see `field_checks.FORMATS`), required. Fields that the schema
does not name are kept when they are plain values: a client may send more than is read. A
declaration may say that they are dropped: then nothing of them is checked or kept.
"""

import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from scoring.core.field_checks import MAX_NUMBER, Check, field_check, parse_time
from scoring.core.json_values import with_nul, without_value
from scoring.core.spec import DetectorSpec
from scoring.core.types import Event

MAX_FIELDS = 256
MAX_ID = 200
FUTURE_SECONDS = 86400.0
EARLIEST = 0.0
ANY_TEXT = field_check({"type": "string"})
Keyed = Callable[[str, str], str]
"""What stands for an entity: its field and its text -> the key."""


class SchemaError(ValueError):
    """An event that cannot be scored. `problems` is a list of (field, message), one per field."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{field}: {message}" for field, message in problems))


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


def _extra(value: Any) -> str | None:
    """A field that the schema does not name: any plain value of a sane size."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return ANY_TEXT(value)
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return "must be a finite number"
        return None if abs(value) <= MAX_NUMBER else "is out of range"
    return "is not a field of this detector and not a plain value"


def as_sent(field: str, text: str) -> str:
    return text


class EventParser:
    """The compiled schema of one detector: `parse(raw, received) -> Event`."""

    def __init__(self, spec: DetectorSpec) -> None:
        self.spec = spec
        self.required = tuple(spec.schema.get("required", ()))
        properties = spec.schema["properties"]
        self.whole = tuple(n for n, rule in properties.items() if rule["type"] == "integer")
        self.checks: dict[str, Check] = {
            name: field_check(rule) for name, rule in properties.items()
        }

    def without_unread(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The event without objects and lists that no field of the schema is, for senders that are
        used to have them passed over. What could not even be kept stays, to be told."""
        nested = {n: v for n, v in raw.items() if isinstance(v, dict | list)}
        if not nested:
            return raw
        odd = {place.partition(".")[0] for place in (*without_value(nested), *with_nul(nested))}
        return {
            n: value for n, value in raw.items() if n not in nested or n in self.checks or n in odd
        }

    def _looked_at(self, raw: Mapping[str, Any]) -> int:
        """How many fields of an event are checked: none that is dropped."""
        return len(self.checks.keys() & raw.keys()) if self.spec.drops_undeclared else len(raw)

    def problems(self, raw: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Every offending field, once, with what is wrong."""
        if len(raw) > MAX_FIELDS and self._looked_at(raw) > MAX_FIELDS:
            return [("", f"an event has at most {MAX_FIELDS} fields")]
        found = [(name, "is required") for name in self.required if raw.get(name) is None]
        for name, value in raw.items():
            if value is None or not isinstance(name, str):
                continue
            check = self.checks.get(name)
            if check is None and self.spec.drops_undeclared:
                continue
            if check is None and "\0" in name:
                found.append((name.replace("\0", "")[:MAX_ID], "has a name with a NUL character"))
                continue
            message = (check or _extra)(value)
            if message:
                found.append((name[:MAX_ID], message))
        return found

    def parse(self, raw: object, received: float, keyed: Keyed = as_sent) -> Event:
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
        if spec.drops_undeclared:
            fields = {n: value for n, value in fields.items() if n in self.checks}
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
            currency=spec.currency_said(fields.get(spec.currency_field)),
            fields=fields,
            keys={k: keyed(k, key_text(fields[k])) for k in spec.entity_fields if k in fields},
        )
