"""Parameters, metrics and curves that an imported file states: kept where pages can show them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scoring.core.types import RISK_LEVELS, RiskLevel

MOST_POINTS = 2000
OF_POINTS = {
    "calibration": {"probability", "observed"},
    "calibration_bands": {"level", "probability", "observed", "count"},
}
"""Curves of numbers by name, and what each point says."""
DEEPEST = 5
LARGEST = 1e300


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
    """Numbers by name, with their intervals and ceilings; anything else is left out."""
    told = plain(found)
    if not isinstance(told, dict):
        raise ValueError("its metrics are no object")
    intervals, ceilings = told.pop("intervals", None), told.pop("ceilings", None)
    kept = {name: value for name, value in told.items() if _is_number(value)}
    if isinstance(told.get("known_at"), str):
        kept["known_at"] = moment_of(told["known_at"]).isoformat()
    if isinstance(intervals, dict):
        kept["intervals"] = {name: pair for name, pair in intervals.items() if _is_pair(pair)}
    if isinstance(ceilings, dict):
        kept["ceilings"] = {name: value for name, value in ceilings.items() if _is_finite(value)}
    return kept


def _is_number(value: Any) -> bool:
    return value is None or _is_finite(value)


def _is_finite(value: Any) -> bool:
    """A number that every database and page takes: not 1e999, which JSON reads as infinite."""
    return type(value) in (int, float) and abs(value) < LARGEST


def stated_curves(found: Any) -> dict[str, Any]:
    """Curves whose points are pairs of numbers, or numbers by name (of a risk band: with its name);
    others are left out."""
    if not isinstance(found, dict):
        raise ValueError("its curves are no object")
    return {
        str(name)[:80]: points
        for name, points in list(found.items())[:20]
        if isinstance(points, list)
        and len(points) <= MOST_POINTS
        and (all(map(_is_pair, points)) or all(map(_is_point, points)))
        and (name in OF_POINTS) == bool(points and isinstance(points[0], dict))
        and (name not in OF_POINTS or all(OF_POINTS[name] <= point.keys() for point in points))
    }


def _is_pair(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(map(_is_finite, point))


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, Mapping)
        and point.get("level", RiskLevel.LOW) in RISK_LEVELS
        and all(_is_finite(value) for name, value in point.items() if name != "level")
    )
