"""One bootstrap for every number of an evaluation, quick enough for a million rows.

What is drawn are blocks of rows that depend on each other: an entity with all its events. Frauds
come in bursts on one card, and intervals from single rows would be too narrow. With few entities
(hosts, say) a block is one day of one entity. Each block counts Poisson(1) times in a resample, the
limit of drawing with replacement (Hanley & MacGibbon 2006; Chamandy et al. 2012), so rows are
sorted once and a resample is a weighted count:

- sums (confusion, costs, squared errors, calibration groups) are added up per block beforehand, and
  all resamples are one matrix product;
- rankings need only the weight above each positive.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import exp, factorial, isfinite, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.costs import exposures
from models_registry.core.metrics import count_of, interval

LEAST_ENTITIES: Final = 50
"""Fewer entities are too few blocks to draw from."""
RESAMPLES: Final = 400
LEVEL: Final = 0.95
LEAST_WIDENED: Final = 3.0
"""Blocks below which percentiles are widened no further."""
MOST_BEYOND: Final = 2.0
_FAR: Final = 1e9
_DRAWS: Final = 1 << 16
_AT_ONCE: Final = 16

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Weights = NDArray[np.uint8]


def _poisson_table() -> Weights:
    """Poisson(1) by its inverse distribution at 2**16 even steps."""
    below = np.cumsum([exp(-1.0) / factorial(k) for k in range(12)])
    return np.searchsorted(below, (np.arange(_DRAWS) + 0.5) / _DRAWS).astype(np.uint8)


_POISSON: Final = _poisson_table()


@dataclass(frozen=True)
class Blocks:
    """`code` int32[n]: the block of each row; `unit` says what a block is."""

    code: NDArray[np.int32]
    n: int
    unit: str


def blocks_of(entities: NDArray[Any], days: NDArray[Any]) -> Blocks:
    """Entities; or days of entities where there are too few of them. Both arrays any codes [n]."""
    entity = np.unique(entities, return_inverse=True)[1]
    n = int(entity.max(initial=-1)) + 1
    if n >= LEAST_ENTITIES:
        return Blocks(entity.astype(np.int32), n, "entity")
    day = np.unique(days, return_inverse=True)[1]
    found, code = np.unique(day * max(n, 1) + entity, return_inverse=True)
    return Blocks(code.astype(np.int32), int(found.size), "day of an entity")


def effective_blocks(shares: NDArray[Any]) -> float:
    """How many blocks of one size would tell as much as these, which hold so much each [n] (Kish's
    effective sample size): 0 where nothing is held."""
    squares = float((shares.astype(np.float64) ** 2).sum())
    return float(shares.sum()) ** 2 / squares if squares else 0.0


def widened(level: float, blocks: float) -> float:
    """Which percentiles to take for an interval of `level` from so many effective blocks.

    Percentiles are too narrow where few blocks matter; they are widened as Student's t is wider
    than the normal (Hesterberg 2015, "expanded percentiles").
    """
    from scipy.special import ndtr, stdtrit  # 20 MB that a web process need not hold

    n = max(blocks, LEAST_WIDENED)
    wide = stdtrit(n - 1.0, (1.0 + level) / 2.0) * sqrt(n / (n - 1.0))
    return float(1.0 - 2.0 * ndtr(-wide))


def of_days(drawn: FloatArray, by_day: FloatArray, level: float) -> tuple[float, float]:
    """The middle `level` of what was drawn [resamples] of a mean over days of the riskiest k
    entities of each, or of a difference of two; `by_day` [days]: what it is the mean of.

    Percentiles alone are wrong in two ways. Each day has k places and no more, and days of a
    resample hold more bad entities or fewer: what one day has too many of another cannot take, so
    the better a ranking, the further its draws lie below it. They are moved by what they are off on
    average. And a resample fills the place of an entity that was not drawn with the next one, so of
    one place a day it tells too little spread (Bickel & Freedman 1981, "Some asymptotic theory for
    the bootstrap": an extreme is not drawn as it varies). They spread at least as one day differs
    from the next: from all others it differs by more, as those that were found leave the game.
    """
    low, high = interval(drawn, level)
    if not isfinite(low):
        return low, high
    value, spread = float(by_day.mean()), float(np.nanstd(drawn))
    off = value - float(np.nanmean(drawn))
    wider = 1.0
    if by_day.size > 1 and spread > 0.0:
        # Von Neumann 1941, "Distribution of the ratio of the mean square successive difference".
        a_day = sqrt(float(np.square(np.diff(by_day)).mean()) / 2.0)
        wider = max(1.0, a_day / sqrt(by_day.size) / spread)
    return value + wider * (low + off - value), value + wider * (high + off - value)


def products(part: FloatArray, whole: FloatArray) -> FloatArray:
    """float64[n_blocks, 3]: what `of_ratio` needs beside the sums of each block themselves."""
    return np.stack([part * part, part * whole, whole * whole], axis=1)


def of_ratio(drawn: FloatArray, blocks: FloatArray, level: float) -> tuple[float, float]:
    """The bootstrap-t interval of part / whole, two sums over blocks (Efron & Tibshirani 1993, "An
    introduction to the bootstrap", 12.5). `blocks` [n_blocks, 5]: part, whole and their `products`;
    `drawn` [resamples, 5]: the sums of the same in each resample.

    A sum of amounts hangs on its few largest ones: a sample that lacks them has too low a mean and
    too small a spread at once, so percentiles reach too little up. Each resample is judged by the
    spread that it shows itself. Where one amount is nearly all there is, that of a resample without
    it is next to nothing and says anything at all, so the interval reaches at most `MOST_BEYOND`
    times as far up as percentiles do, widened by how few blocks the part lies in.
    """
    value, error = _ratio_and_error(blocks.sum(axis=0))
    values, errors = _ratio_and_error(drawn.T)
    bottom, top = interval(values, widened(level, effective_blocks(blocks[:, 0])))
    if not error > 0.0 or not bottom < top:
        return bottom, top
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = interval(np.clip((values - value) / errors, -_FAR, _FAR), level)
    most = float(value) + MOST_BEYOND * (top - float(value))
    return float(value - high * error), min(float(value - low * error), most)


def _ratio_and_error(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(ratio, standard error) of sums [5, ...]; NaN without a whole."""
    part, whole, squared, crossed, whole_squared = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = part / whole
        spread = squared - 2.0 * ratio * crossed + ratio * ratio * whole_squared
        return ratio, np.sqrt(np.maximum(spread, 0.0)) / whole


# Quoted: pages load this, and numpy loads its generators (4 MB) where one is first named.
def draw(rng: "np.random.Generator", n: int) -> Weights:
    """How often each of `n` blocks occurs in one resample."""
    return _POISSON[rng.integers(0, _DRAWS, n, dtype=np.uint16)]


class Ranking:
    """Rows by falling risk. `labels` 0/1 [n], `risk` float64[n], `amounts` float64[n] or None."""

    def __init__(
        self,
        labels: NDArray[Any],
        risk: FloatArray,
        code: NDArray[np.int32],
        *,
        amounts: FloatArray | None,
        capacity: float,
        false_positive_rate: float = 0.01,
    ) -> None:
        order = np.argsort(-risk, kind="stable")
        ranked, size = risk[order], risk.size
        self._code = code[order]
        self._capacity, self._rate = capacity, false_positive_rate
        self._positive = np.flatnonzero(labels[order] == 1)
        opens = np.flatnonzero(np.append(True, np.diff(ranked) != 0)) if size else np.empty(0, int)
        tie = np.searchsorted(opens, self._positive, side="right") - 1
        ties, self._first = np.unique(tie, return_index=True)
        starts, ends = opens[ties], np.append(opens, size)[ties + 1]
        bounds = np.unique(np.concatenate([[0], starts, ends, self._positive + 1]))
        self._bounds = bounds[bounds < size]
        self._starts, self._ends = self._places(starts), self._places(ends)
        self._seen = self._places(self._positive + 1)
        self._values = None if amounts is None else exposures(amounts)[order][self._positive]

    def _places(self, positions: IntArray) -> IntArray:
        return np.searchsorted(self._bounds, positions)

    def measure(self, weights: Weights) -> FloatArray:
        """float64[m, 4] of m resamples (`weights` [m, n_blocks]): ROC area, average precision,
        recall at the false positive rate, value detected.

        NaN without positives or negatives. Ties are treated as in `metrics`.
        """
        found = np.full((len(weights), 4), np.nan)
        if not self._positive.size:
            return found
        rows = weights.take(self._code, axis=1)
        above = self._above(rows)
        hits = rows.take(self._positive, axis=1).astype(np.float64)
        gained = np.add.reduceat(hits, self._first, axis=1)
        true = np.cumsum(gained, axis=1)
        positives, total = true[:, -1], above[:, -1].astype(np.float64)
        negatives = total - positives
        flagged = above.take(self._ends, axis=1)
        false = flagged - true
        false_before = above.take(self._starts, axis=1) - (true - gained)
        precision = true / np.maximum(flagged, 1)
        beaten = negatives[:, None] - 0.5 * (false + false_before)
        most = np.array([count_of(self._rate, n) for n in negatives])
        with np.errstate(invalid="ignore"):
            found[:, 0] = np.vecdot(gained, beaten) / (positives * negatives)
            found[:, 1] = np.vecdot(gained, precision) / positives
            found[:, 2] = np.where(false <= most[:, None], true, 0.0).max(axis=1) / positives
        found[:, 3] = self._detected(above, hits, total)
        found[(positives == 0) | (negatives == 0)] = np.nan
        return found

    def _above(self, rows: Weights) -> IntArray:
        """int64[m, bounds + 1]: how many were drawn before each bound, and in all."""
        found = np.zeros((len(rows), self._bounds.size + 1), np.int64)
        for row, own in zip(rows, found, strict=True):  # in one call: twice as slow for many rows
            np.cumsum(np.add.reduceat(row, self._bounds, dtype=np.int64), out=own[1:])
        return found

    def _detected(self, above: IntArray, hits: FloatArray, total: FloatArray) -> FloatArray:
        """float64[m]; NaN where nothing of value was drawn."""
        if self._values is None:
            return np.full(len(total), np.nan)
        value = hits * self._values
        whole = value.sum(axis=1)
        room = np.array([count_of(self._capacity, n) for n in total])
        seen = above.take(self._seen, axis=1) <= room[:, None]
        with np.errstate(invalid="ignore"):
            share: FloatArray = np.where(seen, value, 0.0).sum(axis=1) / whole
        return np.minimum(share, 1.0)


class EntityDays:
    """The riskiest entities of each day, for card precision@k under weights of blocks."""

    def __init__(
        self,
        labels: NDArray[Any],
        risk: FloatArray,
        entities: NDArray[Any],
        days: NDArray[Any],
        code: NDArray[np.int32],
        *,
        k: int,
    ) -> None:
        self._k = k
        entity = np.unique(entities, return_inverse=True)[1]
        self._n_entities = int(entity.max(initial=-1)) + 1
        day = np.unique(days, return_inverse=True)[1]
        key, first, place = np.unique(
            day * max(self._n_entities, 1) + entity, return_index=True, return_inverse=True
        )
        top = np.full(key.size, -np.inf)
        np.maximum.at(top, place, risk)
        bad = np.bincount(place, weights=labels == 1, minlength=key.size) > 0
        ranked = np.lexsort((entity[first], -top, day[first]))
        bounds = np.searchsorted(day[first][ranked], np.arange(int(day.max(initial=-1)) + 2))
        self._days = [
            (entity[first][part], bad[part], code[first][part])
            for part in (ranked[a:b] for a, b in pairwise(bounds))
        ]

    def measure(self, weights: Weights) -> FloatArray:
        """float64[m] of m resamples (`weights` [m, n_blocks]): the share of true alerts among the k
        riskiest a day, mean over the days."""
        found = np.zeros((len(weights), self._n_entities), bool)
        hits = np.zeros(len(weights), np.int64)
        for number, (entity, bad, code) in enumerate(self._days):
            # At most k were found a day, and blocks count once on average: this head is enough.
            head = self._k * (number + 4) + 100
            room = np.full(len(weights), self._k)
            self._fill(
                entity[:head], bad[:head], weights.take(code[:head], axis=1), found, room, hits
            )
            if entity.size > head and (short := np.flatnonzero(room > 0)).size:
                rest = weights[np.ix_(short, code[head:])]
                parts = found[short], room[short], hits[short]
                self._fill(entity[head:], bad[head:], rest, *parts)
                found[short], room[short], hits[short] = parts
        return hits / (self._k * len(self._days)) if self._days else np.full(len(weights), np.nan)

    @staticmethod
    def _fill(
        entity: IntArray,
        bad: NDArray[np.bool_],
        drawn: Weights,
        found: NDArray[np.bool_],
        room: IntArray,
        hits: IntArray,
    ) -> None:
        """Let entities of a day, riskiest first, take the places that are left. `drawn` [m, n] says
        how often each was drawn; `found` [m, n_entities], `room` [m] and `hits` [m] are kept."""
        weight = np.where(found.take(entity, axis=1), 0, drawn).astype(np.int64)
        filled = np.cumsum(weight, axis=1)
        taken = np.where(bad, np.clip(room[:, None] - (filled - weight), 0, weight), 0)
        row, place = np.nonzero(taken)
        found[row, entity[place]] = True
        hits += taken.sum(axis=1)
        room -= filled[:, -1]


def block_sums(columns: FloatArray, blocks: Blocks) -> FloatArray:
    """float64[n_blocks, k]: the sums of `columns` [k, n] in each block."""
    sums = [np.bincount(blocks.code, weights=column, minlength=blocks.n) for column in columns]
    return np.stack(sums, axis=1)


def draw_all(
    blocks: Blocks,
    sums: FloatArray,
    ranking: Ranking,
    entity_days: EntityDays | None,
    *,
    resamples: int,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    """(sums float64[resamples, k], rank metrics float64[resamples, 5]) of the same resamples."""
    rng = np.random.default_rng(seed)
    totals = np.empty((resamples, sums.shape[1]))
    ranks = np.full((resamples, 5), np.nan)
    for first in range(0, resamples, _AT_ONCE):
        part = slice(first, min(first + _AT_ONCE, resamples))
        many = np.stack([draw(rng, blocks.n) for _ in range(resamples)[part]])
        totals[part] = many.astype(np.float64) @ sums
        ranks[part, :4] = ranking.measure(many)
        if entity_days is not None:
            ranks[part, 4] = entity_days.measure(many)
    return totals, ranks
