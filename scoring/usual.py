"""What is usual for an entity, from its own stored feature vectors, beside what is now."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scoring.core.bundle import BundleError
from scoring.core.features import category_code
from scoring.core.reasons import SHOWN_AS, USUAL, name_and_unit, number, phrase, quantiles
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec
from scoring.core.transformations import FeatureSpec
from scoring.core.types import Floats
from scoring.deployment import loaded
from scoring.models import Prediction
from scoring.prediction_reasons import Explanation, event_shown
from scoring.selectors import earlier_of_entity

MOST_EVENTS = 100
LEAST_EVENTS = 5
"""Fewer say nothing about what is usual."""
SHOWN_ROWS = 12
WIDTH, HEIGHT, EDGE = 100.0, 24.0, 3.0
FAR = 30.0
"""A sparkline is logarithmic where its ends lie further apart than this."""


@dataclass(frozen=True, slots=True)
class Own:
    """Earlier events of one entity, oldest first: `matrix` float64[n, f] in order of `names`."""

    names: tuple[str, ...]
    matrix: Floats
    rows: Sequence[Prediction]

    def typical(self, features: Sequence[FeatureSpec]) -> Floats:
        """float64[f] for `features` in order of `names`: the median, of a category the most common
        level (of equals the newest); NaN where fewer than LEAST_EVENTS are known."""
        found = np.full(len(self.names), math.nan)
        for i, feature in enumerate(features):
            known = self.known(i)
            if len(known) < LEAST_EVENTS:
                continue
            if feature.kind == "category":
                found[i] = Counter(reversed(known)).most_common(1)[0][0]
            else:
                found[i] = quantiles(known, (0.5,))[0]
        return found

    def levels(self, features: Sequence[FeatureSpec]) -> dict[str, Any]:
        """By field, each category's most common level as the newest event with it held it."""
        typical, found = self.typical(features), {}
        for i, feature in enumerate(features):
            if feature.kind != "category" or math.isnan(typical[i]):
                continue
            held = (row.event.get(feature.field) for row in reversed(self.rows))
            for value in held:
                if value is not None and category_code(str(value)) == typical[i]:
                    found[feature.field] = value
                    break
        return found

    def known(self, i: int) -> list[float]:
        """The values of one feature that were not missing."""
        return [value for value in self.matrix[:, i].tolist() if not math.isnan(value)]


def own_history(row: Prediction, names: tuple[str, ...]) -> Own:
    """The entity's newest events before this one. Those that another bundle scored count where the
    features have the same names. One query."""
    found, rows = [], []
    orders: dict[str, list[int] | None] = {}
    for old in reversed(earlier_of_entity(row, limit=MOST_EVENTS)):
        if old.bundle_digest not in orders:
            orders[old.bundle_digest] = _order(old.bundle_digest, names)
        order, vector = orders[old.bundle_digest], old.vector_array()
        if order is None or len(vector) <= max(order, default=-1):
            continue
        padded = np.append(vector, math.nan)  # -1: a feature that it did not have
        found.append(padded[order])
        rows.append(old)
    matrix = np.array(found) if found else np.empty((0, len(names)))
    return Own(names, matrix, rows)


def _order(digest: str, names: tuple[str, ...]) -> list[int] | None:
    """Where each named feature stands in a bundle's vectors, -1 where it has none of the name."""
    try:
        places = {name: i for i, name in enumerate(loaded(digest).plan.names)}
    except BundleError:
        return None
    return [places.get(name, -1) for name in names]


@dataclass(frozen=True, slots=True)
class Spark:
    """A history in a box of 100 x 24, y downwards: a line, the usual range, today's dot."""

    points: str
    now_x: float
    now_y: float
    band_y: float | None
    band_height: float | None


@dataclass(frozen=True, slots=True)
class OwnLine:
    """One fact of the entity's own past. `text` says where now stands in it, `rows` are the newest
    values as (prediction, value in words); `spark` is None where there is nothing to draw."""

    text: str
    count: int
    spark: Spark | None = None
    label: str = ""
    rows: Sequence[tuple[Prediction, str]] = field(default_factory=tuple)


def beside(
    why: Explanation | None, row: Prediction, spec: DetectorSpec | None, own: Own | None
) -> Sequence[Mapping[str, Any]]:
    """The reasons as lines, each with the entity's `own` past (an OwnLine or None).

    Where no model gave reasons, the facts that rules read stand in for them.
    """
    if own is None or spec is None:
        return [] if why is None else why.reasons
    reasons = _read_by_rules(row, spec, own) if why is None else why.reasons
    return [
        {**reason, "own": _own_line(str(reason["feature"]), row, spec, own)} for reason in reasons
    ]


def _read_by_rules(row: Prediction, spec: DetectorSpec, own: Own) -> list[dict[str, Any]]:
    features = {f.name: (i, f) for i, f in enumerate(spec.features)}
    vector, event = row.vector_array(), event_shown(row, spec)
    if len(vector) != len(spec.features):
        return []
    read = [name for hit in row.rule_hits for name in hit.get("values", {}) if name in features]
    found = []
    for name in dict.fromkeys(read):
        place, feature = features[name]
        now = phrase(spec, feature, float(vector[place]), event)
        found.append({"feature": name, "now": now[:1].upper() + now[1:], "usual": "", "weight": ""})
    return found


