"""A feature, and the steps of a pipeline that make features (MAKERS), each read from the YAML.

`feature_section` reads the whole section, with the steps that say how features reach the model.
docs/detectors.md has the form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from scoring.core.aggregates import RISKS
from scoring.core.reader import NUMBERS, Reader

AGGREGATIONS: Final = ("count", "sum", "mean", "std", "min", "max", "distinct")
OF_THE_EVENT: Final = ("ratio_to_mean", "time_since_last")
OF_WINDOWS: Final = (*AGGREGATIONS, *OF_THE_EVENT)
FIGURES: Final = {
    "count": "count",
    "risk": "risk",
    "newest_risk": "newest_risk",
    "seconds_since_first_risk": "since_risk",
}
"""What `label_risk` may give, with the kind of each."""
AGAINST: Final = ("ratio", "deviation", "peak")
"""Kinds that set a number against what was usual for the entity."""
TRACKED: Final = frozenset((*AGGREGATIONS, *AGAINST, *RISKS, "since_last", "changes"))
"""Kinds that read the history of an entity."""
CALENDAR: Final = (
    *("hour", "hour_sin", "hour_cos", "weekday", "weekday_sin", "weekday_cos"),
    *("weekend", "night"),
)
CLOCK: Final = "time-of-day"
SMOOTHING: Final = 20.0
MOST_FEATURES: Final = 2000
"""Of a detector; on pages its declaration is read with each request, and every event waits for
all of them."""
Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a feature reaches the model. Fitted by models_registry.core.encoding.

    `fill` is the constant of `impute` constant: a number, or the text of a category. With `impute`
    empty numbers take the median, and a missing category is no level. `smoothing` and `delay`
    (seconds; None: the detector's label delay) belong to the target encoding.
    """

    impute: str = ""
    fill: float | str = 0.0
    scale: str = "none"
    log: bool = False
    encode: str = "both"
    smoothing: float = SMOOTHING
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One position of the feature vector.

    `kind`: numeric, category, calendar, clock_sin, clock_cos, since_last, changes (of place per
    hour), an aggregation, what is known of fraud (aggregates.RISKS), or a number against the
    entity's usual one: ratio to the mean, deviation from it in standard deviations, peak (largest
    of the last `recent` seconds, by the mean). `field` is the event field that it reads (for
    calendar: which part of the time). Window features carry the entity field, the window and the
    offset, in seconds: the window is (t - offset - window, t - offset].
    """

    name: str
    kind: str
    field: str
    entity: str = ""
    window: float = 0.0
    offset: float = 0.0
    include_current: bool = True
    recent: float = 0.0
    label: str = ""
    prepared: Preparation = Preparation()
    step: int = 0

    @property
    def raw(self) -> tuple[str, str, str, str, float, float, bool, float]:
        """What decides the number in the vector: equal for two features that log the same."""
        return (self.name, self.kind, self.field, self.entity, self.window, self.offset,
                self.include_current, self.recent)  # fmt: skip

    @property
    def reach(self) -> float:
        """How far back it reads, in seconds; 0 where it reads the event alone."""
        return max(self.window + self.offset, self.recent)

    @property
    def subject(self) -> tuple[str, ...]:
        """What people are told of it: one thing for the sine, the cosine and the rest of a time."""
        if self.kind in ("clock_sin", "clock_cos"):
            return ("clock", self.field)
        if self.kind == "calendar":
            part = self.field.removesuffix("_sin").removesuffix("_cos")
            return ("calendar", "hour" if part == "night" else part)
        return ("feature", self.name)


def refuse_many(read: Reader, place: str, count: int) -> bool:
    """Whether these are more features than a detector may have, which is noted: a few lines of
    windows and fields can stand for a million."""
    if read.stored or count <= MOST_FEATURES:
        return False
    read.bad(place, f"makes {count:,} features: a detector has at most {MOST_FEATURES:,}")
    return True


def _fields(read: Reader, place: str, config: Config) -> list[str]:
    names = read.items(place, config, "fields")
    return [read.known_field(f"{place}.fields", name) for name in names]


def _numeric(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    names = _fields(read, place, config)
    for name in names:
        read.plays(f"{place}.fields", name, types=(*NUMBERS, "boolean"))
    return [FeatureSpec(name, "numeric", name) for name in names]


def _category(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    names = _fields(read, place, config)
    for name in names:
        if name in read.event.get("pii", []):
            said = "is personal data and cannot be a category: count its values in windows"
            instead = "(distinct), or take it out of event.pii if it is none"
            read.bad(f"{place}.fields", f"'{name}' {said} {instead}")
    return [FeatureSpec(name, "category", name) for name in names]


def _calendar(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    parts = read.items(place, config, "parts")
    names = [read.one_of(f"{place}.parts", part, CALENDAR) for part in parts]
    return [FeatureSpec(name, "calendar", name) for name in names]


def _cyclic(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    """Sine and cosine, so that 23:59 and 00:00 are neighbours."""
    if config.get("field") is not None:
        name = read.known_field(f"{place}.field", config["field"])
        read.plays(f"{place}.field", name, types=("string",), form=CLOCK)
        return [FeatureSpec(f"{name}_{f}", f"clock_{f}", name) for f in ("sin", "cos")]
    found = []
    periods = read.items(place, config, "periods") if config.get("periods") else ["day"]
    for period in periods:
        part = {"day": "hour", "week": "weekday"}.get(str(period))
        if part is None:
            read.bad(f"{place}.periods", f"'{period}' is neither day nor week")
        found += [FeatureSpec(f"{part}_{f}", "calendar", f"{part}_{f}") for f in ("sin", "cos")]
    return found


def _amount(read: Reader, place: str, config: Config) -> str:
    """The field that windows sum up: as said, else the event's amount, else its only number."""
    value = config.get("value") or read.event.get("amount")
    if not value:
        numbers = [name for name, rule in read.fields.items() if rule["type"] == "number"]
        if len(numbers) != 1:
            read.bad(f"{place}.value", "name the field whose values are aggregated")
            return ""
        value = numbers[0]
    return read.number_field(f"{place}.value", value)


