"""Event + windows -> feature vector float64[n]: raw numbers, categories as codes, NaN = missing.

The vector is what is stored with a prediction and what training reads. It holds nothing that was
fitted, so vectors logged under one bundle train the next (`encoder` is the fitted part).
`build` serves one event, `build_many` columns of them; the two agree to 1e-9.
"""

import hashlib
import math
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scoring.core.aggregates import RISKS, Aggregate, Reading
from scoring.core.spec import DetectorSpec
from scoring.core.timelines import Timeline, aggregate_many
from scoring.core.transformations import AGAINST, TRACKED, FeatureSpec
from scoring.core.types import Event, Floats
from scoring.core.windows import EntityWindow

Windows = Mapping[tuple[str, str], EntityWindow]
MOST_LATE = 86400.0
"""An event that comes at most these seconds late, and no later than its entity's longest window is
long, reads whole windows: what it needs is kept so long. A later one reads what is left."""
NIGHT_ENDS = 6
"""Local hours 0 to 6 are night, as in the Fraud Detection Handbook, chapter 3."""


@lru_cache(maxsize=65536)
def category_code(text: str) -> float:
    """A stable number below 2**32 for a category's text; case and outer blanks do not count."""
    digest = hashlib.blake2b(text.strip().casefold().encode(), digest_size=4).digest()
    return float(int.from_bytes(digest, "little"))


def identity_of(external_id: str) -> float:
    """A whole number below 2**52 by which a window's row is found again when a label comes."""
    digest = hashlib.blake2b(external_id.encode(), digest_size=8).digest()
    return float(int.from_bytes(digest, "little") >> 12)


def known_span(labels: Iterable[tuple[float, bool]]) -> tuple[float, float]:
    """[from, until) in which an event was known as fraud, from its labels (time, is fraud).

    Labels in the order of their times. (NaN, NaN) when it never was. Only the last stretch is kept:
    an event that was called fraud, cleared, and called fraud again counts from the second time.
    """
    since, until = math.nan, math.nan
    for time, is_fraud in labels:
        known = until == math.inf
        if is_fraud and not known:
            since, until = time, math.inf
        elif known and not is_fraud:
            until = time
    return since, until


@dataclass(frozen=True, slots=True)
class Against:
    """A feature that sets a number against what was usual: (number - minus) / divisor.

    The number is the event's own (state column `column`) or, where that is 0, an aggregate;
    `largest`, `minus` (-1: nothing) and `divisor` are places among the aggregates. NaN unless the
    divisor is above 0.
    """

    place: int
    column: int
    largest: int
    minus: int
    divisor: int


@dataclass(frozen=True, slots=True)
class EntityPlan:
    """What one entity key tracks and which vector positions it fills.

    Of the `aggregates` the first `len(places)` are features, the others serve `against`.
    `columns` are the event fields of the state's columns 1..k; a `coded` one holds the codes of
    its values. Windows look back `reach` seconds; `horizon` seconds are remembered, for events that
    come late (MOST_LATE).
    Where labels matter, three more columns follow: the event's identity, and since and until when
    it was known as fraud; `risk_column` is the second of them (0: labels do not matter).
    """

    key: str
    columns: tuple[str, ...]
    coded: tuple[bool, ...]
    reach: float
    horizon: float
    signature: int
    aggregates: tuple[Aggregate, ...]
    reading: Reading
    places: tuple[int, ...]
    since_last: tuple[tuple[int, float], ...]
    against: tuple[Against, ...]
    rates: tuple[tuple[int, float], ...]
    risk_column: int = 0

    @property
    def width(self) -> int:
        """Columns of a state row, time included."""
        return 1 + len(self.columns) + (3 if self.risk_column else 0)

    def values(self, event: Event) -> list[float]:
        """The event as one state row."""
        found = [
            event.time,
            *(
                _value(event, name, coded=coded)
                for name, coded in zip(self.columns, self.coded, strict=True)
            ),
        ]
        if self.risk_column:
            since, until = event.known_fraud or (math.nan, math.nan)
            found += [identity_of(event.external_id), since, until]
        return found


