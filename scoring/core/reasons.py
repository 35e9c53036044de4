"""Contributions -> reasons that an analyst can read, with what is usual beside what is now."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scoring.core.features import EntityPlan, FeaturePlan, Windows
from scoring.core.spec import DetectorSpec, FeatureSpec
from scoring.core.types import Event, Floats, Reason

MOST_REASONS = 5
LEAST_SHARE = 0.02
"""A reason worth a line moves the margin by at least this share of the largest one."""
LEAST_HISTORY = 5
AGGREGATE_WORDS = {"std": "spread", "min": "smallest", "max": "largest"}
USUAL = (0.1, 0.9)
UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def duration(seconds: float) -> str:
    """`3600` -> `1 hour`; the largest unit that leaves a number of at least one."""
    for size, word in UNITS:
        if seconds >= size:
            n = round(seconds / size, 1)
            return f"{n:g} {word}{'' if n == 1 else 's'}"
    return f"{seconds:g} seconds"


def number(value: float) -> str:
    """A number as people write it: at most two decimals, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.01 else f"{value:.3g}"


def _word(field: str) -> str:
    return field.replace("_", " ").lower().removesuffix(" id") or "event"


def phrase(spec: DetectorSpec, feature: FeatureSpec, value: float, event: Event) -> str:
    """The value in plain words, without what is usual."""
    name = feature.label or _word(feature.field)
    who, window = _word(feature.entity), duration(feature.window)
    if feature.kind == "category":
        return f"{name} {event.fields.get(feature.field, 'missing')}"
    if math.isnan(value):
        return (
            f"{name} missing" if feature.kind == "numeric" else f"no {name} history of this {who}"
        )
    match feature.kind:
        case "calendar":
            return _calendar_phrase(feature.field, value, event)
        case "since_last":
            if value >= feature.window:
                return f"first event of this {who} in {window}"
            return f"{duration(value)} since the {who}'s last event"
        case "ratio":
            return f"{name} {number(value)} times the {who}'s mean over {window}"
        case "count":
            return f"{number(value)} event{'' if value == 1 else 's'} of this {who} in {window}"
        case "distinct":
            return f"{number(value)} different {name} values of this {who} in {window}"
        case "numeric":
            return f"{name} {number(value)}"
    word = AGGREGATE_WORDS.get(feature.kind, feature.kind)
    return f"{word} of {name} {number(value)} for this {who} over {window}"


def _calendar_phrase(part: str, value: float, event: Event) -> str:
    local = (event.time + event.utc_offset) % 86400.0
    clock = f"{int(local // 3600):02d}:{int(local % 3600 // 60):02d}"
    if part == "weekend":
        return "on a weekend" if value else "on a working day"
    if part == "weekday":
        days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        return f"on a {days[int(value)]}"
    return f"at {clock} local time"


def usual_of_entity(
    plan: EntityPlan, feature: FeatureSpec, event: Event, windows: Windows
) -> tuple[float, float] | None:
    """10th to 90th percentile of the entity's own values of a numeric field, if it has enough."""
    if plan.key not in event.keys or feature.field not in plan.columns:
        return None
    window = windows.get((plan.key, event.keys[plan.key]))
    if window is None:
        return None
    past = window.values(1 + plan.columns.index(feature.field), event.time)
    if len(past) < LEAST_HISTORY:
        return None
    low, high = quantiles(past, USUAL)
    return low, high


def quantiles(values: Floats, shares: Sequence[float]) -> list[float]:
    """`np.quantile` (linear) of float64[n], n > 0, without its price per call."""
    places = [share * (len(values) - 1) for share in shares]
    below = [int(place) for place in places]
    above = [min(place + 1, len(values) - 1) for place in below]
    ranked = np.partition(values, sorted({*below, *above}))
    return [
        float(ranked[low] + (ranked[high] - ranked[low]) * (place - low))
        for place, low, high in zip(places, below, above, strict=True)
    ]


def _usual(
    spec: DetectorSpec,
    plan: FeaturePlan,
    feature: FeatureSpec,
    event: Event,
    windows: Windows,
    reference: Mapping[str, Any],
) -> tuple[tuple[float, float] | None, str]:
    """What is usual, for the entity itself if it has a history, else for all events."""
    if feature.kind == "numeric":
        for entity in plan.entities:
            own = usual_of_entity(entity, feature, event, windows)
            if own is not None:
                return own, "usually"
    deciles = reference.get(feature.name, {}).get("deciles")
    if feature.kind in ("category", "calendar") or not deciles:
        return None, ""
    return (float(deciles[1]), float(deciles[-2])), "most are"


def explain_reasons(
    spec: DetectorSpec,
    plan: FeaturePlan,
    event: Event,
    vector: Floats,
    contributions: Floats,
    windows: Windows,
    reference: Mapping[str, Any],
) -> tuple[Reason, ...]:
    """The strongest contributions, largest first. `contributions`: float64[n], one per feature."""
    shares = contributions.tolist()
    sizes = [abs(share) for share in shares]
    order = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)[:MOST_REASONS]
    least = max(sizes, default=0.0) * LEAST_SHARE
    found = []
    for i in order:
        if sizes[i] <= least or sizes[i] == 0.0:
            break
        feature, value = spec.features[i], float(vector[i])
        usual, lead = _usual(spec, plan, feature, event, windows, reference)
        text = phrase(spec, feature, value, event)
        if usual is not None and not math.isnan(value):
            text += f", {lead} {_range(feature, usual)}"
        shown: float | str | None = None if math.isnan(value) else value
        if feature.kind == "category":
            shown = event.fields.get(feature.field)
        found.append(Reason(feature.name, shown, shares[i], text, usual))
    return tuple(found)


def _range(feature: FeatureSpec, usual: Sequence[float]) -> str:
    show = duration if feature.kind == "since_last" else number
    low, high = show(usual[0]), show(usual[1])
    return low if low == high else f"{low} to {high}"