def _own_line(name: str, row: Prediction, spec: DetectorSpec, own: Own) -> OwnLine | None:
    feature = next((f for f in spec.features if f.name == name), None)
    if feature is None or name not in own.names:
        return None
    if feature.field in spec.pii_fields and feature.kind in ("category", "numeric"):
        return None
    word = spec.entity_word
    if not own.rows:
        return OwnLine(f"First event of this {word}: it has no history of its own", 0)
    if feature.kind in ("clock_sin", "clock_cos"):
        return None
    if feature.kind == "category":
        return _of_category(feature, row, own, word)
    return _of_number(feature, row, spec, own)


def _of_category(feature: FeatureSpec, row: Prediction, own: Own, word: str) -> OwnLine:
    values = [key_text(old.event.get(feature.field, "missing")) for old in own.rows]
    now, counts = key_text(row.event.get(feature.field, "missing")), Counter(values)
    before = counts.get(now, 0)
    most, times = counts.most_common(1)[0]
    often = f"in {before} of {len(values)} earlier events" if before else "never before"
    text = f"{now} {often} of this {word}"
    if most != now:
        text += f"; mostly {most} ({times})"
    return OwnLine(text, len(values), rows=_rows(own.rows, values))


def _of_number(feature: FeatureSpec, row: Prediction, spec: DetectorSpec, own: Own) -> OwnLine:
    place = own.names.index(feature.name)
    column = own.matrix[:, place].tolist()
    at = [i for i, value in enumerate(column) if not math.isnan(value)]
    known = [column[i] for i in at]
    now = _now(feature.name, row, spec)
    word = spec.entity_word
    if not known:
        return OwnLine(f"Never known before for this {word}", 0)
    words = _in_words(feature, spec, row.currency)
    rows = _rows([own.rows[i] for i in at], [words(value) for value in known])
    if now is None or math.isnan(now):
        return OwnLine(f"Missing now; known in {len(known)} earlier events", len(known), rows=rows)
    usual = _usual(known)
    return OwnLine(
        text=f"{_rank(known, now)}{_usually(usual, words)}",
        count=len(known),
        spark=_spark(known, now, usual),
        label=f"{len(known)} earlier values, the last {words(known[-1])}; now {words(now)}",
        rows=rows,
    )


def _now(name: str, row: Prediction, spec: DetectorSpec) -> float | None:
    vector = row.vector_array()
    if len(vector) != len(spec.features):
        return None
    return float(vector[spec.feature_names.index(name)])


def _in_words(feature: FeatureSpec, spec: DetectorSpec, currency: str) -> Any:
    show = SHOWN_AS.get(feature.kind, number)
    unit = name_and_unit(feature.label, feature.field)[1] if feature.kind == "numeric" else ""
    if feature.kind == "numeric" and feature.field == spec.amount_field:
        unit = f" {currency}"
    return lambda value: f"{show(value)}{unit}"


def _usual(known: list[float]) -> tuple[float, float] | None:
    if len(known) < LEAST_EVENTS:
        return None
    low, high = quantiles(known, USUAL)
    return low, high


def _usually(usual: tuple[float, float] | None, words: Any) -> str:
    if usual is None:
        return ", too few to say what is usual"
    low, high = words(usual[0]), words(usual[1])
    return f", usually {low}" if low == high else f", usually {low} to {high}"


def _rank(known: list[float], now: float) -> str:
    """Where now stands among what was: `Above all 48 earlier events`."""
    count, below = len(known), sum(value < now for value in known)
    above = sum(value > now for value in known)
    events = f"{count} earlier event{'' if count == 1 else 's'}"
    if below == count:
        return f"Above all {events}" if count > 1 else "Above the one earlier event"
    if above == count:
        return f"Below all {events}" if count > 1 else "Below the one earlier event"
    if below == above == 0:
        return f"As in all {events}" if count > 1 else "As in the one earlier event"
    return f"Above {below} of {events}" if below >= above else f"Below {above} of {events}"


def _spark(known: list[float], now: float, usual: tuple[float, float] | None) -> Spark:
    values = [*known, now]
    scale = _scale(values)
    step = (WIDTH - 2 * EDGE) / max(len(known), 1)
    line = [f"{EDGE + i * step:.1f},{scale(value):.1f}" for i, value in enumerate(known)]
    if len(line) == 1:
        line.append(f"{EDGE + step / 2:.1f},{scale(known[0]):.1f}")
    top = None if usual is None else scale(usual[1])
    bottom = None if usual is None else scale(usual[0])
    return Spark(
        points=" ".join(line),
        now_x=round(WIDTH - EDGE, 1),
        now_y=round(scale(now), 1),
        band_y=None if top is None else round(top, 1),
        band_height=None if top is None or bottom is None else round(max(bottom - top, 1.0), 1),
    )


def _scale(values: Iterable[float]) -> Any:
    """A value's y in the box; logarithmic where all are positive and lie far apart."""
    found = list(values)
    log = min(found) > 0 and max(found) / min(found) > FAR
    move = math.log if log else float
    low, high = move(min(found)), move(max(found))
    if not math.isfinite(high - low) or high == low:
        return lambda value: HEIGHT / 2
    room = HEIGHT - 2 * EDGE
    return lambda value: HEIGHT - EDGE - room * (move(value) - low) / (high - low)


def _rows(rows: Sequence[Prediction], texts: Sequence[str]) -> list[tuple[Prediction, str]]:
    pairs = list(zip(rows, texts, strict=True))[-SHOWN_ROWS:]
    return pairs[::-1]
