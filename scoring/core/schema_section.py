"""The `event.schema` section of a declaration: every keyword is one that events are checked by.

What would be passed over is told, and bounds that no value lies between. `schema` checks events by
it.
"""

from collections.abc import Mapping
from typing import Any, Final

from scoring.core.field_checks import FORMATS, bounds_check
from scoring.core.reader import Reader
from scoring.core.shape import is_number

NOTES: Final = ("title", "description", "examples", "$comment")
"""Keywords that are for whoever reads the declaration, and check nothing."""
_OF_NUMBERS: Final = ("minimum", "exclusiveMinimum", "maximum")
OF_TYPE: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("minLength", "maxLength", "format"),
    "number": _OF_NUMBERS,
    "integer": _OF_NUMBERS,
    "boolean": (),
}
"""Keywords by which a field of each type is checked, beside `type` and `enum`."""
MOST_LENGTH: Final = 2**31
MOST_FIELD_NAME: Final = 64
"""Lists and snoozes are stored by a field's name."""


def check_schema(read: Reader, schema: Mapping[str, Any]) -> None:
    """Note every mistake. What was taken in before stays readable."""
    if read.stored:
        return
    read.only("event.schema", schema, ("type", "required", "properties", *NOTES))
    if schema.get("type", "object") != "object":
        read.bad("event.schema.type", "is object: an event has fields")
    for name, rule in read.fields.items():
        _check_field(read, f"event.schema.properties.{name}", name, rule)


def _check_field(read: Reader, place: str, name: str, rule: Mapping[str, Any]) -> None:
    kind, before = str(rule["type"]), len(read.problems)
    if len(name) > MOST_FIELD_NAME:
        read.bad(place, f"the name of a field has at most {MOST_FIELD_NAME} characters")
    for key in sorted({*rule} - {"type", "enum", *OF_TYPE[kind], *NOTES}):
        known = ", ".join(("enum", *OF_TYPE[kind]))
        read.bad(f"{place}.{key}", f"is not checked: a field of type {kind} takes {known}")
    for key in ("minLength", "maxLength"):
        if key in rule and not (isinstance(rule[key], int) and 0 <= rule[key] < MOST_LENGTH):
            read.bad(f"{place}.{key}", "is a whole number from 0")
    if kind == "string" and "format" in rule and str(rule["format"]) not in FORMATS:
        read.bad(f"{place}.format", f"'{rule['format']}' is none of {', '.join(FORMATS)}")
    _check_bounds(read, place, rule)
    _check_enum(read, f"{place}.enum", kind, rule.get("enum"))
    if len(read.problems) == before:
        _check_entries(read, f"{place}.enum", rule)


def _check_bounds(read: Reader, place: str, rule: Mapping[str, Any]) -> None:
    """No event can lie between bounds that cross."""
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength")):
        if low in rule and high in rule and rule[low] > rule[high]:
            read.bad(f"{place}.{high}", f"lies below {low}: every event would be refused")
    over = "exclusiveMinimum"
    if over in rule and "maximum" in rule and rule[over] >= rule["maximum"]:
        read.bad(f"{place}.maximum", f"does not lie above {over}: every event would be refused")


def _check_enum(read: Reader, place: str, kind: str, allowed: list[Any] | None) -> None:
    """Only values of the field's type can come. Null says that the field is left out."""
    if allowed is not None and all(value is None for value in allowed):
        read.bad(place, "needs a list with at least one entry")
    odd = [value for value in allowed or () if value is not None and not _is_a(kind, value)]
    if odd:
        told = str(odd[0]).lower() if isinstance(odd[0], bool) else odd[0]
        hint = ": put it in quotes (YAML reads no and off as false)" if kind == "string" else ""
        read.bad(place, f"'{told}' is no {kind}{hint}")


def _check_entries(read: Reader, place: str, rule: Mapping[str, Any]) -> None:
    """An entry that the field's own bounds refuse can never come."""
    check = bounds_check(rule)
    for value in rule.get("enum", ()):
        if value is not None and (said := check(value)):
            read.bad(place, f"'{value}' can never come: by the field's own bounds it {said}")
            return


def _is_a(kind: str, value: object) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if not isinstance(value, int | float) or not is_number(value):
        return False
    return kind == "number" or value == int(value)
