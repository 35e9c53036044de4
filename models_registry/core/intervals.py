"""95 % intervals of every metric of an evaluation (what is drawn, and why: `resampling`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core import resampling
from models_registry.core.judgement import PROPORTIONS, Judgement, Traffic, divide, ratios
from models_registry.core.kept_metrics import card_precision_at, cards_in
from models_registry.core.metrics import NAN, calibration_groups, entity_hits_by_day, interval
from scoring.core.shares import wilson

RANKS: Final = ("roc_auc", "average_precision", "recall_at_1pct_fpr", "value_detection_rate")
PRODUCTS: Final = ("cost_squared", "cost_times_rows", "rows_squared")
"""Per block, beside its cost and its rows."""
ROUNDING: Final = 1e-12
LEAST_TOLD: Final = 3.0
"""Effective blocks of either kind below which no interval is told of what hangs on that kind: from
one or two bursts nobody can tell how another one would have been judged."""
OF_THE_BAD: Final = ("recall", "value_detection_rate")
OF_BOTH: Final = (
    *("roc_auc", "average_precision", "recall_at_1pct_fpr", "precision", "f1"),
    *("false_alerts_per_true_alert", "cost_per_event", "savings"),
)
"""With card precision, what hangs on bad and on legitimate rows."""
OF_ROWS: Final = ("brier", "calibration_error")

FloatArray = NDArray[np.float64]
Groups = list[NDArray[np.intp]]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class _Resampled:
    """Sums over rows: of each block [n_blocks, k] and of each resample [resamples, k]. The columns
    are the named ones, then three of each group, three of each band. `ranks` [resamples, 5]."""

    blocks: resampling.Blocks
    names: list[str]
    groups: Groups
    bands: Groups
    by_block: FloatArray
    totals: FloatArray
    ranks: FloatArray

    @property
    def sums(self) -> dict[str, FloatArray]:
        """float64[resamples] by name."""
        return dict(zip(self.names, self.totals.T, strict=False))

    @property
    def seen(self) -> dict[str, float]:
        """Of all rows, as they are."""
        named = self.by_block[:, : len(self.names)].sum(axis=0)
        return dict(zip(self.names, named.tolist(), strict=True))

    @property
    def of_groups(self) -> slice:
        """Their columns; those of the bands follow."""
        return slice(len(self.names), len(self.names) + 3 * len(self.groups))

    def effective(self, name: str) -> float:
        """How many blocks of one size would hold as much of a column as these do."""
        return resampling.effective_blocks(self.by_block[:, self.names.index(name)])

    @property
    def legitimate(self) -> float:
        """How many blocks of one size would hold the legitimate rows."""
        rows, positives = (self.names.index(name) for name in ("rows", "positives"))
        return resampling.effective_blocks(self.by_block[:, rows] - self.by_block[:, positives])


def metric_intervals(
    judged: Judgement, values: Mapping[str, float], *, seed: int, resamples: int
) -> tuple[dict[str, Bounds], dict[str, list[Bounds]], dict[str, Any]]:
    """(intervals by metric, intervals of observed rates by calibration curve, how they were made).

    `values`: the metrics themselves. A proportion that no resample changes (0 or 1) gets Wilson's
    interval of blocks: percentiles would say that it is sure, and so would Wilson's of rows, which
    come in bursts. So does what is made of one; of another ranking that no resample changes nothing
    can be told, nor of what hangs on bad or legitimate rows where these lie in fewer effective
    blocks than `LEAST_TOLD` (`positive_blocks` and `legitimate_blocks` of how they were made). The
    rates are those of the calibration groups (`calibration`) and of the risk bands
    (`calibration_bands`); none uncalibrated.
    """
    drawn = _resampled(judged, seed=seed, resamples=resamples)
    positive, legitimate = drawn.effective("positives"), drawn.legitimate
    level = resampling.widened(resampling.LEVEL, positive)
    found = _of_metrics(judged, values, drawn, level)
    found |= _unmoved(found, values, positive)
    if judged.traffic is not None:
        found["alert_rate"] = _alert_rate(judged, judged.traffic, seed=seed, resamples=resamples)
    reliability: dict[str, list[Bounds]] = {}
    if drawn.groups:
        part, labels, blocks = drawn.of_groups, judged.labels, drawn.blocks
        by_group, by_band = drawn.totals[:, part], drawn.totals[:, part.stop :]
        observed = drawn.by_block[:, part].sum(axis=0)
        found["calibration_error"] = _calibration_error(by_group, observed, level)
        reliability = {
            "calibration": _reliability(by_group, drawn.groups, labels, blocks),
            "calibration_bands": _reliability(by_band, drawn.bands, labels, blocks),
        }
    untold = _untold(values, positive, legitimate, drawn.effective("rows"))
    known = {
        name: (NAN, NAN) if name in untold or not np.isfinite(values[name]) else bounds
        for name, bounds in found.items()
        if name in values
    }
    how = {"unit": drawn.blocks.unit, "blocks": drawn.blocks.n, "resamples": resamples}
    how |= {"positive_blocks": positive, "legitimate_blocks": legitimate}
    return known, reliability, how


def _untold(
    values: Mapping[str, float], positive: float, legitimate: float, rows: float
) -> set[str]:
    """Metrics that hang on rows of a kind, or on any, which lie in too few effective blocks."""
    both = {*OF_BOTH, *cards_in(values)}
    found = {*OF_THE_BAD, *both} if positive < LEAST_TOLD else set()
    found |= both if legitimate < LEAST_TOLD else set()
    return found.union(OF_ROWS) if rows < LEAST_TOLD else found


def _of_metrics(
    judged: Judgement, values: Mapping[str, float], resampled: _Resampled, level: float
) -> dict[str, Bounds]:
    """Percentiles of each metric, and other bounds where these are wrong."""
    card = card_precision_at(judged.entities_a_day)
    sums, seen = resampled.sums, resampled.seen
    drawn = dict(zip((*RANKS, card), resampled.ranks.T, strict=True)) | ratios(sums, judged.costs)
    found = {name: interval(values_drawn, level) for name, values_drawn in drawn.items()}
    if "cost" in seen:
        found["cost_per_event"] = _mean_cost(resampled)
    for name, (part, whole) in PROPORTIONS.items():
        if found[name][0] == found[name][1]:
            n = resampled.effective(whole)
            found[name] = wilson(seen[part] / seen[whole] * n if n else 0.0, n)
        elif name != "alert_rate":
            least = min(resampled.effective("positives"), resampled.effective(whole))
            wide = resampling.widened(resampling.LEVEL, least)
            found[name] = _in_log_odds(values[name], drawn[name], wide, of=seen[whole])
    positives, pairs = seen["positives"], seen["positives"] * (seen["rows"] - seen["positives"])
    for name, of in (("roc_auc", pairs), ("recall_at_1pct_fpr", positives)):
        found[name] = _in_log_odds(values[name], drawn[name], level, of=of)
    found[card] = _card_precision(judged, drawn[card], level)
    return found


def _unmoved(
    found: Mapping[str, Bounds], values: Mapping[str, float], positive: float
) -> dict[str, Bounds]:
    """Intervals of what is perfect, or worth nothing, in every resample: few blocks do not make
    that certain. `found` has Wilson's intervals of the proportions already; `positive`: effective
    blocks with positives."""
    still = {name for name, (low, high) in found.items() if high - low < ROUNDING}
    told: dict[str, Bounds] = {}
    for name in still.intersection((*RANKS, *cards_in(values)), values):
        if min(values[name], 1.0 - values[name]) < ROUNDING:
            told[name] = NAN, NAN
    at_rate, false_alerts = "recall_at_1pct_fpr", "false_alerts_per_true_alert"
    if at_rate in told:
        told[at_rate] = wilson(values[at_rate] * positive, positive)
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
    low, high = interval(divide(drawn[:, 0], drawn[:, 1]), _level(sums[:, 0]))
    n = resampling.effective_blocks(sums[:, 1])
    return (low, high) if low < high else wilson(float(flagged.mean()) * n, n)


def _resampled(judged: Judgement, *, seed: int, resamples: int) -> _Resampled:
    blocks = resampling.blocks_of(judged.entities, judged.days)
    groups = calibration_groups(judged.risk) if judged.calibrated else []
    bands = list(judged.bands.values()) if judged.calibrated else []
    columns = judged.columns()
    names = [*columns, *(PRODUCTS if "cost" in columns else ())]
    by_block = np.empty((blocks.n, len(names) + 3 * len(groups) + 3 * len(bands)))
    for place, column in enumerate(columns.values()):
        by_block[:, place] = np.bincount(blocks.code, weights=column, minlength=blocks.n)
    if "cost" in columns:
        cost, rows = (by_block[:, names.index(name)] for name in ("cost", "rows"))
        by_block[:, len(columns) : len(names)] = resampling.products(cost, rows)
    _sum_groups(by_block[:, len(names) :], judged, blocks, [*groups, *bands])
    ranking = resampling.Ranking(
        judged.labels, judged.risk, blocks.code, amounts=judged.amounts, capacity=judged.seen
    )
    entity_days = resampling.EntityDays(
        judged.labels,
        judged.risk,
        judged.entities,
        judged.days,
        blocks.code,
        k=judged.entities_a_day,
    )
    totals, ranks = resampling.draw_all(
        blocks, by_block, ranking, entity_days, resamples=resamples, seed=seed
    )
    return _Resampled(blocks, names, groups, bands, by_block, totals, ranks)


def _sum_groups(
    by_block: FloatArray, judged: Judgement, blocks: resampling.Blocks, groups: Groups
) -> None:
    """Fill `by_block` [n_blocks, 3 * groups]: of each group its rows, their risk, their positives.

    Only a group's own rows are touched: columns of all rows would be forty, and a million of them
    fill 8 MB each.
    """
    positive = (judged.labels == 1).astype(np.float64)
    for number, group in enumerate(groups):
        code = blocks.code[group]
        for offset, weights in enumerate((None, judged.risk[group], positive[group])):
            by_block[:, 3 * number + offset] = np.bincount(
                code, weights=weights, minlength=blocks.n
            )


def _reliability(
    sums: FloatArray,
    groups: Groups,
    labels: NDArray[Any],
    blocks: resampling.Blocks,
) -> list[Bounds]:
    """Of each group's observed rate. `sums` float64[resamples, 3 * groups].

    A group may be a few rows of a few blocks: percentiles are widened by the blocks that hold its
    rarer class, and Wilson's interval counts blocks (Kish's effective number), not rows.
    """
    rates = divide(sums[:, 2::3], sums[:, 0::3])
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


def _in_log_odds(value: float, drawn: FloatArray, level: float, *, of: float) -> Bounds:
    """Of a share of so many things, of which at least half a one is always in doubt, by a normal on
    its log-odds, where the ends are no walls (Pepe 2003, "The statistical evaluation of medical
    tests for classification and prediction", 5.2).

    Percentiles of a share close to 1 reach too little down: how bad the worst positives are is what
    few positives do not tell. Nor do they ever reach beyond the best and the worst of few blocks.
    """
    from scipy.special import expit, logit, ndtri  # 20 MB that a web process need not hold

    usable = drawn[np.isfinite(drawn)]
    if not usable.size or not 0.0 < value < 1.0:
        return interval(drawn, level)
    end = 0.5 / of
    wide = float(ndtri((1.0 + level) / 2.0)) * float(logit(np.clip(usable, end, 1.0 - end)).std())
    return float(expit(logit(value) - wide)), float(expit(logit(value) + wide))


def _card_precision(judged: Judgement, drawn: FloatArray, level: float) -> Bounds:
    k = judged.entities_a_day
    hits = entity_hits_by_day(judged.labels, judged.risk, judged.entities, judged.days, k)
    low, high = resampling.of_days(drawn, hits / k, level)
    return max(0.0, low), min(1.0, high)


def _mean_cost(resampled: _Resampled) -> Bounds:
    """Of the cost per event, never below 0."""
    parts = [resampled.names.index(name) for name in ("cost", "rows", *PRODUCTS)]
    drawn, by_block = resampled.totals[:, parts], resampled.by_block[:, parts]
    low, high = resampling.of_ratio(drawn, by_block, resampling.LEVEL)
    return max(0.0, low), high


def _calibration_error(sums: FloatArray, totals: FloatArray, level: float) -> Bounds:
    """The reflected interval: a sum of absolute gaps grows with every draw. `sums` float64[
    resamples, 3 * groups] of what `totals` [3 * groups] are as observed.

    It reaches down to 0 unless the gaps are larger than draws alone would make them.
    """
    rows = sums[:, 0::3].sum(axis=1, keepdims=True)
    drawn = (sums[:, 1::3] - sums[:, 2::3]) / np.where(rows > 0.0, rows, NAN)
    observed = (totals[1::3] - totals[2::3]) / totals[0::3].sum()
    error = float(np.abs(observed).sum())
    low, high = interval(np.abs(drawn).sum(axis=1), level)
    _, by_chance = interval(np.abs(drawn - observed).sum(axis=1), level)
    bottom = 2 * error - high if error > by_chance else 0.0
    return max(0.0, bottom), max(error, 2 * error - low)


def _level(positives: NDArray[Any]) -> float:
    """Which percentiles to take for 95 %, given the positives in each block."""
    return resampling.widened(resampling.LEVEL, resampling.effective_blocks(positives))