def _value(event: Event, name: str, *, coded: bool) -> float:
    value = event.fields.get(name)
    if value is None:
        return math.nan
    return category_code(str(value)) if coded else float(value)


def _plan_entity(
    key: str, features: Sequence[tuple[int, FeatureSpec]], numbers: Collection[str]
) -> EntityPlan:
    """`numbers` are the fields of type `number`: told apart as numbers, because 5 and 5.0 are one.

    Whole numbers and truths are told apart alike as numbers and by their codes.
    """
    columns: dict[str, bool] = {}
    for _, feature in features:
        if feature.field:
            coded = feature.kind in ("distinct", "changes") and feature.field not in numbers
            columns[feature.field] = columns.get(feature.field, coded) and coded
    risk_column = 2 + len(columns) if any(f.kind in RISKS for _, f in features) else 0
    aggregates, places, since_last, rates = [], [], [], []
    reach = max(max(f.window + f.offset, f.recent) for _, f in features)
    for place, feature in features:
        if feature.kind == "since_last":
            since_last.append((place, feature.window))
        elif feature.kind not in AGAINST:
            column = 1 + list(columns).index(feature.field) if feature.field else 0
            column = risk_column if feature.kind in RISKS else column
            if feature.kind == "changes":
                rates.append((place, feature.window / 3600.0))
            aggregates.append(
                Aggregate(
                    feature.kind, column, feature.window, feature.offset, feature.include_current
                )
            )
            places.append(place)
    against = [
        _against(place, feature, 1 + list(columns).index(feature.field), aggregates)
        for place, feature in features
        if feature.kind in AGAINST
    ]
    return EntityPlan(
        key=key,
        columns=tuple(columns),
        coded=tuple(columns.values()),
        reach=reach,
        horizon=reach + min(reach, MOST_LATE),
        signature=_signature(columns, reach, risk_column),
        aggregates=tuple(aggregates),
        reading=Reading(aggregates),
        places=tuple(places),
        since_last=tuple(since_last),
        against=tuple(against),
        rates=tuple(rates),
        risk_column=risk_column,
    )


def _against(place: int, feature: FeatureSpec, column: int, aggregates: list[Aggregate]) -> Against:
    """What the feature needs joins `aggregates`, unless it is there."""

    def usual(how: str) -> int:
        return found(Aggregate(how, column, feature.window, feature.offset, False))

    def found(want: Aggregate) -> int:
        if want not in aggregates:
            aggregates.append(want)
        return aggregates.index(want)

    if feature.kind == "deviation":
        return Against(place, column, -1, usual("mean"), usual("std"))
    if feature.kind == "peak":
        largest = found(Aggregate("max", column, feature.recent))
        return Against(place, 0, largest, -1, usual("mean"))
    return Against(place, column, -1, -1, usual("mean"))


def _signature(columns: Mapping[str, bool], reach: float, risk_column: int) -> int:
    """Says for which columns and windows a state was kept."""
    kept: tuple[object, ...] = (tuple(columns.items()), reach)
    return zlib.crc32(repr((*kept, "labels") if risk_column else kept).encode())


