"""A source as declared in YAML or JSON: read, checked, every mistake told with its place and line.

name: Credit Card Transactions
source_type: webhook            # csv, parquet, kafka, mqtt, webhook, rest
detector: payments              # whose events they are; may be left out
config: {path: transactions.csv}
schema: {type: object, properties: {...}, required: [...]}     # JSON Schema 2020-12
mapping: {user_id: customer}    # field of the detector: field of the event
pii_fields: [customer]
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from scoring import yaml_lines
from scoring.core.json_values import with_nul, without_value
from scoring.core.reader import MOST_HINTS, SpecError, near_or_all
from scoring.source_models import PUSHED, SOURCE_TYPES

KEYS = ("name", "slug", "source_type", "config", "schema", "pii_fields", "detector", "mapping")
NEEDS = {
    "csv": ("path",),
    "parquet": ("path",),
    "kafka": ("topic", "bootstrap_servers"),
    "mqtt": ("topic", "host"),
}
TEXTS = ("path", "topic", "host", "group", "client_id", "alerts_topic", "dead_topic")
MOST_BATCH = {"kafka": 10_000, "mqtt": 65_535}
"""Messages that a consumer takes at once; of MQTT, as many as may be unacknowledged."""
REFUSED = frozenset(("$ref", "$dynamicRef", "pattern", "patternProperties"))
"""Keywords that would fetch other documents, or run a regular expression of somebody's making."""
SECRET = re.compile(r"passw|secret|token|credential|api_?key", re.IGNORECASE)
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
INDEX = re.compile(r"\[(\d+)\]")
MOST_TEXT = 100_000
MOST_WHOLE = 2**63
SKETCH = """\
name: My source
slug: my-source                    # part of its address, and stays
source_type: webhook               # csv, parquet, kafka, mqtt, webhook, rest
# detector: my_detector            # whose events they are; checked against what it needs
# mapping: {transaction_id: order} # field of the detector: field of the event, if names differ
# config: {topic: orders}          # of streams and files, see beside; no secrets
schema:                            # JSON Schema of one event
  type: object
  properties:
    order: {type: string, minLength: 1}
    customer: {type: string}
    amount: {type: number, minimum: 0}
  required: [order, customer, amount]
pii_fields: [customer]
"""
"""What a new one starts from on its page."""
DEEPEST = 20
TOO_DEEP = "is nested too deeply"


class SourceError(ValueError):
    """A source that cannot be read. `problems`: (place, message); `lines`: line by place."""

    def __init__(
        self, problems: list[tuple[str, str]], lines: Mapping[str, int] | None = None
    ) -> None:
        self.problems = problems
        self.lines = dict(lines or {})
        super().__init__("; ".join(self.told()))

    def told(self) -> list[str]:
        """One sentence a problem, with the line where it is known."""
        return [f"{self._line(place)}{place or 'source'}: {said}" for place, said in self.problems]

    def mistakes(self) -> list[yaml_lines.Mistake]:
        """One a problem, with its line."""
        return yaml_lines.mistakes_of(
            (self._line(place) + place, message) for place, message in self.problems
        )

    def _line(self, place: str) -> str:
        # A missing key has no line of its own: what it is missing in has one.
        while place and place not in self.lines:
            place = place.rpartition(".")[0]
        return f"line {self.lines[place]}: " if place in self.lines else ""


