"""Global explanations as Plotly figures: which features matter, how their values act."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounts.quantities import half_up, measured, signed
from models_registry.core.global_explanation import (
    GlobalExplanation,
    Step,
    dependence,
    level_steps,
    monotone_share,
    ranks,
)
from models_registry.verdicts import UNKNOWN
from scoring.figures import plain

SHOWN = 15
"""Features in the pictures; the table has all."""
POINTS = 240
"""Points of one feature in the summary: more hide each other."""
WHOLLY, MOSTLY = 0.95, 0.8
"""Share of a dependence that one direction has to tell to be claimed: of all, of most of it."""
LEAST_DIRECTION = 0.3
"""Rank correlation of value and contribution below which no direction is claimed."""
OTHERS = -1.0
"""The code of all levels without a name; those of levels are not negative."""
MOST_NUMBERED = 16
"""Levels that are told apart by a number: as many as have columns, where levels have any."""
SPREAD = 0.36
BINS = 40
FIGURES = 6
"""Of a feature's value in the table of its dependence."""
HEIGHT_PLACES = 2
"""Of a height in the summary, where a row is some 20 pixels high: finer is not seen."""
LAYERS = (("low value", "@low", "circle"), ("middle", "@muted", "diamond"),
          ("high value", "@accent", "triangle-up"))  # fmt: skip
MISSING = ("category or missing", "@ink", "circle-open")
Figure = dict[str, Any]
UNITS = {"logit": "log-odds", "isolation": "score exponent"}


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """A line of the table. `share` of all mean |contributions|; `acts` in words."""

    name: str
    mean_abs: str
    share: float
    mean: str
    acts: str


def feature_lines(
    features: Sequence[Mapping[str, Any]],
    found: GlobalExplanation | None = None,
    names: Sequence[str] = (),
) -> list[FeatureLine]:
    """The stored summary as lines, strongest first; how values act is read off the points of
    `found`, in the order of `names`, and unknown without them."""
    total = sum(row["mean_abs"] for row in features) or 1.0
    return [
        FeatureLine(
            name=row["feature"],
            mean_abs=f"{half_up(row['mean_abs']):.4f}",
            share=row["mean_abs"] / total,
            mean=_signed(row["mean"]),
            acts=_acts(row, found, names),
        )
        for row in features
    ]


def _acts(row: Mapping[str, Any], found: GlobalExplanation | None, names: Sequence[str]) -> str:
    """A direction is claimed where most events show it (rank correlation) and so does the size of
    what the values do (isotonic regression)."""
    if found is None or row["feature"] not in names:
        return UNKNOWN
    if row["mean_abs"] == 0.0:
        return "not used"
    if row["direction"] is None:
        return "no order among its values"
    place = names.index(row["feature"])
    rising, falling = monotone_share(found.values[:, place], found.contributions[:, place])
    if math.isnan(rising):
        return UNKNOWN
    told = rising if row["direction"] > 0 else falling
    if told < MOSTLY or abs(row["direction"]) < LEAST_DIRECTION:
        return "in both directions, see its dependence"
    words = "higher raises the risk" if row["direction"] > 0 else "higher lowers the risk"
    return words if told >= WHOLLY else f"{words}, not everywhere"


def bar_figure(features: Sequence[Mapping[str, Any]], link: str) -> Figure:
    """Mean |contribution| of the strongest features, strongest on top."""
    rows = list(features[:SHOWN])[::-1]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": "mean |contribution|",
                "x": [_short(row["mean_abs"]) for row in rows],
                "y": [plain(row["feature"]) for row in rows],
                "marker": {"color": "@accent"},
            }
        ],
        "layout": {
            # Short: beside long names of features little room is left, and the panel says the rest.
            "xaxis": {"title": {"text": UNITS.get(link, "margin").capitalize()}},
            "yaxis": {"type": "category", "title": {"text": ""}},
        },
    }


def summary_figure(
    found: GlobalExplanation,
    names: Sequence[str],
    categories: frozenset[str],
    features: Sequence[Mapping[str, Any]],
    link: str,
) -> Figure:
    """A point per event and feature: left lowers the risk, right raises it.

    Three traces by a third of the feature's own values, with a mark of their own each.
    """
    rows = [row["feature"] for row in features[:SHOWN]][::-1]
    layers = _layers(found, rows, names, categories)
    looks = (*LAYERS, MISSING)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": title,
                "x": xs,
                "y": ys,
                "marker": {"color": colour, "symbol": symbol, "size": 5, "opacity": 0.75},
                "hoverinfo": "x+name",
            }
            for (title, colour, symbol), (xs, ys) in zip(looks, layers, strict=True)
            if xs
        ],
        "layout": _summary_layout(rows, link),
    }


def _layers(
    found: GlobalExplanation, rows: Sequence[str], names: Sequence[str], categories: frozenset[str]
) -> list[tuple[list[float], list[float]]]:
    """Points (contributions, heights) of low, middle and high values, and of the rest."""
    layers: list[tuple[list[float], list[float]]] = [([], []) for _ in range(4)]
    for height, name in enumerate(rows):
        place = names.index(name)
        values = found.values[:POINTS, place]
        parts = found.contributions[:POINTS, place]
        third = _thirds(values, is_category=name in categories)
        ys = height + _spread(parts)
        for layer, (xs_kept, ys_kept) in enumerate(layers):
            chosen = third == layer
            xs_kept.extend(_short(x) for x in parts[chosen].tolist())
            ys_kept.extend(round(y, HEIGHT_PLACES) for y in ys[chosen].tolist())
    return layers


