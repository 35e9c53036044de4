"""The timeline of an entity as a Plotly figure: amounts, places, labels, alerts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scoring import figures
from scoring.core.spec import DetectorSpec
from scoring.figures import Point

MOST_PLACES = 2
ELSEWHERE = "elsewhere"
MISSING = "not said"
AMOUNTS = (0.4, 1.0)
PLACES = (0.0, 0.3)
"""Shares of the height."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An alert on the timeline: when it was opened, in words, and where it leads."""

    at: str
    text: str
    url: str


def place_field(spec: DetectorSpec | None) -> str:
    """Which field of an event says where; empty where none does, or where it is personal data."""
    if spec is None:
        return ""
    moving = [feature.field for feature in spec.features if feature.kind == "changes"]
    rules = spec.schema["properties"].items()
    countries = [name for name, rule in rules if rule.get("format") == "country"]
    found = [name for name in (*moving, *countries) if name not in spec.pii_fields]
    return found[0] if found else ""


def timeline(
    points: Sequence[Point],
    *,
    title: str,
    now: Sequence[Point],
    places: Sequence[str],
    marks: Sequence[Mark],
    begin: datetime,
    end: datetime,
) -> dict[str, Any]:
    """Events between `begin` and `end`. `places` [n] belong to `points`, empty without any; they
    get a band of their own where there are at least two. `now` are ringed."""
    figure = figures.history(points, title=title, now=now)
    figure["layout"]["xaxis"]["range"] = [begin.isoformat(), end.isoformat()]
    # The panel's head says what is drawn: a title beside the axis would take a tenth of the height.
    figure["layout"]["yaxis"]["title"] = {"text": ""}
    if marks:
        figure["data"].append(_alerts(marks))
        figure["layout"]["yaxis9"] = {
            "overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True,
        }  # fmt: skip
    if len(set(places)) > 1:
        figure["data"].append(_places(points, places))
        figure["layout"]["yaxis"]["domain"] = list(AMOUNTS)
        figure["layout"]["xaxis"]["anchor"] = "y2"
        figure["layout"]["yaxis2"] = {
            "domain": list(PLACES), "type": "category", "title": {"text": ""}, "anchor": "x",
        }  # fmt: skip
    return figure


def _alerts(marks: Sequence[Mark]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "Alert opened",
        "x": [mark.at for mark in marks],
        "y": [0.97 for _ in marks],
        "yaxis": "y9",
        "text": [mark.text for mark in marks],
        "customdata": [mark.url for mark in marks],
        "hovertemplate": "%{text}<br>%{x}<extra></extra>",
        "marker": {"color": "@ink", "size": 10, "symbol": "triangle-down"},
    }


def _places(points: Sequence[Point], places: Sequence[str]) -> dict[str, Any]:
    often = [name for name, _ in Counter(places).most_common(MOST_PLACES)]
    shown = [place if place in often else ELSEWHERE for place in places]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "Place",
        "x": [point.at for point in points],
        "y": [_short(place) for place in shown],
        "yaxis": "y2",
        "text": [figures.plain(place) for place in places],
        "customdata": [point.url for point in points],
        "hovertemplate": "%{text}<br>%{x}<extra></extra>",
        "marker": {"color": "@low", "size": 7, "symbol": "square"},
    }


def _short(place: str) -> str:
    return figures.plain(place if len(place) <= 16 else place[:15] + "…")
