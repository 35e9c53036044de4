"""Parameters, metrics and curves that an imported file states: kept where pages can show them."""

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from models_registry.shapes import (
    Misfit,
    Shape,
    absent_or,
    by_name,
    count,
    each,
    fields,
    finite,
    is_finite,
    is_number,
    number,
    row,
    text,
)
from scoring.core.types import RISK_LEVELS, RiskLevel

MOST_POINTS = 2000
OF_POINTS = {
    "calibration": {"probability", "observed"},
    "calibration_bands": {"level", "probability", "observed", "count"},
}
"""Curves of numbers by name, and what each point says."""
BOUNDS = ("low", "high")
"""Of a point: None where no interval was made."""
DEEPEST = 5
CORRECTED = absent_or(fields({"value": number, "low": number, "high": number}))
PARTS: Final[Mapping[str, Shape]] = {
    "calibration": fields({"chosen": text, "why": text}, brier=by_name(number)),
    "audited": absent_or(
        fields(
            dict.fromkeys(("events", "drawn", "audited", "audited_positives", "looked_at"), count)
            | dict.fromkeys(("answered", "effective_size", "naive_recall"), number),
            recall=CORRECTED,
            precision=CORRECTED,
            prevalence=CORRECTED,
        )
    ),
    "tuning": absent_or(
        fields(
            dict.fromkeys(("trials", "given_up", "folds"), count)
            | {
                "seconds": finite,
                "default": number,
                "best": number,
                "parameters": by_name(lambda value: value),
            },
            failed=count,
            took=number,
            chosen=each(count),
        )
    ),
    "resampled": fields(
        {"resamples": count, "blocks": count, "unit": text},
        positive_blocks=finite,
        legitimate_blocks=finite,
    ),
}
"""What metrics hold beside numbers."""


def _days(value: Any) -> Any:
    if not finite(value) > 0.0:
        raise Misfit(f"{value} days are none")
    return value


def _cut(value: Any) -> Any:
    """Those that were kept before all events were counted have four numbers."""
    of = (finite, count, count, number, count)
    return row(*of[: 4 if isinstance(value, list) and len(value) == 4 else 5])(value)


THRESHOLDS: Final = fields(
    {
        "days": _days,
        "rows": count,
        "positives": count,
        "lost_if_approved": number,
        "cuts": each(_cut, most=MOST_POINTS),
    },
    events=count,
)
"""The curve of `core.threshold_curve`."""


def moment_of(text: Any) -> datetime:
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.astimezone(UTC)


def plain(value: Any, depth: int = 0) -> Any:
    """Objects, lists, finite numbers and short texts, a few levels deep; anything else is None."""
    if depth > DEEPEST:
        return None
    if isinstance(value, dict):
        return {str(key)[:80]: plain(item, depth + 1) for key, item in list(value.items())[:200]}
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value[:200]]
    if isinstance(value, str):
        return value[:200]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | bool) else None


def stated_parameters(found: Any) -> dict[str, Any]:
    """By name, as plain values: pages and evaluations look them up."""
    told = plain(found)
    if not isinstance(told, dict):
        raise ValueError("its parameters are no object")
    return told


def stated_metrics(found: Any) -> dict[str, Any]:
    """Numbers by name, with their intervals, ceilings and PARTS; anything else is left out."""
    told = plain(found)
    if not isinstance(told, dict):
        raise ValueError("its metrics are no object")
    intervals, ceilings = told.pop("intervals", None), told.pop("ceilings", None)
    kept = {name: value for name, value in told.items() if is_number(value)}
    if isinstance(told.get("known_at"), str):
        kept["known_at"] = moment_of(told["known_at"]).isoformat()
    if isinstance(intervals, dict):
        kept["intervals"] = {name: pair for name, pair in intervals.items() if _is_span(pair)}
    if isinstance(ceilings, dict):
        kept["ceilings"] = {name: value for name, value in ceilings.items() if is_finite(value)}
    for name, shape in PARTS.items():
        with suppress(Misfit):
            kept |= {name: shape(told[name])} if name in told else {}
    return kept


def stated_curves(found: Any) -> dict[str, Any]:
    """The curve of thresholds, and those whose points are pairs of numbers, or numbers by name (of
    a risk band: with its name); others are left out."""
    if not isinstance(found, dict):
        raise ValueError("its curves are no object")
    told = dict(list(found.items())[:20])
    kept = {str(name)[:80]: points for name, points in told.items() if _is_curve(name, points)}
    with suppress(Misfit):
        kept |= {"thresholds": THRESHOLDS(told["thresholds"])} if "thresholds" in told else {}
    return kept


def _is_curve(name: str, points: Any) -> bool:
    return (
        isinstance(points, list)
        and len(points) <= MOST_POINTS
        and (all(map(_is_pair, points)) or all(map(_is_point, points)))
        and name != "thresholds"
        and (name in OF_POINTS) == bool(points and isinstance(points[0], dict))
        and (name not in OF_POINTS or all(OF_POINTS[name] <= point.keys() for point in points))
    )


def _is_pair(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(map(is_finite, point))


def _is_span(bounds: Any) -> bool:
    """An interval; of None twice where none was made."""
    return _is_pair(bounds) or bounds == [None, None]


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, Mapping)
        and point.get("level", RiskLevel.LOW) in RISK_LEVELS
        and all(
            is_number(value) if name in BOUNDS else is_finite(value)
            for name, value in point.items()
            if name != "level"
        )
    )
