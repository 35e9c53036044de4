"""Plotly figures of dashboards, as plain dicts: data and axes, no looks (docs/frontend.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cases.agreement import Share

Figure = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Series:
    """One run of values over the points of a chart. `url` leads to the rows behind a point, once
    charts.js has filled in `{first}` and `{last}` of it (a hundred addresses would be heavy)."""

    name: str
    values: Sequence[float | None]
    colour: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Points:
    """Where the values of a chart stand: what the axis says, and the ends of each in addresses."""

    names: Sequence[str]
    first: Sequence[str]
    last: Sequence[str]
    title: str = "Day (UTC)"


def bars(points: Points, series: Sequence[Series], *, axis: str) -> Figure:
    """Bars on top of each other."""
    data = [
        {
            "type": "bar",
            "name": one.name,
            "x": list(points.names),
            "y": list(one.values),
            "meta": {"url": one.url},
            "marker": {"color": one.colour},
            "hovertemplate": "%{x}<br>" + one.name + ": %{y:,}<extra></extra>",
        }
        for one in series
    ]
    return {
        "data": data,
        "layout": _layout(axis, points) | {"barmode": "relative", "bargap": 0.2},
    }


def lines(points: Points, series: Sequence[Series], *, axis: str, suffix: str = "") -> Figure:
    """Lines with a mark at each point; gaps where nothing is known."""
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": one.name,
            "x": list(points.names),
            "y": list(one.values),
            "meta": {"url": one.url},
            "connectgaps": False,
            "line": {"color": one.colour, "width": 2},
            "marker": {"color": one.colour, "size": 5},
            "hovertemplate": "%{x}<br>" + one.name + ": %{y:,.3~r}" + suffix + "<extra></extra>",
        }
        for one in series
    ]
    return {"data": data, "layout": _layout(axis, points)}


def shares(
    points: Points,
    series: Sequence[tuple[str, Sequence[Share], str, str]],
    *,
    axis: str,
    open_at: Sequence[bool],
) -> Figure:
    """Shares with their 95 % intervals; a hollow mark where more is still to come (`open_at`)."""
    data = []
    for name, found, colour, url in series:
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": list(points.names),
                "y": [None if one.value is None else round(one.value, 4) for one in found],
                "meta": {"url": url},
                "connectgaps": False,
                "line": {"color": colour, "width": 1.5},
                "marker": {
                    "color": colour,
                    "size": 7,
                    "symbol": ["circle-open" if one else "circle" for one in open_at],
                },
                "error_y": _intervals(found, colour),
                "text": [f"{one.hits:,} of {one.total:,}" for one in found],
                "hovertemplate": "%{x}<br>" + name + ": %{y:.1%}, %{text}<extra></extra>",
            }
        )
    layout = _layout(axis, points)
    layout["yaxis"] |= {"tickformat": ".2~%"}
    return {"data": data, "layout": layout}


def _intervals(found: Sequence[Share], colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [_gap(one.high, one.value) for one in found],
        "arrayminus": [_gap(one.value, one.low) for one in found],
        "color": colour,
        "thickness": 1,
        "width": 2,
    }


def _gap(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else round(high - low, 4)


def _layout(axis: str, points: Points) -> dict[str, Any]:
    kind = {"type": "date"} if points.title == "Day (UTC)" else {"type": "category"}
    return {
        "xaxis": {"title": {"text": points.title}, **kind},
        "yaxis": {"title": {"text": axis}, "rangemode": "tozero"},
        "showlegend": True,
        "margin": {"t": 24},
        "meta": {"first": list(points.first), "last": list(points.last)},
    }