def _windows(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    entity = read.known_field(f"{place}.entity_key", config.get("entity_key"))
    offset = read.duration(f"{place}.offset", config.get("offset", "0s"))
    current = read.truth(f"{place}.include_current", config.get("include_current", True))
    wanted = [
        read.one_of(f"{place}.aggregations", how, OF_WINDOWS)
        for how in read.items(place, config, "aggregations")
    ]
    if offset and not read.stored:  # Bundles were trained with both read as of the event.
        for own in (one for one in OF_THE_EVENT if one in wanted):
            read.bad(f"{place}.aggregations", f"'{own}' has no offset here: make it its own step")
    needs_value = set(wanted) & set(OF_WINDOWS) - {"count", "distinct", "time_since_last"}
    value = _amount(read, place, config) if needs_value else ""
    distinct = _distinct(read, place, config, wanted)
    suffix = f"_offset_{config['offset']}" if offset else ""
    windows, found = read.items(place, config, "windows"), []
    if refuse_many(read, place, len(windows) * (len({*wanted} - {"distinct"}) + len(distinct))):
        windows = windows[:1]  # So that what the declaration says of them is not told besides.
    for window in windows:
        length = read.span(f"{place}.windows", window)
        for how in dict.fromkeys(wanted):
            if how == "ratio_to_mean":
                found.append(_ratio_feature(entity, value, str(window), length))
                continue
            if how == "time_since_last":
                name = f"{entity}_seconds_since_last_{window}"
                found.append(FeatureSpec(name, "since_last", "", entity, length))
                continue
            columns = {"count": [""], "distinct": distinct}.get(how, [value])
            for column in columns:
                name = "_".join(part for part in (entity, how, column, str(window)) if part)
                found.append(
                    FeatureSpec(name + suffix, how, column, entity, length, offset, current)
                )
    return found


def _distinct(read: Reader, place: str, config: Config, wanted: list[str]) -> list[str]:
    """The fields whose values are counted."""
    names = [read.known_field(f"{place}.distinct", name) for name in config.get("distinct", [])]
    if "distinct" in wanted and not names:
        read.bad(f"{place}.distinct", "name the fields whose values are counted")
    if names and "distinct" not in wanted and not read.stored:
        read.bad(f"{place}.distinct", "is not counted: add distinct to the aggregations")
    return names


def _since_last(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    entity = read.known_field(f"{place}.entity_key", config.get("entity_key"))
    cap = read.span(f"{place}.cap", config.get("cap", "30d"))
    return [FeatureSpec(f"{entity}_seconds_since_last", "since_last", "", entity, cap)]


def _ratio_feature(entity: str, value: str, window: str, length: float) -> FeatureSpec:
    name = f"{entity}_{value}_ratio_{window}"
    return FeatureSpec(name, "ratio", value, entity, length, include_current=False)


def _against(read: Reader, place: str, config: Config, kind: str) -> FeatureSpec:
    """A number against the entity's usual one: over the window before the event, or one that ends
    `offset` earlier."""
    entity = read.known_field(f"{place}.entity_key", config.get("entity_key"))
    value = _amount(read, place, config)
    window, offset = str(config.get("window", "7d")), str(config.get("offset", "0s"))
    length = read.span(f"{place}.window", window)
    apart = read.duration(f"{place}.offset", offset)
    name = f"{entity}_{value}_{kind}_{window}" + (f"_offset_{offset}" if apart else "")
    return FeatureSpec(name, kind, value, entity, length, apart, include_current=False)


def _ratio(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    return [_against(read, place, config, "ratio")]


def _deviation(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    return [_against(read, place, config, "deviation")]


def _peak(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    """The largest value of each recent window, the event's own included, by the usual mean."""
    usual = _against(read, place, config, "peak")
    found = []
    for window in read.items(place, config, "recent"):
        recent = read.span(f"{place}.recent", window)
        name = usual.name.replace("_peak_", f"_peak_{window}_to_", 1)
        found.append(replace(usual, name=name, recent=recent))
    return found


def _velocity(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    """Distinct places inside each window, and how often an hour the entity changes its place."""
    entity = read.known_field(f"{place}.entity_key", config.get("entity_key"))
    where = read.known_field(f"{place}.place", config.get("place"))
    found = []
    for window in read.items(place, config, "windows"):
        length = read.span(f"{place}.windows", window)
        found += [
            FeatureSpec(f"{entity}_{kind}_{where}_{window}", kind, where, entity, length)
            for kind in ("distinct", "changes")
        ]
    return found


def _label_risk(read: Reader, place: str, config: Config) -> list[FeatureSpec]:
    """What is known by now of the entity's events that lie `delay` back."""
    entity = read.known_field(f"{place}.entity_key", config.get("entity_key"))
    delay = config.get("delay", "7d")
    offset = read.duration(f"{place}.delay", delay)
    named = read.items(place, config, "figures") if "figures" in config else ("count", "risk")
    figures = [read.one_of(f"{place}.figures", figure, FIGURES) for figure in named]
    found = []
    for window in read.items(place, config, "windows"):
        length = read.span(f"{place}.windows", window)
        for figure in (one for one in dict.fromkeys(figures) if one in FIGURES):
            name = f"{entity}_{figure}_{window}_delay_{delay}"
            found.append(FeatureSpec(name, FIGURES[figure], "", entity, length, offset, False))
    return found


Make = Callable[[Reader, str, Config], list[FeatureSpec]]
MAKERS: Final[dict[str, tuple[Make, tuple[str, ...]]]] = {
    "numeric": (_numeric, ("fields",)),
    "category": (_category, ("fields",)),
    "calendar": (_calendar, ("parts",)),
    "cyclic_time": (_cyclic, ("field", "periods")),
    "time_window_aggregation": (
        _windows,
        ("entity_key", "windows", "aggregations", "value", "distinct", "offset",
         "include_current"),
    ),
    "ratio_to_mean": (_ratio, ("entity_key", "value", "window", "offset")),
    "deviation_from_mean": (_deviation, ("entity_key", "value", "window", "offset")),
    "peak_to_mean": (_peak, ("entity_key", "value", "recent", "window", "offset")),
    "time_since_last": (_since_last, ("entity_key", "cap")),
    "velocity": (_velocity, ("entity_key", "place", "windows")),
    "label_risk": (_label_risk, ("entity_key", "windows", "delay", "figures")),
}  # fmt: skip
