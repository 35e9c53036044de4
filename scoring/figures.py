"""Plotly figures of predictions, as plain dicts: data and axes, no looks (docs/frontend.md)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scoring.core.reasons import half_up

TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)
LEAST_TICK_GAP = 0.19
DECISION_LOOKS = {"APPROVE": ("Approved", "@low"), "REVIEW": ("Review", "@medium")}
BLOCKED = ("Blocked", "@critical")
LABEL_LOOKS = {True: ("fraud", "x"), False: ("legitimate", "circle-open"), None: ("", "circle")}
LOG_SPREAD = 100.0
AT_ONCE, HALF_A_DAY = timedelta(hours=1), timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of the waterfall: what moved the margin, by how much, and how that is written."""

    label: str
    amount: float
    weight: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One event of a history. `value` is an amount or a risk; `url` is where a click leads."""

    at: str
    value: float
    decision: str
    is_fraud: bool | None
    text: str
    url: str


def waterfall(
    base: float, steps: Sequence[Step], *, share: Callable[[float], float], noun: str
) -> dict[str, Any]:
    """From the base through each step to the margin; the axis reads as `share(margin)` in percent.

    `share` maps a margin to what `noun` names (a probability), rising, within [0, 1].
    """
    starts, at = [], base
    for step in steps:
        starts.append(at)
        at += step.amount
    names = distinct([f"Before this event: {percent(share(base))}"] + [s.label for s in steps])
    names += [f"{noun}: {percent(share(at))}"]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "y": [names[0], names[-1]],
        "x": [base, at],
        "marker": {"color": "@ink", "size": 9, "symbol": "diamond"},
        "hovertemplate": "%{y}<extra></extra>",
        "name": "Margin",
    }
    ends = [base, *starts, at, *[s + step.amount for s, step in zip(starts, steps, strict=True)]]
    return {
        "data": [dots, _bars(names[1:-1], starts, steps)],
        "layout": _waterfall_layout(names, min(ends), max(ends), share),
    }


def _bars(names: Sequence[str], starts: Sequence[float], steps: Sequence[Step]) -> dict[str, Any]:
    """A bar per step, from where the one before it ended."""
    return {
        "type": "bar",
        "orientation": "h",
        "y": list(names),
        "base": list(starts),
        "x": [step.amount for step in steps],
        "marker": {"color": ["@critical" if step.amount > 0 else "@low" for step in steps]},
        "text": [step.weight for step in steps],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": [plain(step.detail or step.label) for step in steps],
        "hovertemplate": "%{customdata}<br>%{text}<extra></extra>",
        "name": "Contribution to the margin",
    }


def _waterfall_layout(
    names: Sequence[str], low: float, high: float, share: Callable[[float], float]
) -> dict[str, Any]:
    """Axes for margins from low to high, with room for the weights beside the bars."""
    pad = max(high - low, 1e-6) * 0.2
    values, words = probability_ticks(low - pad, high + pad, share)
    return {
        "yaxis": {
            "categoryorder": "array",
            "categoryarray": list(names),
            "autorange": "reversed",
            "showgrid": False,
            "title": {"text": ""},
        },
        "xaxis": {
            "range": [low - pad, high + pad],
            "tickangle": 0,
            "tickvals": values,
            "ticktext": words,
            "zeroline": False,
            "title": {"text": ""},
        },
        "margin": {"r": 44},
    }


def probability_ticks(
    low: float, high: float, share: Callable[[float], float]
) -> tuple[list[float], list[str]]:
    """Where on a margin axis to write which percentage, far enough apart to be read."""
    values: list[float] = []
    words: list[str] = []
    for tick in TICKS:
        place = _inverse(share, tick, low, high)
        if place is None or (values and (place - values[-1]) < LEAST_TICK_GAP * (high - low)):
            continue
        values.append(place)
        words.append(percent(tick))
    return values, words


def _inverse(share: Callable[[float], float], wanted: float, low: float, high: float) -> Any:
    """The margin within [low, high] whose share is `wanted`, by bisection; None if outside."""
    if not share(low) < wanted < share(high):
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) < wanted else (low, middle)
    return (low + high) / 2


def percent(share: float) -> str:
    """A share as people read it: `87 %`, `0.4 %`, `> 99.9 %`."""
    if 0.999 < share < 1.0:
        return "> 99.9 %"
    if 0.0 < share < 0.001:
        return "< 0.1 %"
    digits = 1 if share < 0.0995 and round(share * 100, 1) != round(share * 100) else 0
    if 0.99 < share < 1.0:
        digits = 1
    return f"{half_up(100.0 * half_up(share)):.{digits}f} %"


def history(points: Sequence[Point], *, title: str, now: Sequence[Point] = ()) -> dict[str, Any]:
    """Events over time by decision (colour) and label (symbol); `now` are ringed."""
    title = plain(title)
    groups: dict[tuple[str, bool | None], list[Point]] = {}
    for point in points:
        groups.setdefault((point.decision, point.is_fraud), []).append(point)
    order = ["APPROVE", "REVIEW", "BLOCK"]
    keys = sorted(groups, key=lambda key: (order.index(key[0]), str(key[1])))
    traces = [_ring(now)] if now else []
    traces += [_trace(key, groups[key]) for key in keys]
    values = [point.value for point in points if point.value > 0]
    log = len(values) == len(points) > 0 and max(values) / min(values) > LOG_SPREAD
    axis: dict[str, Any] = {"title": {"text": title}, "rangemode": "tozero"}
    if log:
        axis = {"title": {"text": f"{title}, logarithmic"}, "type": "log", "dtick": 1}
    layout = {
        "showlegend": False,  # the page has one, the same for every history
        "xaxis": {"title": {"text": ""}, "type": "date", **_time_range(points)},
        "yaxis": axis,
    }
    return {"data": traces, "layout": layout}


def _time_range(points: Sequence[Point]) -> dict[str, Any]:
    """Half a day on either side of events that happened (nearly) at once; else as they come."""
    times = [datetime.fromisoformat(point.at) for point in points]
    if not times or max(times) - min(times) > AT_ONCE:
        return {}
    return {"range": [(min(times) - HALF_A_DAY).isoformat(), (max(times) + HALF_A_DAY).isoformat()]}


def _trace(key: tuple[str, bool | None], points: Sequence[Point]) -> dict[str, Any]:
    decided, colour = DECISION_LOOKS.get(key[0], BLOCKED)
    found, symbol = LABEL_LOOKS[key[1]]
    outline = 1.5 if symbol.endswith("open") else 0
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{decided}, {found}" if found else decided,
        "x": [point.at for point in points],
        "y": [point.value for point in points],
        "text": [plain(point.text) for point in points],
        "customdata": [point.url for point in points],
        "hovertemplate": "%{text}<br>%{x}<extra></extra>",
        "marker": {"color": colour, "size": 8, "symbol": symbol, "line": {"width": outline}},
    }


def _ring(points: Sequence[Point]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "This alert",
        "x": [point.at for point in points],
        "y": [point.value for point in points],
        "hoverinfo": "skip",
        "marker": {"color": "@ink", "size": 15, "symbol": "circle-open", "line": {"width": 1.5}},
    }


def plain(text: str) -> str:
    """Plotly reads a few HTML tags in texts; what an event or a declaration says is
    never markup."""
    return text.replace("<", "\u2039").replace(">", "\u203a")


def distinct(labels: Sequence[str]) -> list[str]:
    """Different names, whole (the page cuts what it has no room for): bars of one name would fall
    onto each other."""
    seen: dict[str, int] = {}
    names = []
    for label in labels:
        text = plain(label)
        seen[text] = seen.get(text, 0) + 1
        names.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return names


def addition(amount: float) -> str:
    """An addition to a margin after its sign, with three figures."""
    if abs(amount) < 0.0005:
        return "\u2248 0"
    size = f"> {1000:,}" if abs(amount) >= 999.5 else f"{abs(amount):.3g}"
    return f"{'+' if amount >= 0 else chr(0x2212)} {size}"


def factor(amount: float, *, base: float) -> str:
    """What an addition to a margin multiplies or divides, as a number after its sign."""
    exponent = abs(amount) * math.log(base)
    sign = "\u00d7" if amount >= 0 else "÷"
    if exponent > math.log(1000.0):
        return f"{sign} > 1,000"
    times = half_up(math.exp(exponent))
    if times < 1.005:
        return "\u2248 1"
    return f"{sign} {times:.0f}" if times >= 10 else f"{sign} {times:.{1 if times >= 1.1 else 2}f}"
