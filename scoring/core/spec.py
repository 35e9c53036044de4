"""A detector as declared: parse its YAML (already loaded into a dict) into frozen dataclasses.

The form is described in docs/detectors.md. Every mistake is reported at once, each with the place
where it stands (`features.transformations[2].config.windows`), as `SpecError.problems`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scoring.core.shape import shape_problems

DURATION = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d)$")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
AGGREGATIONS = ("count", "sum", "mean", "std", "min", "max", "distinct")
CALENDAR = ("hour", "hour_sin", "hour_cos", "weekday", "weekend", "night")
NUMBERS = ("number", "integer")
SLUG = re.compile(r"^[a-z][a-z0-9_]{1,39}$")


class SpecError(ValueError):
    """A detector that cannot be read. `problems` is a list of (place, message)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{place}: {message}" for place, message in problems))


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One position of the feature vector.

    `kind`: numeric, category, calendar, since_last, ratio, or an aggregation. `field` is the event
    field that it reads (for calendar: which part of the time). Window features carry the entity
    field, the window and the offset, in seconds: the window is (t - offset - window, t - offset].
    """

    name: str
    kind: str
    field: str
    entity: str = ""
    window: float = 0.0
    offset: float = 0.0
    include_current: bool = True
    label: str = ""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule as declared; `when` is compiled by `rules.compile_rule`."""

    code: str
    version: int
    when: str
    outcome: str
    text: str


@dataclass(frozen=True, slots=True)
class CostSpec:
    """What decisions cost, in the detector's currency; see `models_registry.core.thresholds`."""

    review_cost: float = 5.0
    false_block_cost: float = 20.0
    loss_share: float = 1.0
    capacity: float = 0.01


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """How a detector learns. `label_delay` in seconds: younger events are not yet matured."""

    learner: str = "lightgbm"
    label_delay: float = 7 * 86400.0
    retrain_every: float = 7 * 86400.0
    minimum_positives: int = 20


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A named detection problem, as declared.

    `label_column` is where an imported file says what was true; it is no field of an event.
    """

    slug: str
    name: str
    description: str
    id_field: str
    time_field: str
    amount_field: str
    currency_field: str
    currency: str
    entity_field: str
    entity_word: str
    pii_fields: frozenset[str]
    label_column: str
    schema: Mapping[str, Any]
    features: tuple[FeatureSpec, ...]
    rules: tuple[RuleSpec, ...]
    costs: CostSpec
    training: TrainingSpec

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names in the order of the feature vector."""
        return tuple(feature.name for feature in self.features)

    @property
    def entity_fields(self) -> tuple[str, ...]:
        """Every event field that keys a window or groups alerts, in a fixed order."""
        keys = {f.entity for f in self.features if f.entity} | {self.entity_field} - {""}
        return tuple(sorted(keys))


def seconds(text: object) -> float:
    """Seconds of a duration such as `90s`, `1h`, `7d`. Raises ValueError on anything else."""
    found = DURATION.match(str(text))
    if found is None:
        raise ValueError(f"'{text}' is not a duration such as 10m, 1h, 7d")
    return float(found[1]) * SECONDS[found[2]]


