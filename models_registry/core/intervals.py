"""95 % intervals of every metric of an evaluation (what is drawn, and why: `resampling`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core import resampling
from models_registry.core.costs import decision_costs, losses
from models_registry.core.kept_metrics import card_precision_at, cards_in
from models_registry.core.metrics import (
    NAN,
    calibration_groups,
    count_of,
    entity_hits_by_day,
    interval,
)
from scoring.core.decision import Thresholds
from scoring.core.shares import wilson
from scoring.core.spec import CostSpec
from scoring.core.types import RISK_LEVELS

RANKS: Final = ("roc_auc", "average_precision", "recall_at_1pct_fpr", "value_detection_rate")
PROPORTIONS: Final = {
    "precision": ("hits", "flagged"),
    "recall": ("hits", "positives"),
    "alert_rate": ("flagged", "rows"),
}

PRODUCTS: Final = ("cost_squared", "cost_times_rows", "rows_squared")
"""Per block, beside its cost and its rows."""
LEAST_TELLING: Final = 6.0
"""Effective blocks with positives below which a resample's own spread of the cost tells nothing."""

ROUNDING: Final = 1e-12
DAY: Final = 86400.0

FloatArray = NDArray[np.float64]
Bounds = tuple[float, float]
Sums = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Traffic:
    """All events of the judged time, whatever is known of them; all arrays [m].

    `event_time` in seconds, UTC.
    """

    risk: FloatArray
    entities: NDArray[Any]
    event_time: FloatArray

    @property
    def days(self) -> NDArray[np.int64]:
        """The day of each event."""
        return (self.event_time // DAY).astype(np.int64)


@dataclass(frozen=True)
class Judgement:
    """Judged rows; all arrays [n]. `amounts` None where none is known, `days` any codes of days.

    `calibrated`: `risk` is a probability. `traffic` where only some of its events are judged.
    """

    labels: NDArray[Any]
    risk: FloatArray
    calibrated: bool
    amounts: FloatArray | None
    entities: NDArray[Any]
    days: NDArray[Any]
    thresholds: Thresholds
    costs: CostSpec
    entities_a_day: int
    traffic: Traffic | None = None

    @property
    def alert_rate(self) -> float:
        """Share of all events at or above the review threshold."""
        everything = self.risk if self.traffic is None else self.traffic.risk
        return float((everything >= self.thresholds.review).mean()) if everything.size else NAN

    @property
    def seen(self) -> float:
        """The share of the rows that lies among the `capacity` riskiest of all events."""
        capacity = self.costs.capacity
        if self.traffic is None or not self.risk.size:
            return capacity
        everything = np.sort(self.traffic.risk)[::-1]
        places = count_of(capacity, everything.size)
        if not places:
            return 0.0
        last = everything[places - 1]
        # Of those that tie at the last place as many as there is room for.
        ties = (places - (everything > last).sum()) / (everything == last).sum()
        seen = (self.risk > last).sum() + count_of(ties, (self.risk == last).sum())
        return float(min(1.0, (seen + 0.5) / self.risk.size))

    @property
    def bands(self) -> dict[str, NDArray[np.intp]]:
        """The rows of each risk band that has any, the lowest band first."""
        bounds = self.thresholds
        place = np.zeros(self.risk.size, np.intp)
        for number, low in enumerate((bounds.medium, bounds.high, bounds.critical), start=1):
            place[self.risk >= low] = number
        found = {str(level): np.flatnonzero(place == i) for i, level in enumerate(RISK_LEVELS)}
        return {level: rows for level, rows in found.items() if rows.size}

    def columns(self) -> dict[str, FloatArray]:
        """What is added up, one value a row: every metric but the rankings is a ratio of sums."""
        flagged, positive = self.risk >= self.thresholds.review, self.labels == 1
        found = {
            "rows": np.ones(self.labels.size),
            "positives": positive.astype(np.float64),
            "flagged": flagged.astype(np.float64),
            "hits": (flagged & positive).astype(np.float64),
        }
        if self.calibrated:
            found["squared_error"] = (self.risk - self.labels) ** 2
        if self.amounts is not None:
            found["lost_if_approved"] = losses(self.labels, self.amounts, self.costs)
            found["cost"] = decision_costs(
                self.labels,
                self.risk,
                self.amounts,
                review=self.thresholds.review,
                block=self.thresholds.block,
                costs=self.costs,
            )
        return found


def ratios(sums: Sums, costs: CostSpec) -> dict[str, FloatArray]:
    """Metrics from sums; every entry has the shape of the sums. NaN where nothing can be said:
    of precision and F1 that is where nothing is bad, nothing is legitimate or nothing is flagged,
    of false alerts where nothing is legitimate or nothing is rightly flagged."""
    rows, positives, flagged, hits = (
        np.asarray(sums[name], float) for name in ("rows", "positives", "flagged", "hits")
    )
    found = {name: _divide(sums[part], sums[whole]) for name, (part, whole) in PROPORTIONS.items()}
    fallible = rows > positives
    telling = (positives > 0) & (flagged > 0) & fallible
    found["precision"] = np.where(telling, found["precision"], NAN)
    found["f1"] = _divide(2 * hits, np.where(telling, flagged + positives, 0.0))
    found["false_alerts_per_true_alert"] = _divide(flagged - hits, np.where(fallible, hits, 0.0))
    if "squared_error" in sums:
        found["brier"] = _divide(sums["squared_error"], rows)
    if "cost" in sums:
        # Doing without a model: the cheaper of approving and of reviewing everything. Of these rows
        # alone, as the cost is: what approving the unlabelled ones loses nobody knows.
        without = np.minimum(sums["lost_if_approved"], costs.review_cost * rows)
        found["cost_per_event"] = _divide(sums["cost"], rows)
        found["savings"] = 1.0 - _divide(sums["cost"], without)
    return found


def _divide(part: Any, whole: Any) -> FloatArray:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    found: FloatArray = np.divide(part, whole, out=np.full(whole.shape, NAN), where=whole > 0)
    return found


def metric_intervals(
    judged: Judgement, values: Mapping[str, float], *, seed: int, resamples: int
) -> tuple[dict[str, Bounds], dict[str, list[Bounds]], dict[str, Any]]:
    """(intervals by metric, intervals of observed rates by calibration curve, how they were made).

    `values`: the metrics themselves. A proportion that no resample changes (0 or 1) gets Wilson's
    interval: percentiles would say that it is sure. So does what is made of one; of another ranking
    that no resample changes nothing can be told. The rates are those of the calibration groups
    (`calibration`) and of the risk bands (`calibration_bands`); none uncalibrated.
    """
    blocks = resampling.blocks_of(judged.entities, judged.days)
    columns = judged.columns()
    groups = calibration_groups(judged.risk) if judged.calibrated else []
    bands = list(judged.bands.values()) if judged.calibrated else []
    by_block = _sums_of_blocks(judged, blocks, columns, [*groups, *bands])
    totals, ranks = _drawn(judged, blocks, by_block, seed=seed, resamples=resamples)
    names = _names(columns)
    sums = dict(zip(names, totals.T, strict=False))
    card = card_precision_at(judged.entities_a_day)
    rankings = (*RANKS, card)
    drawn = dict(zip(rankings, ranks.T, strict=True)) | ratios(sums, judged.costs)
    effective = resampling.effective_blocks(by_block[:, names.index("positives")])
    level = resampling.widened(resampling.LEVEL, effective)
    found = {name: interval(values_drawn, level) for name, values_drawn in drawn.items()}
    if "cost" in columns and effective >= LEAST_TELLING:
        seen = dict(zip(names, by_block[:, : len(names)].sum(axis=0), strict=True))
        found["cost_per_event"] = _mean_cost(sums, seen, found["cost_per_event"])
    for name, (part, whole) in PROPORTIONS.items():
        if found[name][0] == found[name][1]:
            found[name] = wilson(float(columns[part].sum()), float(columns[whole].sum()))
    found["roc_auc"] = _roc_area(drawn["roc_auc"], values, level)
    found[card] = _card_precision(judged, drawn[card], level)
    found |= _unmoved(found, values)
    if judged.traffic is not None:
        found["alert_rate"] = _alert_rate(judged, judged.traffic, seed=seed, resamples=resamples)
    reliability: dict[str, list[Bounds]] = {}
    if groups:
        first, last = len(names), len(names) + 3 * len(groups)
        by_group = totals[:, first:last]
        found["calibration_error"] = _calibration_error(
            by_group, by_block[:, first:last].sum(axis=0), level
        )
        reliability = {
            "calibration": _reliability(by_group, groups, judged.labels, blocks),
            "calibration_bands": _reliability(totals[:, last:], bands, judged.labels, blocks),
        }
    known = {
        name: bounds if np.isfinite(values[name]) else (NAN, NAN)
        for name, bounds in found.items()
        if name in values
    }
    return known, reliability, {"unit": blocks.unit, "blocks": blocks.n, "resamples": resamples}


def _unmoved(found: Mapping[str, Bounds], values: Mapping[str, float]) -> dict[str, Bounds]:
    """Intervals of what is perfect, or worth nothing, in every resample: few rows do not make that
    certain. `found` has Wilson's intervals of the proportions already."""
    still = {name for name, (low, high) in found.items() if high - low < ROUNDING}
    told: dict[str, Bounds] = {}
    for name in still.intersection((*RANKS, *cards_in(values)), values):
        if min(values[name], 1.0 - values[name]) < ROUNDING:
            told[name] = NAN, NAN
    at_rate, false_alerts = "recall_at_1pct_fpr", "false_alerts_per_true_alert"
    if at_rate in told:
        told[at_rate] = wilson(values[at_rate] * values["positives"], values["positives"])
    if false_alerts in still:
        low, high = found["precision"]
        told[false_alerts] = (1.0 / high - 1.0, 1.0 / low - 1.0) if low > 0.0 else (NAN, NAN)
    if "f1" in still:
        (p_low, p_high), (r_low, r_high) = found["precision"], found["recall"]
        told["f1"] = _harmonic(p_low, r_low), _harmonic(p_high, r_high)
    return told


def _harmonic(one: float, other: float) -> float:
    return 2.0 * one * other / (one + other) if one + other else 0.0


def _alert_rate(judged: Judgement, traffic: Traffic, *, seed: int, resamples: int) -> Bounds:
    """Of all events, drawn as the judged ones are."""
    blocks = resampling.blocks_of(traffic.entities, traffic.days)
    flagged = (traffic.risk >= judged.thresholds.review).astype(np.float64)
    sums = resampling.block_sums(np.stack([flagged, np.ones(flagged.size)]), blocks)
    rng = np.random.default_rng(seed)
    drawn = np.stack([resampling.draw(rng, blocks.n) @ sums for _ in range(resamples)])
    low, high = interval(_divide(drawn[:, 0], drawn[:, 1]), _level(sums[:, 0]))
    return (low, high) if low < high else wilson(float(flagged.sum()), float(flagged.size))


def _names(columns: Sums) -> list[str]:
    """Of what each block has a sum of, before those of groups."""
    return [*columns, *(PRODUCTS if "cost" in columns else ())]


def _sums_of_blocks(
    judged: Judgement,
    blocks: resampling.Blocks,
    columns: Sums,
    groups: list[NDArray[np.intp]],
) -> FloatArray:
    """float64[n_blocks, names + 3 * groups]: `_names`, then of each group its rows, their risk,
    their positives. Of a group only its own rows are touched: a million of them fill 8 MB a column,
    and there may be forty."""
    names = _names(columns)
    found = np.empty((blocks.n, len(names) + 3 * len(groups)))
    for place, column in enumerate(columns.values()):
        found[:, place] = np.bincount(blocks.code, weights=column, minlength=blocks.n)
    if "cost" in columns:
        cost, rows = (found[:, names.index(name)] for name in ("cost", "rows"))
        found[:, len(columns) : len(names)] = resampling.products(cost, rows)
    positive = (judged.labels == 1).astype(np.float64)
    for number, group in enumerate(groups):
        code, place = blocks.code[group], len(names) + 3 * number
        for offset, weights in enumerate((None, judged.risk[group], positive[group])):
            found[:, place + offset] = np.bincount(code, weights=weights, minlength=blocks.n)
    return found


def _drawn(
    judged: Judgement,
    blocks: resampling.Blocks,
    by_block: FloatArray,
    *,
    seed: int,
    resamples: int,
) -> tuple[FloatArray, FloatArray]:
    """(the sums `by_block` [n_blocks, k], rankings) of each resample."""
    return resampling.draw_all(
        blocks,
        by_block,
        resampling.Ranking(
            judged.labels,
            judged.risk,
            blocks.code,
            amounts=judged.amounts,
            capacity=judged.seen,
        ),
        resampling.EntityDays(
            judged.labels,
            judged.risk,
            judged.entities,
            judged.days,
            blocks.code,
            k=judged.entities_a_day,
        ),
        resamples=resamples,
        seed=seed,
    )


def _reliability(
    sums: FloatArray,
    groups: list[NDArray[np.intp]],
    labels: NDArray[Any],
    blocks: resampling.Blocks,
) -> list[Bounds]:
    """Of each group's observed rate. `sums` float64[resamples, 3 * groups].

    A group may be a few rows of a few blocks: percentiles are widened by the blocks that hold its
    rarer class, and Wilson's interval counts blocks (Kish's effective number), not rows.
    """
    rates = _divide(sums[:, 2::3], sums[:, 0::3])
    found = []
    for i, group in enumerate(groups):
        positive, code = labels[group] == 1, blocks.code[group]
        rarer = positive if 2 * positive.sum() <= group.size else ~positive
        low, high = interval(rates[:, i], _level(np.bincount(code, weights=rarer)))
        if low == high:
            n = resampling.effective_blocks(np.bincount(code))
            low, high = wilson(float(positive.mean()) * n, n)
        found.append((low, high))
    return found


def _roc_area(drawn: FloatArray, values: Mapping[str, float], level: float) -> Bounds:
    """In log-odds, where the end at 1 is no wall (Pepe 2003, "The statistical evaluation of medical
    tests for classification and prediction", 5.2).

    Percentiles of an area close to 1 reach too little down: how bad the worst positives are is what
    few positives do not tell. A draw at the very end counts as half a pair away from it.
    """
    from scipy.special import expit, logit, ndtri  # 20 MB that a web process need not hold

    area, usable = values["roc_auc"], drawn[np.isfinite(drawn)]
    if not usable.size or not 0.0 < area < 1.0:
        return interval(drawn, level)
    end = 0.5 / (values["positives"] * (values["rows"] - values["positives"]))
    wide = float(ndtri((1.0 + level) / 2.0)) * float(logit(np.clip(usable, end, 1.0 - end)).std())
    return float(expit(logit(area) - wide)), float(expit(logit(area) + wide))


def _card_precision(judged: Judgement, drawn: FloatArray, level: float) -> Bounds:
    k = judged.entities_a_day
    hits = entity_hits_by_day(judged.labels, judged.risk, judged.entities, judged.days, k)
    low, high = resampling.of_days(drawn, hits / k, level)
    return max(0.0, low), min(1.0, high)


def _mean_cost(sums: Sums, seen: Mapping[str, float], percentiles: Bounds) -> Bounds:
    """Of the cost per event, never below 0; the `percentiles` where no resample varies."""
    parts = ("cost", "rows", *PRODUCTS)
    drawn = np.stack([sums[name] for name in parts], axis=1)
    low, high = resampling.of_ratio(
        drawn, np.array([seen[name] for name in parts]), resampling.LEVEL
    )
    return (max(0.0, low), high) if np.isfinite([low, high]).all() else percentiles


def _calibration_error(sums: FloatArray, totals: FloatArray, level: float) -> Bounds:
    """The reflected interval: a sum of absolute gaps grows with every draw. `sums` float64[
    resamples, 3 * groups] of what `totals` [3 * groups] are as observed.

    It reaches down to 0 unless the gaps are larger than draws alone would make them.
    """
    drawn = (sums[:, 1::3] - sums[:, 2::3]) / sums[:, 0::3].sum(axis=1, keepdims=True)
    observed = (totals[1::3] - totals[2::3]) / totals[0::3].sum()
    error = float(np.abs(observed).sum())
    low, high = interval(np.abs(drawn).sum(axis=1), level)
    _, by_chance = interval(np.abs(drawn - observed).sum(axis=1), level)
    bottom = 2 * error - high if error > by_chance else 0.0
    return max(0.0, bottom), max(error, 2 * error - low)


def _level(positives: NDArray[Any]) -> float:
    """Which percentiles to take for 95 %, given the positives in each block."""
    return resampling.widened(resampling.LEVEL, resampling.effective_blocks(positives))
