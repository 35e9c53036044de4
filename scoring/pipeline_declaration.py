"""A feature pipeline as declared: with the source whose events it reads it makes a detector.

name: Transaction Features
source: credit-card-transactions     # may be left out where only one can be meant
transformations: [...]               # and labels, immutable: as under `features` of a detector
event: {id: order, time: at}         # roles of fields, where their names do not tell them

The schema and the personal data are the source's. docs/detectors.md says what is made of them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from scoring.core.field_checks import FORMATS
from scoring.core.reader import NUMBERS, SpecError
from scoring.core.schema_section import OF_TYPE
from scoring.core.shape import FIELD_TYPES, odd_values
from scoring.core.spec import MOST_NAME, SLUG
from scoring.source_models import FILES, fields_read

FEATURES: Final = ("name", "transformations", "labels", "immutable")
KEYS: Final = (*FEATURES, "source", "event")
OF_THE_SOURCE: Final = ("schema", "pii", "source")
A_TIME: Final = {"format": "date-time"}
MADE_UP_ID: Final = "event_id"
"""The field in which a stream puts the place of a message whose sender gives no id."""
IDS: Final = (MADE_UP_ID, "transaction_id", "id")
TIMES: Final = ("timestamp", "event_time", "time")
Fields = dict[str, dict[str, Any]]


class DeclaredSource(Protocol):
    """What a pipeline needs to know of a source (scoring.source_models.Source is one)."""

    slug: str
    name: str
    source_type: str
    schema: Any
    pii_fields: Any
    mapping: Any


def is_pipeline(raw: object) -> bool:
    """Whether a document is a feature pipeline and not a whole detector."""
    whole = ("slug", "features")
    return (
        isinstance(raw, Mapping)
        and "transformations" in raw
        and not any(key in raw for key in whole)
    )


def pipeline_problems(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(place, message) of what is wrong with a pipeline beside its transformations."""
    yield from odd_values(raw)
    for key in raw:
        if key not in KEYS:
            yield str(key), "is not a setting of a feature pipeline"
    name, source, event = raw.get("name"), raw.get("source"), raw.get("event")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= MOST_NAME:
        yield "name", f"is a text of 1 to {MOST_NAME} characters"
    if not (source is None or isinstance(source, str)):
        yield "source", "is the slug of a source"
    if not (event is None or isinstance(event, Mapping)):
        yield "event", "is a mapping from roles to fields"
    elif event:
        for key in OF_THE_SOURCE:
            if key in event:
                yield f"event.{key}", "comes from the source and is not declared here"


def detector_slug(source: DeclaredSource) -> str:
    """The slug of the detector of a source's own: `card-payments` -> `card_payments`."""
    return source.slug.replace("-", "_")[:40]


