"""A detector's features, compiled: what each entity key tracks, and what fills which place of the
feature vector (`vectors` builds it).
"""

import hashlib
import math
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scoring.core.aggregates import RISKS, Aggregate, Reading
from scoring.core.spec import DetectorSpec
from scoring.core.transformations import AGAINST, TRACKED, FeatureSpec
from scoring.core.types import Event
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


def as_held(value: Any, *, coded: bool) -> float:
    """A field's value as windows and vectors hold it: a code of its text, or the number itself."""
    return category_code(str(value)) if coded else float(value)


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
    come late (MOST_LATE). Aggregates read the last `whole` of them, late events counted; of what is
    older a busy entity keeps the newest alone (`EntityWindow.thinned`).
    Where labels matter, three more columns follow: the event's identity, and since and until when
    it was known as fraud; `risk_column` is the second of them (0: labels do not matter).
    """

    key: str
    columns: tuple[str, ...]
    coded: tuple[bool, ...]
    reach: float
    horizon: float
    whole: float
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
    # `as_held`, without its price per call.
    return category_code(str(value)) if coded else float(value)


def _plan_entity(
    key: str, features: Sequence[tuple[int, FeatureSpec]], numbers: Collection[str]
) -> EntityPlan:
    """`features` by their places in the vector; `numbers` are the fields of type `number`."""
    columns = _columns([feature for _, feature in features], numbers)
    position = {name: at for at, name in enumerate(columns, start=1)}
    risk_column = 2 + len(columns) if any(f.kind in RISKS for _, f in features) else 0
    read = [(i, f) for i, f in features if f.kind != "since_last" and f.kind not in AGAINST]
    aggregates = [
        Aggregate(
            f.kind,
            risk_column if f.kind in RISKS else position.get(f.field, 0),
            f.window,
            f.offset,
            f.include_current,
        )
        for _, f in read
    ]
    against = [
        _against(place, feature, position[feature.field], aggregates)
        for place, feature in features
        if feature.kind in AGAINST
    ]
    reach = max(f.reach for _, f in features)
    late = min(reach, MOST_LATE)
    counted = max((f.reach for _, f in features if f.kind != "since_last"), default=0.0)
    return EntityPlan(
        key=key,
        columns=tuple(columns),
        coded=tuple(columns.values()),
        reach=reach,
        horizon=reach + late,
        whole=counted + late,
        signature=_signature(columns, reach, risk_column),
        aggregates=tuple(aggregates),
        reading=Reading(aggregates),
        places=tuple(place for place, _ in read),
        since_last=tuple((i, f.window) for i, f in features if f.kind == "since_last"),
        against=tuple(against),
        rates=tuple((i, f.window / 3600.0) for i, f in read if f.kind == "changes"),
        risk_column=risk_column,
    )


def _columns(features: Iterable[FeatureSpec], numbers: Collection[str]) -> dict[str, bool]:
    """Each field that the features read, in their order, and whether its values are coded.

    Only fields that are told apart are, and not those of type `number`, because 5 and 5.0 are one.
    Whole numbers and truths are told apart alike as numbers and by their codes.
    """
    columns: dict[str, bool] = {}
    for feature in features:
        if feature.field:
            coded = feature.kind in ("distinct", "changes") and feature.field not in numbers
            columns[feature.field] = columns.get(feature.field, coded) and coded
    return columns


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
        subjects: dict[tuple[str, ...], list[int]] = {}
        for i, f in placed:
            subjects.setdefault(f.subject, []).append(i)
        self.told_together = [places for places in subjects.values() if len(places) > 1]
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