@dataclass(frozen=True, slots=True)
class Declared:
    """A source that is well-formed; `detector` is a slug or empty. `text`: as its author wrote it,
    with comments; empty where it came as JSON."""

    slug: str
    name: str
    source_type: str
    config: dict[str, Any]
    schema: dict[str, Any]
    pii_fields: list[str]
    detector: str = ""
    mapping: dict[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    text: str = ""

    def told(self) -> dict[str, Any]:
        """What a file would say, without what is empty."""
        found = {key: getattr(self, key) for key in KEYS}
        return {key: value for key, value in found.items() if value}


def read_yaml(text: str) -> Declared:
    """The source in a YAML text. Raises SourceError, naming lines."""
    if len(text) > MOST_TEXT:
        raise SourceError([("", f"is longer than {MOST_TEXT:,} characters")])
    try:
        raw, found = yaml_lines.read_yaml(text)
    except (SpecError, ValueError) as error:
        raise SourceError(getattr(error, "problems", [("", str(error))])) from error
    lines = {INDEX.sub(r".\1", place): line for place, line in found.items()}
    try:
        return replace(read_mapping(raw, lines), text=text)
    except SourceError as error:
        raise SourceError(error.problems, lines) from error


def read_mapping(raw: object, lines: Mapping[str, int] | None = None) -> Declared:
    """The source in a mapping. Raises SourceError with every problem found."""
    if not isinstance(raw, Mapping):
        raise SourceError([("", "a source is a mapping")])
    if "transformations" in raw or "features" in raw:
        told = "load it with manage.py load_detectors"
        place = "features" if "features" in raw else "transformations"
        raise SourceError([(place, f"makes it a feature pipeline or a detector: {told}")])
    found = _unstorable(raw)
    unknown = [str(key) for key in raw if key not in KEYS]
    found += [(key, f"is not a setting{near_or_all(key, KEYS)}") for key in unknown[:MOST_HINTS]]
    found += [(key, "is not a setting") for key in unknown[MOST_HINTS:]]
    name, slug = _names(found, raw)
    kind = raw.get("source_type")
    if not isinstance(kind, str) or kind not in SOURCE_TYPES:
        found.append(("source_type", f"is one of {', '.join(SOURCE_TYPES)}"))
        kind = ""
    config = _mapping(found, raw, "config")
    found += _config_problems(kind, config)
    schema = _mapping(found, raw, "schema")
    if isinstance(raw.get("schema"), Mapping):
        found += schema_problems(schema)
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    pii = _pii(found, raw, known)
    mapping = _mapping(found, raw, "mapping")
    for own, theirs in mapping.items():
        if problem := _unknown(theirs, known):
            found.append((f"mapping.{own}", problem))
    detector = raw.get("detector") or ""
    if not isinstance(detector, str):
        found.append(("detector", "is the slug of a detector"))
    if found:
        raise SourceError(found)
    return Declared(
        slug=slug,
        name=name,
        source_type=str(kind),
        config=dict(config),
        schema=dict(schema),
        pii_fields=pii,
        detector=str(detector),
        mapping={str(own): str(theirs) for own, theirs in mapping.items()},
        lines=dict(lines or {}),
    )


def _names(found: list[tuple[str, str]], raw: Mapping[str, Any]) -> tuple[str, str]:
    """(name, slug); the slug is made of the name where it is not given."""
    name = raw.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 100:
        found.append(("name", "is a text of 1 to 100 characters"))
    slug = raw.get("slug") or slug_of(name if isinstance(name, str) else "")
    if not isinstance(slug, str) or not SLUG.fullmatch(slug):
        found.append(("slug", "is made of lower-case letters, digits, - and _"))
    return str(name).strip(), str(slug)


def _unstorable(raw: object) -> list[tuple[str, str]]:
    """What no database holds."""
    found = [(place, "must be a finite number") for place in without_value(raw)]
    found += [(place, "must not hold the character U+0000") for place in with_nul(raw)]
    return [*found, *_unreadable(raw)]


def _unreadable(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """What YAML and Python can hold and readers of JSON cannot."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield place, f"the name {key!r} is no text: put it in quotes"
            yield from _unreadable(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _unreadable(inner, f"{place}.{i}")
    elif isinstance(value, int) and not -MOST_WHOLE <= value < MOST_WHOLE:
        yield place, "is larger than any whole number that is read"


def slug_of(name: str) -> str:
    """`Credit Card Transactions` -> `credit-card-transactions`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]


def _mapping(found: list[tuple[str, str]], raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    if value is None and key != "schema":
        return {}
    if isinstance(value, Mapping):
        return value
    found.append((key, "is a mapping"))
    return {}


def _pii(
    found: list[tuple[str, str]], raw: Mapping[str, Any], known: Mapping[str, Any]
) -> list[str]:
    names = raw.get("pii_fields") or []
    if not isinstance(names, list):
        found.append(("pii_fields", "is a list of fields"))
        return []
    for i, name in enumerate(names):
        if problem := _unknown(name, known):
            found.append((f"pii_fields.{i}", problem))
    return [str(name) for name in names]


def _unknown(name: object, known: Mapping[str, Any]) -> str:
    """What is wrong with a field of the event that a declaration names; empty when nothing is."""
    if not isinstance(name, str):
        return "is the name of a property of schema"
    return "" if name in known else f"'{name}' is not a property of schema"


def _config_problems(kind: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    deep = (place for place, depth, _ in _entries(config, "config", 0) if depth > DEEPEST)
    for place in islice(deep, 1):
        yield place, TOO_DEEP
    for key in NEEDS.get(kind, ()):
        if not config.get(key):
            yield f"config.{key}", f"is needed by a source of type {kind}"
    for key in config:
        if SECRET.search(str(key)):
            yield f"config.{key}", "does not belong here: secrets come from the environment"
    yield from option_problems(kind, config)


def option_problems(kind: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The options of a kind of source that are of the wrong type. A blank one is not given."""
    if kind in PUSHED:
        return
    given = {key: value for key, value in config.items() if value not in (None, "")}
    for key in TEXTS:
        if not isinstance(given.get(key, ""), str):
            yield f"config.{key}", "is a text"
    servers = given.get("bootstrap_servers", [])
    listed = [servers] if isinstance(servers, str) else servers
    if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
        yield "config.bootstrap_servers", "is a list of host:port"
    most = MOST_BATCH.get(kind, 1)
    for key, low, high in (("port", 1, 65_535), ("batch", 1, most), ("threshold", 0, 1)):
        whole = key != "threshold"
        if key in given and not _is_number(given[key], low, high, whole=whole):
            yield f"config.{key}", f"is a {'whole ' * whole}number from {low} to {high:,}"


def _is_number(value: object, low: float, high: float, *, whole: bool) -> bool:
    """Also written as a text, as an environment variable would be."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return False
    return low <= number <= high and not (whole and number % 1)


def schema_problems(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a JSON Schema of flat events."""
    # Here, not above: 3 MB that a server without declared sources never needs.
    from jsonschema import Draft202012Validator, SchemaError

    for place, depth, key in _entries(schema, "schema", 0):
        if depth > DEEPEST:
            yield place, TOO_DEEP
            return
        if key in REFUSED:
            yield place, f"'{key}' is not supported"
            return
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield ".".join(["schema", *map(str, error.absolute_path)]), error.message[:300]
        return
    if schema.get("type") != "object":
        yield "schema.type", "is object: an event has fields"
    if not schema.get("properties"):
        yield "schema.properties", "declare the fields of an event"


def _entries(value: object, place: str, depth: int) -> Iterator[tuple[str, int, str]]:
    """(place, depth, key) of all below `value`, no key in a list; ends below the deepest allowed
    one."""
    if depth > DEEPEST + 1:
        return
    if isinstance(value, Mapping):
        inside = [(str(key), str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list):
        inside = [(str(i), "", inner) for i, inner in enumerate(value)]
    else:
        return
    for step, key, inner in inside:
        yield f"{place}.{step}", depth, key
        yield from _entries(inner, f"{place}.{step}", depth + 1)