def _summary_layout(rows: Sequence[str], link: str) -> dict[str, Any]:
    return {
        "xaxis": {
            "title": {"text": f"Contribution, {UNITS.get(link, 'margin')}"},
            "zeroline": True,
            "zerolinecolor": "@muted",
        },
        "yaxis": {
            "tickvals": list(range(len(rows))),
            "ticktext": [plain(row) for row in rows],
            "range": [-0.7, len(rows) - 0.3],
            "title": {"text": ""},
        },
        "showlegend": True,
        "hovermode": "closest",
        "margin": {"t": 48},
        "legend": {"y": 1.0, "yanchor": "bottom", "itemsizing": "constant"},
    }


def _thirds(values: NDArray[np.float32], *, is_category: bool) -> NDArray[np.intp]:
    """0, 1, 2 by rank among the known values; 3 for a category and what is missing."""
    third = np.full(values.shape, 3, np.intp)
    known = np.isfinite(values)
    if not is_category and known.any():
        place = ranks(values[known]) / (known.sum() + 1)
        third[known] = np.minimum((place * 3).astype(np.intp), 2)
    return third


def _spread(parts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Offsets in [-SPREAD, SPREAD] that set points of about equal contribution side by side."""
    offsets = np.zeros(parts.size)
    low, high = float(parts.min()), float(parts.max())
    if high <= low:
        return offsets
    bins = np.minimum(((parts - low) / (high - low) * BINS).astype(int), BINS - 1)
    fullest = max(1, int(np.bincount(bins).max()))
    for one in np.unique(bins):
        rows = np.flatnonzero(bins == one)
        width = SPREAD * rows.size / fullest
        offsets[rows] = np.linspace(-width, width, rows.size) if rows.size > 1 else 0.0
    return offsets


@dataclass(frozen=True, slots=True)
class StepLine:
    """A line of the dependence table."""

    values: str
    count: int
    mean: str
    band: str


def dependence_view(
    found: GlobalExplanation, place: int, name: str, link: str, levels: Mapping[float, str] | None
) -> tuple[Figure, list[StepLine]]:
    """Figure and table of one feature; `levels` names its categories, None for a number."""
    values, parts = found.values[:, place], found.contributions[:, place]
    if levels is not None:
        values, levels = told_apart(values, levels)
    steps = dependence(values, parts) if levels is None else _by_level(values, parts)
    lines = [
        StepLine(
            _span(step, levels),
            step.count,
            _signed(step.mean),
            f"{_signed(step.band_low)} to {_signed(step.band_high)}",
        )
        for step in steps
    ]
    known = np.isfinite(values)
    shown = np.flatnonzero(known) if levels is None else np.arange(values.size)
    xs: list[Any] = (
        [_short(x) for x in values[shown].tolist()]
        if levels is None
        else [_level(float(x), levels) for x in values[shown]]
    )
    ys = [_short(y) for y in parts[shown].tolist()]
    x_axis: dict[str, Any] = {"title": {"text": plain(name)}}
    if levels is not None:
        # As in the table: else they stand as the events happen to come.
        order = [step.values for step in lines]
        x_axis |= {"type": "category", "categoryorder": "array", "categoryarray": order}
    return _cloud(xs, ys, x_axis, UNITS.get(link, "margin")), lines


def _cloud(xs: list[Any], ys: list[float], x_axis: dict[str, Any], unit: str) -> Figure:
    """A point for each event."""
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": "event",
                "x": xs,
                "y": ys,
                "marker": {"color": "@accent", "size": 5, "opacity": 0.5},
            }
        ],
        "layout": {
            "xaxis": x_axis,
            "yaxis": {
                "title": {"text": f"Contribution, {unit}"},
                "zeroline": True,
                "zerolinecolor": "@muted",
            },
            "hovermode": "closest",
        },
    }


def _span(step: Step, levels: Mapping[float, str] | None) -> str:
    if math.isnan(step.low):
        return "missing"
    if levels is not None:
        return _level(step.low, levels)
    low, high = measured(step.low, FIGURES), measured(step.high, FIGURES)
    return low if step.low == step.high else f"{low} to {high}"


def told_apart(
    values: NDArray[np.float32], levels: Mapping[float, str]
) -> tuple[NDArray[np.float32], dict[float, str]]:
    """(values, a name of its own for each level among them); `values` float32[p], NaN = missing.

    Without a name are the levels that are too rare for one, and all of a feature whose bundle keeps
    none. The most frequent of the latter are numbered; all others are one.
    """
    # The points are float32, the codes whole numbers below 2**32: the names are compared as points.
    names = {float(np.float32(code)): plain(name) for code, name in levels.items()}
    found, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    ordered = found[np.argsort(-counts, kind="stable")].tolist()
    unnamed = [code for code in ordered if code not in names]
    if not names:
        names = {code: f"level {i}" for i, code in enumerate(unnamed[:MOST_NUMBERED], start=1)}
        unnamed = unnamed[MOST_NUMBERED:]
    names[OTHERS] = "1 other level" if len(unnamed) == 1 else f"{len(unnamed):,} other levels"
    return np.where(np.isin(values, unnamed), np.float32(OTHERS), values), names


def _by_level(values: NDArray[np.float32], parts: NDArray[np.float32]) -> list[Step]:
    """A step for each level; what is left of them after those with a name, missing last."""
    steps = level_steps(values, parts)
    return sorted(steps, key=lambda step: (math.isnan(step.low), step.low == OTHERS))


def _level(code: float, levels: Mapping[float, str]) -> str:
    return "missing" if math.isnan(code) else levels[code]


def _signed(value: float) -> str:
    return signed(value, 4)


def _short(value: float) -> float:
    """Four significant digits: the page is shorter for it, and nobody sees more."""
    return float(f"{value:.4g}")
