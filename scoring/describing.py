"""A declaration in words: fields and their limits, features, an example event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scoring.core.aggregates import RISKS
from scoring.core.reasons import duration, number
from scoring.core.spec import DetectorSpec
from scoring.core.transformations import FeatureSpec

CALENDAR_WORDS = {
    "hour": "local hour of the day",
    "hour_sin": "local hour as a point on the clock (sine)",
    "hour_cos": "local hour as a point on the clock (cosine)",
    "weekday": "day of the week, Monday is 0",
    "weekday_sin": "point in the week (sine)",
    "weekday_cos": "point in the week (cosine)",
    "weekend": "1 on Saturday and Sunday, else 0",
    "night": "1 from 00:00 to 06:59 local time, else 0",
}
STATISTIC_WORDS = {
    "sum": "sum",
    "mean": "mean",
    "std": "standard deviation",
    "min": "smallest",
    "max": "largest",
}


@dataclass(frozen=True, slots=True)
class FieldLine:
    """One field of an event. `role`: what the platform uses it for, if anything special."""

    name: str
    kind: str
    limits: str
    role: str
    required: bool
    personal: bool


def field_lines(spec: DetectorSpec) -> list[FieldLine]:
    """The event schema as lines of a table, in the order of the declaration."""
    required = set(spec.schema.get("required", ()))
    roles = [
        (spec.id_field, "id, scored once"),
        (spec.time_field, "event time"),
        (spec.amount_field, "amount at risk"),
        (spec.currency_field, "currency"),
        (spec.entity_field, f"the {spec.entity_word} that alerts are about"),
    ]
    if spec.screening is not None:
        roles += [
            (spec.screening.name_field, "name, screened"),
            (spec.screening.country_field, "country, screened"),
            (spec.screening.birth_date_field, "date of birth, screened"),
        ]
    return [
        FieldLine(
            name=name,
            kind=_kind(rule),
            limits=_limits(rule),
            role="; ".join(role for field, role in roles if field == name),
            required=name in required,
            personal=name in spec.pii_fields,
        )
        for name, rule in spec.schema["properties"].items()
    ]


def _kind(rule: Mapping[str, Any]) -> str:
    forms = {
        "date-time": "time (ISO 8601)",
        "date": "day (1962-11-23)",
        "country": "country (ISO 3166-1)",
        "time-of-day": "time of day (23:15)",
    }
    return forms.get(rule.get("format", ""), str(rule["type"]))


def _limits(rule: Mapping[str, Any]) -> str:
    parts = []
    if "enum" in rule:
        parts.append("one of " + ", ".join(str(value) for value in rule["enum"]))
    if "exclusiveMinimum" in rule:
        parts.append(f"above {number(rule['exclusiveMinimum'])}")
    if "minimum" in rule:
        parts.append(f"from {number(rule['minimum'])}")
    if "maximum" in rule:
        parts.append(f"to {number(rule['maximum'])}")
    if "maxLength" in rule:
        shortest, longest = rule.get("minLength", 0), rule["maxLength"]
        span = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
        parts.append(f"{span} characters")
    return ", ".join(parts).replace(", to", " to")


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """One position of the feature vector and what it means."""

    place: int
    name: str
    meaning: str
    source: str


def feature_lines(spec: DetectorSpec) -> list[FeatureLine]:
    """Every feature in the order of the vector."""
    return [
        FeatureLine(place, feature.name, meaning(feature), _source(feature))
        for place, feature in enumerate(spec.features)
    ]


def _source(feature: FeatureSpec) -> str:
    if feature.kind in ("numeric", "category"):
        return "event"
    if feature.kind in RISKS:
        return f"labels of the {_word(feature.entity)}"
    if feature.kind in ("calendar", "clock_sin", "clock_cos"):
        return "clock"
    return f"history of the {_word(feature.entity)}"


def meaning(feature: FeatureSpec) -> str:
    """A feature in plain words."""
    name, who = feature.label or _word(feature.field), _word(feature.entity)
    window = duration(feature.window) if feature.window else ""
    own = "" if feature.include_current else ", this event left out"
    if feature.offset:
        own = f", ending {duration(feature.offset)} before the event"
    usual = f"{window}{own}" if feature.offset else f"the {window} before"
    words = {
        "numeric": f"{name}, as sent",
        "category": f"{name}, as a category",
        "calendar": CALENDAR_WORDS.get(feature.field, ""),
        "clock_sin": f"{name} as a point on the clock (sine)",
        "clock_cos": f"{name} as a point on the clock (cosine)",
        "risk": f"share of this {who}'s events in {window}{own} that are known as fraud by now",
        "newest_risk": f"1 if this {who}'s newest event in {window}{own} is known as fraud by now",
        "since_risk": f"seconds since this {who}'s first event in {window}{own} that is known as"
        " fraud by now",
        "changes": f"changes of {name} of this {who} per hour, over {window}",
        "since_last": f"seconds since the {who}'s last event, at most {window}",
        "ratio": f"{name}, divided by the {who}'s mean over {usual}",
        "deviation": f"{name}, in standard deviations from the {who}'s mean over {usual}",
        "peak": f"largest {name} of this {who} in {duration(feature.recent)}, divided by the mean"
        f" over {usual}",
        "count": f"events of this {who} in {window}{own}",
        "distinct": f"different {name} values of this {who} in {window}{own}",
    }
    statistic = STATISTIC_WORDS.get(feature.kind, feature.kind)
    return words.get(feature.kind) or f"{statistic} of {name} of this {who} over {window}{own}"


def _word(field: str) -> str:
    return field.replace("_", " ").lower().removesuffix(" id")


def example_event(spec: DetectorSpec, *, at: datetime) -> dict[str, Any]:
    """An event that the schema accepts: what is required, and what has a role; where there is
    nothing of either, every field."""
    properties = spec.schema["properties"]
    wanted = {
        *spec.schema.get("required", ()),
        spec.id_field,
        spec.time_field,
        spec.amount_field,
        spec.entity_field,
    }
    chosen = properties.keys() & wanted or properties.keys()
    return {name: _example(name, rule, at) for name, rule in properties.items() if name in chosen}


def _example(name: str, rule: Mapping[str, Any], at: datetime) -> Any:
    if "enum" in rule:
        return next((value for value in rule["enum"] if value is not None), None)
    if rule["type"] == "boolean":
        return True
    if rule["type"] in ("number", "integer"):
        low = rule.get("minimum", rule.get("exclusiveMinimum", 0))
        high = rule.get("maximum", max(low, 0) + 100)
        low = 0 if low < 0 < high else low  # An ordinary amount is not the largest refund.
        value = low + min((high - low) / 2, 42)
        return round(value) if rule["type"] == "integer" else round(float(value), 2)
    if rule.get("format") == "date-time":
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if rule.get("format") == "date":
        return "1962-11-23"
    if rule.get("format") == "country":
        return "DE"
    if rule.get("format") == "time-of-day":
        return "23:15"
    text = f"{_word(name).replace(' ', '-')}-1"
    return text.ljust(rule.get("minLength", 0), "x")[: rule.get("maxLength", len(text))]


def curl_example(spec: DetectorSpec, *, url: str, at: datetime) -> str:
    """A request that scores the example event, ready to paste."""
    body = json.dumps(example_event(spec, at=at), indent=2)
    return (
        "curl -X POST \\\n"
        f"  {url} \\\n"
        "  -H 'Authorization: Token YOUR_KEY' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'"
    )
