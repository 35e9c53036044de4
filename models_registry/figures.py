"""A version's stored curves as Plotly figures (plain dictionaries; the looks are charts.js's)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from accounts.quantities import SIGNS
from models_registry.models import ModelVersion

Figure = dict[str, Any]
Point = Sequence[float]
MARGIN: Final = {"t": 24, "r": 24}
"""Room for the names of the lines, and for half of the last tick: `100%` is left out without it."""


def curve_figures(version: ModelVersion, other: ModelVersion | None) -> list[dict[str, Any]]:
    """`id`, `title`, `label`, `note` and `figure` of every curve that the version has."""
    makers = (_precision_recall, _roc)
    found = [make(version, other) for make in makers]
    return [curve for curve in found if curve["figure"]["data"]]


def _precision_recall(version: ModelVersion, other: ModelVersion | None) -> dict[str, Any]:
    return {
        "id": "curve-pr",
        "title": "Precision and recall",
        "label": "Precision against recall",
        "note": "further up and right is better",
        "figure": {
            "data": _both("precision_recall", version, other),
            "layout": layout("Recall", "Precision", percent=True),
        },
    }


def _roc(version: ModelVersion, other: ModelVersion | None) -> dict[str, Any]:
    data = _both("roc", version, other)
    if data:
        data.append(diagonal("Chance"))
    return {
        "id": "curve-roc",
        "title": "ROC",
        "label": "Recall against the false positive rate",
        "note": "further up and left is better",
        "figure": {
            "data": data,
            "layout": layout("False positive rate", "Recall", percent=True),
        },
    }


def contenders(
    version: ModelVersion, other: ModelVersion | None
) -> list[tuple[ModelVersion, dict[str, Any]]]:
    """The version and the other one, each with the looks of its line."""
    waiting = version.stage == ModelVersion.Stage.CHALLENGER
    looks: dict[str, Any] = {"color": "@accent" if waiting else "@ink", "width": 2}
    found = [(version, looks)]
    if other is not None:
        found.append((other, {"color": "@ink" if waiting else "@low", "width": 1.5, "dash": "dot"}))
    return found


def _both(curve: str, version: ModelVersion, other: ModelVersion | None) -> list[dict[str, Any]]:
    data = []
    for one, looks in contenders(version, other):
        points: list[Point] = one.curves.get(curve) or []
        if points:
            data.append(line(one, looks, [p[0] for p in points], [p[1] for p in points]))
    return data


def line(
    one: ModelVersion, looks: dict[str, Any], xs: list[float], ys: list[float]
) -> dict[str, Any]:
    """A version's line."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{one.label} ({one.get_stage_display().lower()})",
        "x": xs,
        "y": ys,
        "line": looks,
        "marker": {"color": looks["color"], "size": 5},
    }


def diagonal(name: str, *, end: float = 1.0) -> dict[str, Any]:
    """A dotted line from the origin to (end, end)."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [0, end],
        "y": [0, end],
        "line": {"color": "@line", "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def by_band(
    one: ModelVersion, bands: Sequence[Mapping[str, Any]], looks: dict[str, Any]
) -> dict[str, Any]:
    """A version's calibration in its risk bands: a mark each, named by the band."""
    xs, ys = ([point[key] for point in bands] for key in ("probability", "observed"))
    return line(one, looks, xs, ys) | {
        "name": f"{one.label} by risk band",
        "mode": "markers",
        "text": [point["level"] for point in bands],
        "hovertemplate": "%{text}: %{x:.2%}, observed %{y:.2%}<extra></extra>",
        "marker": {"color": looks["color"], "size": 10, "symbol": "diamond-open"},
    }


def layout(x: str, y: str, *, percent: bool) -> dict[str, Any]:
    """Axes with these titles."""
    axis: dict[str, Any] = {"tickformat": ".2~%", "rangemode": "tozero"} if percent else {}
    return {
        "xaxis": {"title": {"text": x}, **axis},
        "yaxis": {"title": {"text": y}, **axis},
        "showlegend": True,
        "margin": MARGIN,
    }


def cost_title(currency: str) -> str:
    """The title of an axis of costs, with its unit."""
    return f"Cost per 1,000 events, {SIGNS.get(currency, currency)}"
