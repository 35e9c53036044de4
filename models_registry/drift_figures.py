"""Drift as Plotly figures: both distributions over the same bars, a statistic over time."""

from collections.abc import Mapping, Sequence
from typing import Any

from accounts.quantities import measured, written
from models_registry.core.drift import FAR, MAJOR, MODERATE, VERY_FAR
from models_registry.drift_models import DriftStatistic
from scoring.figures import distinct

Figure = dict[str, Any]


def overlay(found: DriftStatistic, level_names: Mapping[float, str]) -> Figure | None:
    """Training against recent events; None where nothing was kept to draw."""
    drawn = found.histogram
    if found.kind == "rate":
        if found.rate is None or found.reference_rate is None:
            return None
        return _rates(found.reference_rate, found.rate)
    if not drawn:
        return None
    if "levels" in drawn:
        levels = [_level(code, level_names) for code in drawn["levels"]]
        names = distinct([*levels, "all other levels", "missing"])
        return _bars(names, drawn["reference"], drawn["recent"], "")
    names = distinct([_bar(low, high) for low, high in drawn["bars"]])
    if len(names) < len(drawn["recent"]):
        return _bars([*names, "missing"], drawn["reference"], drawn["recent"], "Value")
    middles = [(low + high) / 2.0 for low, high in drawn["bars"]]
    return _bars(names, drawn["reference"], drawn["recent"], "Value", middles)


def _bars(
    names: Sequence[str],
    before: Sequence[float],
    now: Sequence[float],
    axis: str,
    middles: Sequence[float] | None = None,
) -> Figure:
    """Shares by name; over a number's axis where the bars have `middles`."""
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": list(middles or names),
            "y": list(shares),
            "hovertext": list(names),
            "marker": {"color": colour},
            "opacity": 0.6,
            "hovertemplate": "%{hovertext}: %{y:.1%}<extra>" + name + "</extra>",
        }
        for name, shares, colour in (("Training", before, "@low"), ("Recent", now, "@accent"))
    ]
    kind: dict[str, Any] = {} if middles else {"type": "category"}
    layout = {
        "barmode": "overlay",
        "bargap": 0.05,
        "xaxis": {"title": {"text": axis}, **kind},
        "yaxis": {
            "title": {"text": "Share of events"},
            "tickformat": ".2~%",
            "rangemode": "tozero",
        },
        "showlegend": True,
        "margin": {"t": 24},
    }
    return {"data": bars, "layout": layout}


def _rates(before: float, now: float) -> Figure:
    bars = {
        "type": "bar",
        "name": "Rate",
        "x": ["Training", "Recent"],
        "y": [before, now],
        "marker": {"color": ["@low", "@accent"]},
        "hovertemplate": "%{x}: %{y:.2%}<extra></extra>",
    }
    return {"data": [bars], "layout": {**_percent(), "bargap": 0.6, "margin": {"t": 24}}}


def _level(code: float, names: Mapping[float, str]) -> str:
    return names.get(code, f"level {written(code)}")


def _bar(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "any value"
    if low is None:
        return f"to {measured(high or 0.0)}"
    return f"from {measured(low)}" if high is None else f"{measured(low)} to {measured(high)}"


def timeline(rows: Sequence[DriftStatistic]) -> Figure | None:
    """PSI and Wasserstein over the checks, oldest first, with the lines from which they count;
    for a rate, the rate itself. None with fewer than two checks that could tell it."""
    is_rate = bool(rows) and rows[0].kind == "rate"
    # A rate is known before there are enough events to judge it by its PSI.
    ordered = [row for row in reversed(rows) if (row.rate if is_rate else row.psi) is not None]
    if len(ordered) < 2:
        return None
    times = [row.drift_check.checked_at.isoformat() for row in ordered]
    if is_rate:
        data = [
            _line("Recent", times, [row.rate for row in ordered], "@accent"),
            _line("Training", times, [row.reference_rate for row in ordered], "@low"),
        ]
        return {"data": data, "layout": _layout("Rate") | _percent()}
    data = [_line("PSI", times, [row.psi for row in ordered], "@ink")]
    marks = [("PSI moderate", MODERATE), ("PSI major", MAJOR)]
    if any(row.wasserstein is not None for row in ordered):
        data.append(
            _line("Wasserstein / std", times, [row.wasserstein for row in ordered], "@accent")
        )
        marks.append(("Wasserstein major", VERY_FAR))
    top = max((value for line in data for value in line["y"] if value is not None), default=0.0)
    for name, mark in marks:
        if mark <= max(2.0 * top, FAR):
            data.append(
                _line(name, [times[0], times[-1]], [mark, mark], "@line")
                | {
                    "mode": "lines",
                    "line": {"color": "@muted", "width": 1, "dash": "dot"},
                    "showlegend": False,
                }
            )
    return {"data": data, "layout": _layout("Distance")}


def _line(
    name: str, times: Sequence[str], values: Sequence[float | None], colour: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(times),
        "y": list(values),
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "size": 5},
    }


def _layout(title: str) -> dict[str, Any]:
    return {
        "xaxis": {"title": {"text": "Checked (UTC)"}, "type": "date"},
        "yaxis": {"title": {"text": title}, "rangemode": "tozero"},
        "showlegend": True,
        "margin": {"t": 24},
    }


def _percent() -> dict[str, Any]:
    return {
        "yaxis": {"title": {"text": "Share of events"}, "tickformat": ".2%", "rangemode": "tozero"}
    }