class _Reader:
    """Collects problems while it reads, so that the author sees all of them at once."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.problems: list[tuple[str, str]] = []

    def bad(self, place: str, message: str) -> None:
        self.problems.append((place, message))

    def known_field(self, place: str, name: object) -> str:
        if not isinstance(name, str) or name not in self.fields:
            self.bad(place, f"'{name}' is not a property of event.schema")
        return str(name)

    def duration(self, place: str, text: object) -> float:
        try:
            return seconds(text)
        except ValueError as error:
            self.bad(place, str(error))
            return 1.0

    def items(self, place: str, config: Mapping[str, Any], key: str) -> list[Any]:
        found = config.get(key)
        if not isinstance(found, list) or not found:
            self.bad(f"{place}.{key}", "needs a list with at least one entry")
            return []
        return found


def _numeric(read: _Reader, place: str, config: Mapping[str, Any]) -> list[FeatureSpec]:
    names = read.items(place, config, "fields")
    return [FeatureSpec(read.known_field(f"{place}.fields", n), "numeric", str(n)) for n in names]


def _category(read: _Reader, place: str, config: Mapping[str, Any]) -> list[FeatureSpec]:
    names = read.items(place, config, "fields")
    return [FeatureSpec(read.known_field(f"{place}.fields", n), "category", str(n)) for n in names]


def _calendar(read: _Reader, place: str, config: Mapping[str, Any]) -> list[FeatureSpec]:
    found = []
    for part in read.items(place, config, "parts"):
        if part not in CALENDAR:
            read.bad(f"{place}.parts", f"'{part}' is none of {', '.join(CALENDAR)}")
        found.append(FeatureSpec(str(part), "calendar", str(part)))
    return found


def _windows(read: _Reader, place: str, config: Mapping[str, Any]) -> list[FeatureSpec]:
    entity = read.known_field(f"{place}.entity_key", config.get("entity_key"))
    offset = read.duration(f"{place}.offset", config.get("offset", "0s"))
    current = bool(config.get("include_current", True))
    value = str(config.get("value", ""))
    distinct = [str(name) for name in config.get("distinct", [])]
    found = []
    for window in read.items(place, config, "windows"):
        length = read.duration(f"{place}.windows", window)
        for how in read.items(place, config, "aggregations"):
            if how not in AGGREGATIONS:
                read.bad(f"{place}.aggregations", f"'{how}' is none of {', '.join(AGGREGATIONS)}")
                continue
            if how == "count":
                columns = [""]
            elif how == "distinct":
                columns = [read.known_field(f"{place}.distinct", name) for name in distinct]
                if not columns:
                    read.bad(f"{place}.distinct", "name the fields whose values are counted")
            else:
                columns = [read.known_field(f"{place}.value", value)]
            for column in columns:
                name = "_".join(part for part in (entity, how, column, str(window)) if part)
                if offset:
                    name += f"_offset_{config['offset']}"
                found.append(FeatureSpec(name, how, column, entity, length, offset, current))
    return found


def _since_last(read: _Reader, place: str, config: Mapping[str, Any]) -> list[FeatureSpec]:
    entity = read.known_field(f"{place}.entity_key", config.get("entity_key"))
    cap = read.duration(f"{place}.cap", config.get("cap", "30d"))
    return [FeatureSpec(f"{entity}_seconds_since_last", "since_last", "", entity, cap)]


def _ratio(read: _Reader, place: str, config: Mapping[str, Any]) -> list[FeatureSpec]:
    entity = read.known_field(f"{place}.entity_key", config.get("entity_key"))
    value = read.known_field(f"{place}.value", config.get("value"))
    window = config.get("window", "7d")
    length = read.duration(f"{place}.window", window)
    name = f"{entity}_{value}_ratio_{window}"
    return [FeatureSpec(name, "ratio", value, entity, length, include_current=False)]


TRANSFORMATIONS: dict[str, Callable[[_Reader, str, Mapping[str, Any]], list[FeatureSpec]]] = {
    "numeric": _numeric,
    "category": _category,
    "calendar": _calendar,
    "time_window_aggregation": _windows,
    "time_since_last": _since_last,
    "ratio_to_mean": _ratio,
}


def _features(read: _Reader, raw: Mapping[str, Any]) -> tuple[FeatureSpec, ...]:
    labels = raw.get("labels", {})
    found: list[FeatureSpec] = []
    for i, step in enumerate(raw.get("transformations", [])):
        place = f"features.transformations[{i}]"
        make = TRANSFORMATIONS.get(str(step.get("type")))
        if make is None:
            read.bad(
                f"{place}.type", f"'{step.get('type')}' is none of {', '.join(TRANSFORMATIONS)}"
            )
            continue
        found += make(read, f"{place}.config", step.get("config", {}))
    names = [feature.name for feature in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        read.bad("features", f"'{name}' is declared twice")
    if not found:
        read.bad("features.transformations", "declare at least one feature")
    return tuple(
        FeatureSpec(f.name, f.kind, f.field, f.entity, f.window, f.offset, f.include_current,
                    str(labels.get(f.name, "")))
        for f in found
    )  # fmt: skip


def _rules(read: _Reader, raw: list[Mapping[str, Any]]) -> tuple[RuleSpec, ...]:
    found = []
    for i, rule in enumerate(raw):
        place = f"rules[{i}]"
        outcome = str(rule.get("outcome", "REVIEW")).upper()
        if outcome not in ("REVIEW", "BLOCK"):
            read.bad(f"{place}.outcome", "is REVIEW or BLOCK")
        for key in ("code", "when"):
            if not rule.get(key):
                read.bad(f"{place}.{key}", "is missing")
        found.append(
            RuleSpec(
                code=str(rule.get("code", "")),
                version=int(rule.get("version", 1)),
                when=str(rule.get("when", "")),
                outcome=outcome,
                text=str(rule.get("text", rule.get("code", ""))),
            )
        )
    return tuple(found)


def _settings(read: _Reader, raw: Mapping[str, Any], place: str, kind: type[Any]) -> dict[str, Any]:
    """The settings of a section, durations in seconds; unknown ones are reported."""
    given = dict(raw.get(place, {}))
    for key in sorted(set(given) - set(kind.__dataclass_fields__)):
        read.bad(f"{place}.{key}", "is not a setting")
        del given[key]
    for key in {"label_delay", "retrain_every"} & set(given):
        given[key] = read.duration(f"{place}.{key}", given[key])
    return given


def _check_event(read: _Reader, event: Mapping[str, Any]) -> None:
    """Roles are given to fields that exist, and personal data is no category."""
    if not event.get("schema", {}).get("properties"):
        read.bad("event.schema.properties", "declare the fields of an event")
    for key in ("id", "time", "amount", "entity"):
        if event.get(key):
            read.known_field(f"event.{key}", event[key])
    for name in event.get("pii", []):
        read.known_field("event.pii", name)
        if name == event.get("id"):
            read.bad("event.pii", f"'{name}' is the id of an event, which is stored in clear")
    for name in event.get("schema", {}).get("required", []):
        read.known_field("event.schema.required", name)
    _check_role(read, "event.time", event.get("time"), types=("string",), form="date-time")
    _check_role(read, "event.amount", event.get("amount"), types=NUMBERS)


def _check_role(
    read: _Reader, place: str, name: object, *, types: tuple[str, ...], form: str = ""
) -> None:
    """The field is declared as something that can be read as its role asks."""
    rule = read.fields.get(str(name))
    if rule is None:
        return
    if rule["type"] not in types or (form and rule.get("format") != form):
        wanted = f"{types[0]} with format {form}" if form else " or ".join(types)
        read.bad(place, f"'{name}' must be declared as {wanted}")


def _check_reads(read: _Reader, features: tuple[FeatureSpec, ...]) -> None:
    """What is computed with reads numbers; a category or a distinct count reads anything."""
    for feature in features:
        if feature.field and feature.kind not in ("category", "calendar", "distinct"):
            place = f"features.{feature.name}"
            _check_role(read, place, feature.field, types=(*NUMBERS, "boolean"))


def parse_spec(raw: Mapping[str, Any]) -> DetectorSpec:
    """Read a detector declaration. Raises SpecError with every problem found."""
    misshapen = shape_problems(raw)
    if misshapen:
        raise SpecError(misshapen)
    event = raw.get("event", {})
    schema = event.get("schema", {})
    read = _Reader(schema.get("properties", {}))
    slug = str(raw.get("slug", ""))
    if not SLUG.match(slug):
        read.bad("slug", "needs 2 to 40 lower-case letters, digits or underscores")
    _check_event(read, event)
    pii = frozenset(str(name) for name in event.get("pii", []))
    features = _features(read, raw.get("features", {}))
    _check_reads(read, features)
    for feature in features:
        if feature.kind == "category" and feature.field in pii:
            read.bad("features", f"'{feature.field}' is personal data and cannot be a category")
    rules = _rules(read, raw.get("rules", []))
    costs = _settings(read, raw, "costs", CostSpec)
    training = _settings(read, raw, "training", TrainingSpec)
    if read.problems:
        raise SpecError(read.problems)
    currency = event.get("currency", {})
    return DetectorSpec(
        slug=slug,
        name=str(raw.get("name", slug)),
        description=str(raw.get("description", "")).strip(),
        id_field=event.get("id", ""),
        time_field=event.get("time", ""),
        amount_field=event.get("amount", ""),
        currency_field=currency.get("field", ""),
        currency=currency.get("default", "EUR"),
        entity_field=event.get("entity", ""),
        entity_word=event.get("entity_word", "entity"),
        pii_fields=pii,
        label_column=str(event.get("label_column", "")),
        schema=schema,
        features=features,
        rules=rules,
        costs=CostSpec(**costs),
        training=TrainingSpec(**training),
    )
