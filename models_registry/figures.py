"""A version's stored curves as Plotly figures (plain dictionaries; the looks are charts.js's)."""

from collections.abc import Sequence
from typing import Any

from models_registry.models import ModelVersion

Figure = dict[str, Any]
Point = Sequence[float]


def curve_figures(version: ModelVersion, other: ModelVersion | None) -> list[dict[str, Any]]:
    """`id`, `title`, `label`, `note` and `figure` of every curve that the version has."""
    makers = (_precision_recall, _roc, _calibration, _cost)
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
            "layout": _layout("Recall", "Precision", percent=True),
        },
    }


def _roc(version: ModelVersion, other: ModelVersion | None) -> dict[str, Any]:
    data = _both("roc", version, other)
    if data:
        data.append(_diagonal("Chance"))
    return {
        "id": "curve-roc",
        "title": "ROC",
        "label": "Recall against the false positive rate",
        "note": "further up and left is better",
        "figure": {
            "data": data,
            "layout": _layout("False positive rate", "Recall", percent=True),
        },
    }


def _calibration(version: ModelVersion, other: ModelVersion | None) -> dict[str, Any]:
    data, top = [], 0.0
    for one, looks in _contenders(version, other):
        points = one.curves.get("calibration") or []
        if points:
            xs = [point["probability"] for point in points]
            ys = [point["observed"] for point in points]
            top = max(top, *xs, *ys)
            data.append(_line(one, looks, xs, ys) | {"mode": "lines+markers"})
    if data:
        data.append(_diagonal("Exact", end=top))
    return {
        "id": "curve-calibration",
        "title": "Calibration",
        "label": "Observed share of positives against the predicted probability",
        "note": "on the dotted line, 30 % means 30 of 100",
        "figure": {
            "data": data,
            "layout": _layout("Predicted probability", "Observed share", percent=True),
        },
    }


def _cost(version: ModelVersion, other: ModelVersion | None) -> dict[str, Any]:
    data = []
    for one, looks in _contenders(version, other):
        # The axis is logarithmic: thresholds lie close together near zero.
        points = [point for point in one.curves.get("cost") or [] if point[0] > 0]
        if points:
            xs = [point[0] for point in points]
            data.append(_line(one, looks, xs, [1000 * point[1] for point in points]))
    layout = _layout("Review from this risk on", "Cost per 1,000 events", percent=False)
    layout["xaxis"] |= {"type": "log", "tickformat": ".2~%", "nticks": 6}
    layout["yaxis"] |= {"rangemode": "tozero"}
    return {
        "id": "curve-cost",
        "title": "Cost and threshold",
        "label": "Cost per 1,000 events against the review threshold",
        "note": "the lowest point is the cheapest threshold",
        "figure": {"data": data, "layout": layout},
    }


def _contenders(
    version: ModelVersion, other: ModelVersion | None
) -> list[tuple[ModelVersion, dict[str, Any]]]:
    waiting = version.stage == ModelVersion.Stage.CHALLENGER
    looks: dict[str, Any] = {"color": "@accent" if waiting else "@ink", "width": 2}
    found = [(version, looks)]
    if other is not None:
        found.append((other, {"color": "@ink" if waiting else "@low", "width": 1.5, "dash": "dot"}))
    return found


def _both(curve: str, version: ModelVersion, other: ModelVersion | None) -> list[dict[str, Any]]:
    data = []
    for one, looks in _contenders(version, other):
        points: list[Point] = one.curves.get(curve) or []
        if points:
            data.append(_line(one, looks, [p[0] for p in points], [p[1] for p in points]))
    return data


def _line(
    one: ModelVersion, looks: dict[str, Any], xs: list[float], ys: list[float]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{one.label} ({one.get_stage_display().lower()})",
        "x": xs,
        "y": ys,
        "line": looks,
        "marker": {"color": looks["color"], "size": 5},
    }


def _diagonal(name: str, *, end: float = 1.0) -> dict[str, Any]:
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


def _layout(x: str, y: str, *, percent: bool) -> dict[str, Any]:
    axis: dict[str, Any] = {"tickformat": ".0%", "rangemode": "tozero"} if percent else {}
    return {
        "xaxis": {"title": {"text": x}, **axis},
        "yaxis": {"title": {"text": y}, **axis},
        "showlegend": True,
        "margin": {"t": 24},
    }