class FeaturePlan:
    """A detector's features, compiled: which entity keys to load and how to fill the vector."""

    def __init__(self, spec: DetectorSpec) -> None:
        self.spec, self.features = spec, spec.features
        self.names = spec.feature_names
        placed = list(enumerate(spec.features))
        self.plain = [(i, f) for i, f in placed if f.kind in ("numeric", "category")]
        self.calendar = [(i, f.field) for i, f in placed if f.kind == "calendar"]
        self.clock = [(i, f) for i, f in placed if f.kind in ("clock_sin", "clock_cos")]
        keyed = [(i, f) for i, f in placed if f.kind in TRACKED]
        fields = spec.schema["properties"].items()
        numbers = {name for name, rule in fields if rule["type"] == "number"}
        self.entities = tuple(
            _plan_entity(key, [(i, f) for i, f in keyed if f.entity == key], numbers)
            for key in dict.fromkeys(f.entity for _, f in keyed)
        )

    @property
    def learns_labels(self) -> bool:
        """Whether a label changes what later events see."""
        return any(entity.risk_column for entity in self.entities)

    def keys(self, event: Event) -> list[tuple[str, str]]:
        """(entity field, entity) of every window that the event reads and teaches."""
        return [
            (plan.key, event.keys[plan.key]) for plan in self.entities if plan.key in event.keys
        ]

    def start(self, event: Event) -> list[float]:
        """The vector before windows: fields and calendar, the rest missing (NaN)."""
        vector = [math.nan] * len(self.names)
        for place, feature in self.plain:
            vector[place] = _value(event, feature.field, coded=feature.kind == "category")
        if self.calendar:
            parts = calendar(event.time + event.utc_offset)
            for place, part in self.calendar:
                vector[place] = parts[part]
        for place, feature in self.clock:
            vector[place] = _clock(event.fields.get(feature.field), feature.kind)
        return vector


def _clock(text: object, kind: str) -> float:
    """Sine or cosine of a time of day such as `23:15`; NaN when there is none."""
    if not isinstance(text, str):
        return math.nan
    hours, minutes = text.split(":")[:2]
    angle = 2.0 * math.pi * (int(hours) + int(minutes) / 60.0) / 24.0
    return math.sin(angle) if kind == "clock_sin" else math.cos(angle)


