"""Curves of two or three versions in one Plotly figure each (plain dictionaries)."""

from collections.abc import Sequence
from typing import Any

from models_registry.figures import MARGIN, by_band, cost_title, diagonal
from models_registry.models import ModelVersion

EVENTS = 1000
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "@accent", "width": 2},
    {"color": "@ink", "width": 1.5, "dash": "dash"},
    {"color": "@muted", "width": 1.5, "dash": "dot"},
)
"""Lines differ by their dashes too, for who cannot tell colours apart."""
CURVES = (
    ("precision_recall", "Precision and recall", "Recall", "Precision"),
    ("roc", "ROC", "False positive rate", "Recall"),
    ("calibration", "Calibration", "Predicted probability", "Observed share"),
    ("cost", "Cost and threshold", "Review from this risk on", "Cost per 1,000 events"),
)


def overlaid(versions: Sequence[ModelVersion], currency: str) -> list[dict[str, Any]]:
    """`id`, `title`, `label` and `figure` of every curve that at least one version has; costs are
    in `currency`."""
    found = []
    for key, title, x, y in CURVES:
        data = [
            line
            for version, looks in zip(versions, LOOKS, strict=False)
            if (line := _line(key, version, looks))
        ]
        if data and key == "calibration":
            data += _beside_calibration(versions, data)
        if data:
            names = ", ".join(version.label for version in versions)
            unit = cost_title(currency) if key == "cost" else y
            found.append(
                {
                    "id": f"overlay-{key.replace('_', '-')}",
                    "title": title,
                    "label": f"{y} against {x.lower()} of {names}",
                    "figure": {"data": data, "layout": _layout(key, x, unit)},
                }
            )
    return found


def _line(key: str, version: ModelVersion, looks: dict[str, Any]) -> dict[str, Any] | None:
    points = version.curves.get(key) or []
    if key == "calibration":
        pairs = [(point["probability"], point["observed"]) for point in points]
    elif key == "cost":
        # The axis is logarithmic: thresholds lie close together near zero.
        pairs = [(point[0], EVENTS * point[1]) for point in points if point[0] > 0]
    else:
        pairs = [(point[0], point[1]) for point in points]
    if not pairs:
        return None
    return {
        "type": "scatter",
        "mode": "lines+markers" if key == "calibration" else "lines",
        "name": f"{version.label} ({version.get_stage_display().lower()})",
        "x": [x for x, _ in pairs],
        "y": [y for _, y in pairs],
        "line": looks,
        "marker": {"color": looks["color"], "size": 5},
    }


def _beside_calibration(
    versions: Sequence[ModelVersion], lines: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The risk bands of each version that keeps them, and what exact probabilities would draw.

    Where few events are bad, all decisions lie in the last of the ten groups of a line.
    """
    marks = [
        by_band(version, bands, looks)
        for version, looks in zip(versions, LOOKS, strict=False)
        if (bands := version.curves.get("calibration_bands"))
    ]
    top = max(max(*trace["x"], *trace["y"]) for trace in [*lines, *marks])
    return [*marks, diagonal("Exact", end=top)]


def _layout(key: str, x: str, y: str) -> dict[str, Any]:
    axis: dict[str, Any] = {"rangemode": "tozero"}
    if key != "cost":
        axis["tickformat"] = ".2~%"
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": x}, **axis},
        "yaxis": {"title": {"text": y}, **axis},
        "showlegend": True,
        "margin": MARGIN,
    }
    if key == "cost":
        # A tick per power of ten: three of each would run into one another.
        layout["xaxis"] = {
            "title": {"text": x}, "type": "log", "tickformat": "~g", "dtick": 1,
        }  # fmt: skip
    return layout
