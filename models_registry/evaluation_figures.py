"""Figures of calibration and thresholds (plain Plotly dictionaries; the looks are charts.js's)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models_registry.core.threshold_curve import AtThresholds, Curve
from models_registry.figures import by_band, contenders, cost_title, diagonal, layout, line
from models_registry.models import ModelVersion
from scoring.core.decision import Thresholds

Figure = dict[str, Any]
Point = Mapping[str, Any]
POINTS = 160
COLOURS = {
    "Review": "@muted",
    "MEDIUM": "@medium",
    "HIGH": "@high",
    "Block": "@muted",
    "CRITICAL": "@critical",
}
"""Of what begins at a threshold; where several do, the last one's."""


def calibration_figure(
    version: ModelVersion, other: ModelVersion | None, bands: Sequence[Point]
) -> Figure | None:
    """Observed share against probability, with its interval; None where neither is calibrated.

    Ten groups of equal size, and the risk bands of the version: where few events are bad, all
    decisions lie in the last of the ten.
    """
    data = []
    for one, looks in contenders(version, other):
        points = one.curves.get("calibration") or []
        if points:
            trace = _reliability(line(one, looks, [], []), points, bars=one == version)
            data.append(trace | {"mode": "lines+markers"})
    if not data:
        return None
    if bands:
        look = by_band(version, bands, contenders(version, None)[0][1])
        data.append(_reliability(look, bands, bars=True))
    top = max(_top(trace) for trace in data)
    data.append(diagonal("Exact", end=top))
    return {
        "data": data,
        "layout": layout("Predicted probability", "Observed share", percent=True),
    }


def _reliability(trace: Figure, points: Sequence[Point], *, bars: bool) -> Figure:
    """The trace through these points; with their intervals, where `bars` and all are known."""
    trace = trace | {
        "x": [point["probability"] for point in points],
        "y": [point["observed"] for point in points],
    }
    if bars and all(point.get("high") is not None for point in points):
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [point["high"] - point["observed"] for point in points],
            "arrayminus": [point["observed"] - point["low"] for point in points],
            "color": trace["line"]["color"],
            "thickness": 1,
            "width": 3,
        }
    return trace


def _top(trace: Figure) -> float:
    """The largest number that a trace reaches on either axis."""
    above = trace.get("error_y", {}).get("array", [0.0] * len(trace["y"]))
    return max(*trace["x"], *(y + more for y, more in zip(trace["y"], above, strict=True)))


@dataclass(frozen=True, slots=True)
class Marked:
    """Thresholds to mark on the curve: whose they are, and the dash of their lines."""

    whose: str
    dash: str
    thresholds: Thresholds


def threshold_figure(curve: Curve, marked: Sequence[Marked], *, currency: str) -> Figure:
    """Cost and alerts a day over the review threshold; the capacity; thresholds and bands marked.

    `marked`: those that stand first; the next ones show only what they would change. The block
    threshold stays where it is. Without amounts there is no cost to draw.
    """
    block = marked[0].thresholds.block
    thresholds = curve.thresholds[curve.thresholds > 0]
    if thresholds.size > POINTS:
        thresholds = thresholds[np.linspace(0, thresholds.size - 1, POINTS).astype(int)]
    xs = [float(t) for t in thresholds[::-1]]
    points = [curve.at(x, max(x, block)) for x in xs]
    costs = [point.cost for point in points]
    data: list[dict[str, Any]] = []
    axes = _axes(currency)
    if all(cost is not None for cost in costs) and xs:
        data.append(_trace("Cost per 1,000 events", xs, [1000 * (c or 0.0) for c in costs]))
        top = max(1000 * (cost or 0.0) for cost in costs)
    else:
        top = 1.0
        # Only the marks stand on it; the table below is headed by its title.
        axes["yaxis"] = {"visible": False, "title": axes["yaxis2"]["title"], "range": [0.0, top]}
        axes["yaxis2"]["showgrid"] = True
    alerts = _trace("Alerts a day", xs, [point.alerts_a_day for point in points])
    data.append(alerts | {"yaxis": "y2", "line": {"color": "@accent", "width": 1.5}})
    if xs:
        data.append(
            _trace("Capacity", [xs[0], xs[-1]], [curve.capacity_a_day] * 2)
            | {"yaxis": "y2", "line": {"color": "@accent", "width": 1, "dash": "dot"}}
        )
    return {"data": data + _marks(marked, top), "layout": axes}


def cheapest_name(curve: Curve, best: AtThresholds) -> str:
    """What the cheapest is called: a first tie may be more than people can see."""
    return "Cheapest within capacity" if curve.is_within_capacity(best) else "Cheapest"


def _marks(marked: Sequence[Marked], top: float) -> list[Figure]:
    """Upright lines where decisions and risk bands begin: a colour for each, dashes for whose."""
    marks: list[Figure] = []
    drawn: set[tuple[str, float]] = set()
    for one in marked:
        for at, names in _begins(one.thresholds).items():
            new = [name for name in names if (name, at) not in drawn]
            drawn |= {(name, at) for name in new}
            if new:
                title = f"{', '.join(new)}: {one.whose}"
                marks.append(_mark(title, at, top, COLOURS[new[-1]], one.dash))
    return marks


def _begins(thresholds: Thresholds) -> dict[float, list[str]]:
    """What begins at each risk. What nothing reaches is left out, but where people would review:
    that may lie just above the highest risk, where the curve ends."""
    found: dict[float, list[str]] = {}
    for name in COLOURS:
        at = getattr(thresholds, name.lower())
        if at <= 1.0 or name == "Review":
            found.setdefault(at, []).append(name)
    return found


def _axes(currency: str) -> dict[str, Any]:
    axes = layout("Review from this risk on", cost_title(currency), percent=False)
    # The axis is logarithmic: thresholds lie close together near zero.
    axes["xaxis"] |= {"type": "log", "tickformat": "~g", "nticks": 6}
    axes["yaxis"] |= {"rangemode": "tozero"}
    # A dozen names stand above the plot, in as many rows as they need.
    axes |= {"legend": {"y": 1.0, "yanchor": "bottom"}, "margin": {"t": 48}}
    axes["yaxis2"] = {
        "title": {"text": "Alerts a day"},
        "overlaying": "y",
        "side": "right",
        "type": "log",
        "tickvals": [10.0**power for power in range(-2, 6)],
        "ticktext": ["0.01", "0.1", *(f"{10**power:,}" for power in range(6))],
        "showgrid": False,
    }
    return axes


def _trace(name: str, xs: list[float], ys: list[float]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": xs,
        "y": ys,
        "line": {"color": "@ink", "width": 2},
    }


def _mark(name: str, at: float, top: float, colour: str, dash: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [at, at],
        "y": [0.0, top],
        "line": {"color": colour, "width": 2, "dash": dash},
    }
