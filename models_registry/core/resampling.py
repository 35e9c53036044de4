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
from math import exp, factorial, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.costs import exposures
from models_registry.core.metrics import count_of

LEAST_ENTITIES: Final = 50
"""Fewer entities are too few blocks to draw from."""
RESAMPLES: Final = 400
LEVEL: Final = 0.95
LEAST_WIDENED: Final = 3.0
"""Blocks below which percentiles are widened no further."""
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


def draw(rng: np.random.Generator, n: int) -> Weights:
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

    def measure(self, weights: Weights) -> tuple[float, float, float, float]:
        """(ROC area, average precision, recall at the false positive rate, value detected).

        NaN without positives or negatives. Ties are treated as in `metrics`.
        """
        nothing = (np.nan, np.nan, np.nan, np.nan)
        if not self._positive.size:
            return nothing
        rows = weights[self._code]
        above = np.append(0, np.cumsum(np.add.reduceat(rows, self._bounds, dtype=np.int64)))
        hits = rows[self._positive].astype(np.float64)
        gained = np.add.reduceat(hits, self._first)
        true = np.cumsum(gained)
        positives, total = float(true[-1]), float(above[-1])
        negatives = total - positives
        if positives == 0 or negatives == 0:
            return nothing
        flagged = above[self._ends]
        false = flagged - true
        false_before = above[self._starts] - (true - gained)
        precision = true / np.maximum(flagged, 1)
        beaten = negatives - 0.5 * (false + false_before)
        allowed = true[false <= count_of(self._rate, negatives)]
        return (
            float(gained @ beaten) / (positives * negatives),
            float(gained @ precision) / positives,
            float(allowed.max(initial=0.0)) / positives,
            self._detected(above, hits, total),
        )

    def _detected(self, above: IntArray, hits: FloatArray, total: float) -> float:
        if self._values is None:
            return np.nan
        value = hits * self._values
        whole = float(value.sum())
        if whole == 0:
            return np.nan
        found = float(value[above[self._seen] <= count_of(self._capacity, total)].sum())
        return min(found / whole, 1.0)


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

    def measure(self, weights: Weights) -> float:
        """Share of true alerts among the k riskiest a day, mean over the days."""
        if not self._days:
            return np.nan
        found = np.zeros(self._n_entities, bool)
        results = []
        for number, (entity, bad, code) in enumerate(self._days):
            # At most k were found a day, and blocks count once on average: this head is enough.
            head = self._k * (number + 4) + 100
            hits, whole = self._hits(entity[:head], bad[:head], code[:head], weights, found)
            if not whole and entity.size > head:
                hits, _ = self._hits(entity, bad, code, weights, found)
            found[hits[0]] = True
            results.append(hits[1] / self._k)
        return float(np.mean(results))

    def _hits(
        self,
        entity: IntArray,
        bad: NDArray[np.bool_],
        code: NDArray[np.int32],
        weights: Weights,
        found: NDArray[np.bool_],
    ) -> tuple[tuple[IntArray, float], bool]:
        """((entities found, how often they count), whether the day's k places are taken)."""
        weight = np.where(found[entity], 0, weights[code]).astype(np.int64)
        filled = np.cumsum(weight)
        taken = np.clip(self._k - (filled - weight), 0, weight)
        true = bad & (taken > 0)
        return (entity[true], float(taken[true].sum())), bool(filled[-1] >= self._k)


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
        many = [draw(rng, blocks.n) for _ in range(min(_AT_ONCE, resamples - first))]
        totals[first : first + len(many)] = np.stack(many).astype(np.float64) @ sums
        for i, weights in enumerate(many, first):
            ranks[i, :4] = ranking.measure(weights)
            if entity_days is not None:
                ranks[i, 4] = entity_days.measure(weights)
    return totals, ranks