def compose(
    raw: Mapping[str, Any], source: DeclaredSource, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The declaration of the detector that a pipeline makes of a source's events.

    `before`, the detector's earlier declaration, keeps what neither of the two says: its rules,
    costs, and the roles of its fields. Raises SpecError.
    """
    slug = detector_slug(source)
    if not SLUG.fullmatch(slug):
        said = f"'{source.slug}' makes no slug of a detector: declare the source with another slug"
        raise SpecError([("source", said)])
    before = before or {"slug": slug, "name": source.name}
    features = {key: raw[key] for key in FEATURES if raw.get(key) is not None}
    return {**before, "event": _event(raw, source, before), "features": features}


def told_of_source(
    problems: list[tuple[str, str]], source: DeclaredSource
) -> list[tuple[str, str]]:
    """Problems of a composed declaration, by the places and words of the pipeline."""
    odd = _read(source).keys() - fields_of(source).keys()
    known = f"the schema of source '{source.slug}'"
    found = []
    for place, message in problems:
        for name in odd:
            said = f"'{name}' is no {' or '.join(FIELD_TYPES)} in event.schema"
            message = message.replace(f"'{name}' is not a property of event.schema", said)
        place = place.removeprefix("features.")
        found.append((place, message.replace("event.schema", known)))
    return found


def fields_of(source: DeclaredSource) -> Fields:
    """The fields of a source's events that a detector can read, by the detector's names."""
    properties = _properties(source)
    read = {own: _field(properties[theirs]) for own, theirs in _read(source).items()}
    return {own: rule for own, rule in read.items() if rule}


def personal_of(source: DeclaredSource) -> list[str]:
    """Those of them that are personal data."""
    known, read = fields_of(source), _read(source)
    return [own for own in known if read[own] in source.pii_fields]


def required_of(source: DeclaredSource) -> list[str]:
    """Those of them that every event has."""
    known, read = fields_of(source), _read(source)
    return [own for own in known if read[own] in source.schema.get("required", ())]


def is_made_of_another(source: DeclaredSource, config: Mapping[str, Any]) -> bool:
    """Whether a detector was composed of the source, and now reads other fields than it has, or the
    same otherwise. The order of fields says nothing: a database keeps none."""
    event = config.get("event", {})
    if event.get("source") != source.slug:
        return False
    fields, schema = fields_of(source), event["schema"]
    kept = schema["properties"]
    return not (
        kept.keys() - {MADE_UP_ID} == fields.keys() - {MADE_UP_ID}
        and all(_checked(kept[name]) in (rule, {**rule, **A_TIME}) for name, rule in fields.items())
        and {*required_of(source)} == {*schema.get("required", ())}
        and {*personal_of(source)} == {*event.get("pii", ())}
    )


def _checked(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A field's rule without what nothing checks, which earlier releases kept."""
    known = ("type", "enum", *OF_TYPE.get(rule.get("type", ""), ()))
    return {key: value for key, value in rule.items() if key in known}


def _read(source: DeclaredSource) -> dict[str, str]:
    return fields_read(source.mapping, _properties(source))


def _properties(source: DeclaredSource) -> Mapping[str, Any]:
    """Earlier releases took a source without any."""
    found: Mapping[str, Any] = source.schema.get("properties", {})
    return found


def _field(rule: object) -> dict[str, Any]:
    """A property of a JSON Schema as a detector's schema has it; empty for what is no plain value.

    What the detector does not know of is checked by the source's own schema all the same.
    """
    kinds = rule.get("type") if isinstance(rule, Mapping) else None
    plain = [
        kind for kind in ([kinds] if isinstance(kinds, str) else kinds or []) if kind != "null"
    ]
    if not isinstance(rule, Mapping) or len(plain) != 1 or plain[0] not in FIELD_TYPES:
        return {}
    kept = [key for key in ("enum", *OF_TYPE[plain[0]]) if key in rule]
    if str(rule.get("format")) not in FORMATS:
        kept = [key for key in kept if key != "format"]
    return {"type": plain[0]} | {key: rule[key] for key in kept}


def _event(
    raw: Mapping[str, Any], source: DeclaredSource, before: Mapping[str, Any]
) -> dict[str, Any]:
    """The `event` section: roles as told, else as they were, else by the names of fields."""
    fields, personal = fields_of(source), personal_of(source)
    earlier = before.get("event", {})
    told = {key: value for key, value in earlier.items() if key not in OF_THE_SOURCE}
    told |= raw.get("event") or {}
    open_fields = {name: rule for name, rule in fields.items() if name not in personal}
    roles = _entity(raw, fields) | _guessed(source, told, open_fields) | told
    roles = {role: name for role, name in roles.items() if name is not None}
    if roles.get("id") == MADE_UP_ID:
        fields.setdefault(MADE_UP_ID, {"type": "string", "minLength": 1})
    at = fields.get(str(roles.get("time")), {})
    if at.get("type") == "string":
        fields[str(roles["time"])] = {**A_TIME, **at}
    schema = {"type": "object", "required": required_of(source), "properties": fields}
    return roles | {"source": source.slug, "pii": personal, "schema": schema}


def _entity(raw: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The key of the first windows is whom alerts are about."""
    steps = raw["transformations"] if isinstance(raw["transformations"], list) else []
    configs = [step.get("config") for step in steps if isinstance(step, Mapping)]
    keys = [config.get("entity_key") for config in configs if isinstance(config, Mapping)]
    entity = next((key for key in keys if isinstance(key, str) and key in fields), None)
    if entity is None:
        return {}
    return {"entity": entity, "entity_word": entity.removesuffix("_id").replace("_", " ")}


def _guessed(
    source: DeclaredSource, told: Mapping[str, Any], open_fields: Fields
) -> dict[str, Any]:
    """Roles that the names and formats of fields tell, of those that nobody told.

    Raises SpecError where a role is needed and no field, or more than one, can have it.
    """
    kinds = {name: rule["type"] for name, rule in open_fields.items()}
    found: dict[str, Any] = {}
    ids = [name for name in IDS if kinds.get(name) in ("string", "integer")]
    if "id" not in told and not ids and source.source_type in FILES:
        said = "rows of a file are known again by their id: add event: {id: FIELD}"
        raise SpecError([("event.id", f"{said} (none of {', '.join(IDS)} is in its schema)")])
    found["id"] = ids[0] if ids else MADE_UP_ID
    times = [name for name, rule in open_fields.items() if rule.get("format") == "date-time"]
    named = [name for name in TIMES if kinds.get(name) == "string"]
    if "time" not in told and len(times) > 1 and not named:
        said = f"{', '.join(times)} are times: add event: {{time: FIELD}} with that of the event"
        raise SpecError([("event.time", said)])
    if named or times:
        found["time"] = (named or times)[0]
    if kinds.get("amount") in NUMBERS:
        found["amount"] = "amount"
    if kinds.get("currency") == "string":
        found["currency"] = {"field": "currency", "default": "EUR"}
    return found