def calendar(local: float) -> dict[str, float]:
    """Parts of a local time (seconds since 1970 on the local clock); Monday is weekday 0."""
    hour = local % 86400.0 / 3600.0
    weekday = float((local // 86400.0 + 3) % 7)
    angle, week = 2.0 * math.pi * hour / 24.0, 2.0 * math.pi * (weekday + hour / 24.0) / 7.0
    return {
        "hour": float(int(hour)),
        "hour_sin": math.sin(angle),
        "hour_cos": math.cos(angle),
        "weekday": weekday,
        "weekday_sin": math.sin(week),
        "weekday_cos": math.cos(week),
        "weekend": float(weekday >= 5),
        "night": float(int(hour) <= NIGHT_ENDS),
    }


Rows = Sequence[list[float] | None]
"""Of one event: its state row for each of the plan's entities; None where it has no such entity."""


def state_rows(plan: FeaturePlan, event: Event) -> Rows:
    """What the event's windows would learn; `build` and `teach` both read it."""
    return [entity.values(event) if entity.key in event.keys else None for entity in plan.entities]


def build(plan: FeaturePlan, event: Event, windows: Windows, rows: Rows | None = None) -> Floats:
    """The feature vector of one event, float64[n]. `windows` is read, not taught."""
    vector = plan.start(event)
    for entity, row in zip(plan.entities, rows or state_rows(plan, event), strict=True):
        if row is None:
            continue
        window = windows[entity.key, event.keys[entity.key]]
        found = window.aggregate(entity.reading, event.time, row)
        for place, value in zip(entity.places, found, strict=False):
            vector[place] = value
        for place, cap in entity.since_last:
            vector[place] = _since(event.time, window.last_time(event.time), cap)
        for one in entity.against:
            value = row[one.column] if one.column else found[one.largest]
            minus = found[one.minus] if one.minus >= 0 else 0.0
            divisor = found[one.divisor]
            vector[one.place] = (value - minus) / divisor if divisor > 0.0 else math.nan
        for place, hours in entity.rates:
            vector[place] /= hours
    return np.array(vector, float)


def _since(now: float, last: float, cap: float) -> float:
    """Seconds since the last event, at most `cap`; an entity never seen counts as `cap`."""
    return cap if math.isnan(last) else min(now - last, cap)


def teach(
    plan: FeaturePlan,
    event: Event,
    windows: dict[tuple[str, str], EntityWindow],
    rows: Rows | None = None,
) -> None:
    """Let the event's windows learn it (in place: each is replaced by a longer one)."""
    for entity, row in zip(plan.entities, rows or state_rows(plan, event), strict=True):
        if row is not None:
            key = (entity.key, event.keys[entity.key])
            windows[key] = windows[key].learn(row, horizon=entity.horizon)


def teach_label(
    plan: FeaturePlan,
    keys: Iterable[tuple[str, str]],
    external_id: str,
    span: tuple[float, float],
    windows: dict[tuple[str, str], EntityWindow],
) -> None:
    """Let the windows of an event that was scored know its truth (in place); see `known_span`."""
    entities = {entity.key: entity for entity in plan.entities}
    for key in keys:
        column = entities[key[0]].risk_column
        if column:
            windows[key] = windows[key].mark(identity_of(external_id), column, *span)


def build_many(
    plan: FeaturePlan, events: Sequence[Event], windows: dict[tuple[str, str], EntityWindow]
) -> Floats:
    """float64[len(events), n] for events in event-time order; `windows` learn all of them.

    The same numbers as `build` and `teach` in turn, at the speed of columns.
    """
    vectors = np.array([plan.start(event) for event in events]).reshape(len(events), -1)
    for entity in plan.entities:
        own = [i for i, event in enumerate(events) if entity.key in event.keys]
        if own:
            _fill_entity(entity, [events[i] for i in own], np.array(own), vectors, windows)
    return vectors


def _fill_entity(
    entity: EntityPlan,
    events: Sequence[Event],
    own: NDArray[np.intp],
    vectors: Floats,
    windows: dict[tuple[str, str], EntityWindow],
) -> None:
    """Fill one entity key's positions for `events`, whose rows in `vectors` are `own`."""
    names = list(dict.fromkeys(event.keys[entity.key] for event in events))
    number = {name: i for i, name in enumerate(names)}
    past = [windows[entity.key, name].rows for name in names]
    rows = np.concatenate((*past, np.array([entity.values(event) for event in events], float)))
    numbers = np.concatenate(
        (
            np.repeat(np.arange(len(names)), [len(p) for p in past]),
            np.array([number[event.keys[entity.key]] for event in events]),
        )
    )
    # Stable: at one instant, what was stored before comes first, then order of arrival.
    order = np.lexsort((rows[:, 0], numbers))
    rows, numbers = rows[order], numbers[order]
    bounds = np.searchsorted(numbers, np.arange(len(names) + 1))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    at = place[len(order) - len(events) :]
    is_new = order >= len(order) - len(events)
    timeline = Timeline(rows, numbers, bounds)
    found = aggregate_many(timeline, at, entity.aggregates)
    vectors[own[:, None], list(entity.places)] = found[:, : len(entity.places)]
    for position, cap in entity.since_last:
        last = np.where(at > bounds[numbers[at]], rows[np.maximum(at - 1, 0), 0], np.nan)
        since = np.minimum(rows[at, 0] - last, cap)
        vectors[own, position] = np.where(np.isnan(last), cap, since)
    for one in entity.against:
        values = rows[at, one.column] if one.column else found[:, one.largest]
        minus, divisor = found[:, one.minus] if one.minus >= 0 else 0.0, found[:, one.divisor]
        with np.errstate(invalid="ignore", divide="ignore"):
            vectors[own, one.place] = np.where(divisor > 0.0, (values - minus) / divisor, np.nan)
    for position, hours in entity.rates:
        vectors[own, position] /= hours
    for i, name in enumerate(names):
        key, mine = (entity.key, name), slice(bounds[i], bounds[i + 1])
        grown = windows[key].grown(rows[mine], rows[mine][is_new[mine]])
        windows[key] = grown.pruned(entity.horizon)
