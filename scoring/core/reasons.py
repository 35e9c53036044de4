"""Contributions -> reasons that an analyst can read, with what is usual beside what is now."""

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from scoring.core.features import EntityPlan, FeaturePlan, Windows
from scoring.core.spec import DetectorSpec
from scoring.core.transformations import FeatureSpec
from scoring.core.types import Event, Floats, Reason

MOST_REASONS = 5
LEAST_SHARE = 0.02
"""A reason worth a line moves the margin by at least this share of the largest one."""
LEAST_HISTORY = 5
AGGREGATE_WORDS = {"std": "spread", "min": "smallest", "max": "largest"}
TITLES = {
    "since_last": "time since the {who}'s last event",
    "ratio": "{name} against the {who}'s mean over {span}",
    "deviation": "{name} in standard deviations from the {who}'s mean over {span}",
    "peak": "largest {name} of {recent} against the {who}'s mean over {span}",
    "count": "events of this {who} in {span}",
    "distinct": "different {name} values of this {who} in {span}",
    "changes": "changes of {name} an hour for this {who} over {span}",
    "risk": "share of this {who}'s events in {span} known as bad",
    "newest_risk": "whether this {who}'s newest event in {span} is known as bad",
    "since_risk": "time since this {who}'s first event in {span} known as bad",
}
TEXTS = frozenset(("category", "clock_sin", "clock_cos"))
"""Kinds told by the event's own text: the number behind it means nothing to people."""
OF_THE_EVENT = TEXTS | {"numeric"}
NOT_RANGED = TEXTS | {"calendar"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
UNIT = re.compile(r"^(.+?) \(([^()]+)\)$")
NO_RULE: Mapping[str, Any] = {}
OWN, OVERALL = "usually", "overall usually"
"""What an entity does, and what everybody does where none of the event's has enough history."""
USUAL = (0.1, 0.9)
ALMOST, WHOLE_FROM = 0.995, 0.0995
"""From the one on a share would be rounded up to all, from the other on it has no decimals."""
HALVES = 2.0**52
"""From here on a float is whole."""
UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def half_up(value: float) -> float:
    """`value` such that formatting rounds the half it is written as away from nothing (2.675 to
    2.68, 97,000.5 to 97,001), as `accounts.quantities.half_up`: this package stands alone."""
    if not 0.0 < abs(value) < HALVES:
        return value
    return math.nextafter(value, math.copysign(math.inf, value))


def duration(seconds: float) -> str:
    """`3600` -> `1 hour`; the largest unit that leaves a number of at least one."""
    for size, word in UNITS:
        if seconds >= size:
            n = round(half_up(seconds / size), 1)
            return f"{n:g} {word}{'' if n == 1 else 's'}"
    return f"{seconds:g} seconds"


def number(value: float) -> str:
    """A number as people write it: at most two decimals, thousands apart."""
    if abs(value) >= 1000:
        return f"{half_up(value):,.0f}"
    if abs(value) < 0.01:
        return f"{half_up(value):.3g}"
    return f"{half_up(value):,.2f}".rstrip("0").rstrip(".")


@lru_cache(maxsize=4096)
def _word(field: str) -> str:
    return field.replace("_", " ").lower().removesuffix(" id") or "event"


@lru_cache(maxsize=4096)
def name_and_unit(label: str, field: str) -> tuple[str, str]:
    """(name, unit) of a feature: `processor use (%)` is a name and its unit."""
    found = UNIT.match(label)
    if found is not None:
        return found[1], f" {found[2]}"
    return label or _word(field), ""


@lru_cache(maxsize=4096)
def _span(window: float, offset: float) -> str:
    """A window as people say it, after a preposition: `1 hour`."""
    if offset == 0.0:
        return duration(window)
    return f"the {duration(window)} up to {duration(offset)} ago"


def percent(share: float) -> str:
    """A share as people write it: `31 %`, `0.4 %`; `> 99 %` of what is not all."""
    if ALMOST <= share < 1.0:
        return "> 99 %"
    digits = 0 if share >= WHOLE_FROM or share == 0.0 else 1
    return f"{half_up(100.0 * half_up(share)):.{digits}f} %"


def _yes_no(value: float) -> str:
    return "yes" if value else "no"


SHOWN_AS = {
    "since_last": duration,
    "since_risk": duration,
    "risk": percent,
    "newest_risk": _yes_no,
}


def phrase(spec: DetectorSpec, feature: FeatureSpec, value: float, event: Event) -> str:
    """The value in plain words, without what is usual. A kind unknown here is named and told."""
    kind = feature.kind
    name, unit = name_and_unit(feature.label, feature.field)
    if feature.field in spec.pii_fields and kind in OF_THE_EVENT:
        return f"{name} (personal data)"
    if kind in TEXTS:
        return f"{name} {event.fields.get(feature.field, 'missing')}"
    if math.isnan(value):
        if feature.entity and feature.entity not in spec.pii_fields | event.fields.keys():
            return f"{_word(feature.entity)} missing"
        own = kind == "numeric" or not feature.entity
        return f"{name} missing" if own else f"no {name} history of this {_word(feature.entity)}"
    if kind == "numeric":
        return f"{name} {_plain(spec, feature, value, event)}{unit}"
    if kind == "calendar":
        return _calendar_phrase(feature.field, value, event)
    if not feature.entity:
        return f"{feature.label or _word(feature.name)} {number(value)}"
    return _of_history(feature, value, name, unit)


def _of_history(feature: FeatureSpec, value: float, name: str, unit: str) -> str:
    """What the windows of an entity told."""
    who, span = _word(feature.entity), _span(feature.window, feature.offset)
    match feature.kind:
        case "since_last":
            if value >= feature.window:
                return f"first event of this {who} in {span}"
            return f"{duration(value)} since the {who}'s last event"
        case "ratio":
            return f"{name} {number(value)} times the {who}'s mean over {span}"
        case "deviation" | "peak":
            return _against_usual(feature, value, name, f"the {who}'s mean over {span}")
        case "count":
            return f"{number(value)} event{'' if value == 1 else 's'} of this {who} in {span}"
        case "distinct":
            return f"{number(value)} different {name} values of this {who} in {span}"
        case "changes":
            return f"this {who} changed {name} {number(value)} times an hour over {span}"
        case "risk" | "newest_risk" | "since_risk":
            return _of_labels(feature, value, who, span)
    word = AGGREGATE_WORDS.get(feature.kind, feature.kind)
    return f"{word} of {name} {number(value)}{unit} for this {who} over {span}"


def _against_usual(feature: FeatureSpec, value: float, name: str, usual: str) -> str:
    if feature.kind == "peak":
        return f"largest {name} of {duration(feature.recent)} {number(value)} times {usual}"
    side = "above" if value >= 0.0 else "below"
    return f"{name} {number(abs(value))} standard deviations {side} {usual}"


def _of_labels(feature: FeatureSpec, value: float, who: str, span: str) -> str:
    if feature.kind == "risk":
        return f"{percent(value)} of this {who}'s events in {span} known as bad"
    if feature.kind == "newest_risk":
        return f"this {who}'s newest event in {span} {'' if value else 'not '}known as bad"
    if value >= feature.window + feature.offset:
        return f"no event of this {who} in {span} known as bad"
    return f"{duration(value)} since this {who}'s first event in {span} known as bad"


def title(feature: FeatureSpec) -> str:
    """What a feature is, without a value: `mean of amount for this user over 7 days`."""
    name, _ = name_and_unit(feature.label, feature.field)
    if not feature.entity or feature.kind == "numeric":
        return name if feature.field else feature.label or _word(feature.name)
    who, span = _word(feature.entity), _span(feature.window, feature.offset)
    word = TITLES.get(feature.kind, "{kind} of {name} for this {who} over {span}")
    kind = AGGREGATE_WORDS.get(feature.kind, feature.kind)
    recent = duration(feature.recent)
    return word.format(kind=kind, name=name, who=who, span=span, recent=recent)


def _plain(spec: DetectorSpec, feature: FeatureSpec, value: float, event: Event) -> str:
    """A number of the event itself: yes or no where the schema says so, money with its currency."""
    if _is_switch(spec, feature):
        return _yes_no(value)
    if feature.field == spec.amount_field:
        return f"{number(value)} {event.currency}"
    return number(value)


def _is_switch(spec: DetectorSpec, feature: FeatureSpec) -> bool:
    rule: Mapping[str, Any] = spec.schema["properties"].get(feature.field, NO_RULE)
    return rule.get("type") == "boolean"


def _calendar_phrase(part: str, value: float, event: Event) -> str:
    local = event.time + event.utc_offset
    if part == "weekend":
        return "on a weekend" if value else "on a working day"
    if part.startswith("weekday"):
        return f"on a {DAYS[int((local // 86400.0 + 3) % 7)]}"
    clock = local % 86400.0
    return f"at {int(clock // 3600):02d}:{int(clock % 3600 // 60):02d} local time"


def shown_values(
    spec: DetectorSpec, vector: Floats, fields: Mapping[str, Any]
) -> list[float | str | None]:
    """What each feature was, for people: the event's own word where the number only stands for it.

    None where it was missing, and for whatever is read from personal data. `fields` of the event.
    """
    found: list[float | str | None] = []
    for feature, value in zip(spec.features, vector.tolist(), strict=True):
        if feature.field in spec.pii_fields or value != value:
            found.append(None)
        else:
            found.append(fields.get(feature.field) if feature.kind in TEXTS else value)
    return found


def usual_of_entity(
    plan: EntityPlan, feature: FeatureSpec, event: Event, windows: Windows
) -> tuple[float, float] | None:
    """10th to 90th percentile of the entity's own values of a numeric field, if it has enough.

    A column that holds codes of the field's texts tells no range.
    """
    kept = zip(plan.columns, plan.coded, strict=True)
    places = [i for i, (name, coded) in enumerate(kept) if name == feature.field and not coded]
    if plan.key not in event.keys or not places:
        return None
    window = windows.get((plan.key, event.keys[plan.key]))
    if window is None:
        return None
    past = window.values(1 + places[0], event.time)
    if len(past) < LEAST_HISTORY:
        return None
    low, high = quantiles(past, USUAL)
    return low, high


def quantiles(values: Floats | list[float], shares: Sequence[float]) -> list[float]:
    """`np.quantile` (linear) of n > 0 numbers, without its price per call."""
    ranked: Sequence[float] | Floats
    # Many are sorted faster by numpy, few by Python.
    ranked = sorted(values) if isinstance(values, list) else np.sort(values)
    last = len(ranked) - 1
    found = []
    for share in shares:
        place = share * last
        below = int(place)
        low, high = float(ranked[below]), float(ranked[min(below + 1, last)])
        found.append(low + (high - low) * (place - below))
    return found


def _usual(
    spec: DetectorSpec,
    plan: FeaturePlan,
    feature: FeatureSpec,
    event: Event,
    windows: Windows,
    reference: Mapping[str, Any],
) -> tuple[tuple[float, float] | None, str, str]:
    """(what is usual, how that is said before and after it): for the entity that the event is about
    if it has a history, else for another one of the event's, which is named, else for all events.
    """
    other: tuple[tuple[float, float] | None, str, str] = (None, "", "")
    if feature.kind == "numeric":
        if _is_switch(spec, feature):
            return other
        for entity in plan.entities:
            own = usual_of_entity(entity, feature, event, windows)
            if own is not None and entity.key == spec.entity_field:
                return own, OWN, ""
            if own is not None and other[0] is None:
                other = own, OWN, f" for this {_word(entity.key)}"
    deciles = reference.get(feature.name, NO_RULE).get("deciles")
    if other[0] is not None or feature.kind in NOT_RANGED or not deciles:
        return other
    return (float(deciles[1]), float(deciles[-2])), OVERALL, ""


def explain_reasons(
    spec: DetectorSpec,
    plan: FeaturePlan,
    event: Event,
    vector: Floats,
    contributions: Floats,
    windows: Windows,
    reference: Mapping[str, Any],
    *,
    apart: bool = False,
) -> tuple[Reason, ...]:
    """The strongest contributions, largest first. `contributions`: float64[n], one per feature.

    Features that tell one thing (the sine and the cosine of a time) are one reason, under the name
    of the strongest of them and with the sum of what they contribute. `apart`: each is its own, as
    earlier releases told them.
    """
    shares, values = contributions.tolist(), vector.tolist()
    for places in () if apart else plan.told_together:
        _add_up(shares, places)
    sizes = [abs(share) for share in shares]
    order = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)[:MOST_REASONS]
    least = max(sizes, default=0.0) * LEAST_SHARE
    found = []
    for i in order:
        if sizes[i] <= least or sizes[i] == 0.0:
            break
        feature, value = spec.features[i], values[i]
        text = phrase(spec, feature, value, event)
        shown: float | str | None = None if value != value else value
        usual: tuple[float, float] | None = None
        if feature.kind in OF_THE_EVENT and feature.field in spec.pii_fields:
            shown = None
        else:
            usual, lead, whose = _usual(spec, plan, feature, event, windows, reference)
            if usual is not None and shown is not None:
                # What everybody does is one range per feature; an entity's own changes each time.
                show = _range if lead == OWN else _known_range
                text += f", {lead} {show(feature.kind, *usual)}{whose}"
            if feature.kind in TEXTS:
                shown = event.fields.get(feature.field)
        found.append(Reason(feature.name, shown, shares[i], text, usual))
    return tuple(found)


def _add_up(shares: list[float], places: Sequence[int]) -> None:
    """The sum of these contributions in the place of the largest of them, nothing in the others."""
    strongest, total = max(places, key=lambda i: abs(shares[i])), sum(shares[i] for i in places)
    for i in places:
        shares[i] = 0.0
    shares[strongest] = total


def _range(kind: str, lowest: float, highest: float) -> str:
    show = SHOWN_AS.get(kind, number)
    low, high = show(lowest), show(highest)
    return low if low == high else f"{low} to {high}"


_known_range = lru_cache(maxsize=4096)(_range)
