"""The outer shape of a detector's declaration: mappings where mappings belong, known types.

Checked before `spec.parse_spec` reads the content, so that the content can be read without fear.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

FIELD_TYPES = ("string", "number", "integer", "boolean")
NUMBERS = ("minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength")
PLAIN = (str, int, float, bool)
MOST_SHOWN = 40
Problems = list[tuple[str, str]]


def shape_problems(raw: object) -> Problems:
    """(place, message) of everything that has the wrong shape; empty when all is well."""
    if not isinstance(raw, Mapping):
        said = "the file is empty; " if raw is None else ""
        return [("", f"{said}a detector is a mapping, and begins with 'slug: name'")]
    found: Problems = list(odd_values(raw))
    if found:
        return found
    event = _mapping(found, raw, "event")
    _list(found, event, "event.pii")
    _list(found, event, "event.links")
    _mapping(found, event, "event.currency")
    _mapping(found, event, "event.elapsed")
    schema = _mapping(found, event, "event.schema")
    _list(found, schema, "event.schema.required")
    for name, rule in _mapping(found, schema, "event.schema.properties").items():
        _field(found, f"event.schema.properties.{name}", rule)
    features = _mapping(found, raw, "features")
    _mapping(found, features, "features.labels")
    _list(found, features, "features.immutable")
    for i, step in enumerate(_list(found, features, "features.transformations")):
        place = f"features.transformations[{i}]"
        if isinstance(step, Mapping):
            _list(found, _mapping(found, step, f"{place}.config"), f"{place}.config.distinct")
        else:
            found.append((place, "is a mapping with type and config"))
    for i, rule in enumerate(_list(found, raw, "rules")):
        _rule(found, f"rules[{i}]", rule)
    screening = _mapping(found, raw, "screening")
    for key in ("lists", "embargoed", "high_risk"):
        _list(found, screening, f"screening.{key}")
    _numbers(found, _mapping(found, raw, "costs"), "costs")
    training = _mapping(found, raw, "training")
    if not is_number(training.get("minimum_positives", 0)):
        found.append(("training.minimum_positives", "is a number"))
    if not isinstance(training.get("unlabelled_is_legitimate", True), bool):
        found.append(("training.unlabelled_is_legitimate", "is true or false"))
    _mapping(found, training, "training.imbalance")
    _guard(found, _mapping(found, training, "training.guard"))
    return found


def odd_values(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, message) of what JSON cannot hold or no number can be: YAML has more kinds."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, str):
                yield from odd_values(inner, f"{place}.{key}" if place else key)
            else:
                yield place, f"the name {key!r} is no text: put it in quotes"
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from odd_values(inner, f"{place}[{i}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield place, "is no number that can be computed with"
    elif not (value is None or isinstance(value, str | bool | int)):
        yield place, f"is neither text nor number, but {type(value).__name__}"


def _guard(found: Problems, guard: Mapping[str, Any]) -> None:
    if not isinstance(guard.get("enabled", True), bool):
        found.append(("training.guard.enabled", "is true or false"))
    numbers = {key: value for key, value in guard.items() if key not in ("enabled", "watch")}
    _numbers(found, numbers, "training.guard")


def _mapping(found: Problems, parent: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    value = parent.get(place.rpartition(".")[2], {})
    if isinstance(value, Mapping):
        return value
    shown = f"; {_quoted(value)} is none: write 'key: value' below it" if value is not None else ""
    found.append((place, f"is a mapping{shown}"))
    return {}


def _list(found: Problems, parent: Mapping[str, Any], place: str) -> list[Any]:
    value = parent.get(place.rpartition(".")[2], [])
    if isinstance(value, list):
        return value
    shown = (
        f"; {_quoted(value)} is none: write [{str(value)[:MOST_SHOWN]}]"
        if isinstance(value, PLAIN)
        else ""
    )
    found.append((place, f"is a list{shown}"))
    return []


def _quoted(value: object) -> str:
    """A value as a message shows it."""
    return f"'{str(value)[:MOST_SHOWN]}'" if isinstance(value, PLAIN) else "a list"


def is_number(value: object) -> bool:
    """Whether it is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(found: Problems, section: Mapping[str, Any], place: str) -> None:
    for key, value in section.items():
        if not is_number(value):
            found.append((f"{place}.{key}", f"is a number, and {_quoted(value)} is none"))


def _field(found: Problems, place: str, rule: object) -> None:
    if not isinstance(rule, Mapping):
        found.append((place, "is a mapping with a type"))
        return
    if rule.get("type") not in FIELD_TYPES:
        given = f", not {_quoted(rule['type'])}" if rule.get("type") is not None else ""
        found.append((f"{place}.type", f"is one of {', '.join(FIELD_TYPES)}{given}"))
    for key in NUMBERS:
        if key in rule and not is_number(rule[key]):
            found.append((f"{place}.{key}", "is a number"))
    if not isinstance(rule.get("enum", []), list):
        found.append((f"{place}.enum", "is a list"))


def _rule(found: Problems, place: str, rule: object) -> None:
    if not isinstance(rule, Mapping):
        found.append((place, "is a mapping with code, when, outcome and text"))
        return
    version = rule.get("version", 1)
    if not (isinstance(version, int) and is_number(version) and 1 <= version < 2**31):
        found.append((f"{place}.version", "is a whole number from 1"))
    _mapping(found, rule, f"{place}.parameters")
