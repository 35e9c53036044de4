"""Is the candidate better than the champion, or was it luck? Paired bootstrap on the same rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import comb, erfc
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.costs import decision_costs
from models_registry.core.metrics import (
    average_precision,
    entity_hits_by_day,
    entity_precision_at_k,
    interval,
)
from models_registry.core.resampling import Blocks, effective_blocks, of_days, widened
from scoring.core.spec import CostSpec

LEVEL, LEVEL_OF_TWO = 0.95, 0.975
"""Of an interval that decides alone, and of each of two of which either may decide (Bonferroni):
who is no better passes at most as often by both as by one."""
LEAST_BLOCKS: Final = 6
"""Effective blocks with positives from which anything is decided: with fewer, equal models would
all too often differ by one sign in every one of them (6 coins fall alike in 1 of 32)."""
FORMER_LEAST_POSITIVES: Final = 10
"""Of comparisons that do not say how many they wanted."""

FloatArray = NDArray[np.float64]
Labels = NDArray[Any]


@dataclass(frozen=True)
class Contender:
    """One model's view of the rows: `risk` float64[n] and its own thresholds on that scale."""

    risk: FloatArray
    review: float
    block: float


@dataclass(frozen=True)
class Difference:
    """A statistic of both, candidate minus champion, and the interval of that difference."""

    champion: float
    candidate: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """The outcome. `cost` is money per event, lower is better; None where amounts are unknown.

    `verdict`: `better` or `worse` if the interval of the average precision excludes 0, `undecided`
    if not, if there are fewer positives than `least_positives`, or fewer legitimate rows than that,
    or if the positives lie in fewer `blocks` (effective ones; what a block is stands in `unit`)
    than `least_blocks`. `cheaper` says the same of the cost. `level` is that of both intervals:
    higher where either may decide.
    """

    rows: int
    positives: int
    least_positives: int
    blocks: float
    least_blocks: int
    unit: str
    level: float
    average_precision: Difference
    cost: Difference | None
    verdict: str
    cheaper: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    labels: Labels,
    champion: Contender,
    candidate: Contender,
    *,
    amounts: FloatArray | None,
    costs: CostSpec,
    least_positives: int,
    blocks: Blocks | None = None,
    seed: int = 0,
    resamples: int = 500,
) -> Comparison:
    """Compare two models on the same rows.

    Each resample draws rows, or whole `blocks` of them where these are given (the events of one
    entity are not independent), and both models are measured on the same draw. The fewer blocks
    hold the positives, the wider the intervals.
    """
    blocks = blocks or _each_row(labels.size)
    positives = np.bincount(blocks.code, weights=labels == 1, minlength=blocks.n)
    effective = effective_blocks(positives)
    draws = _Draws(blocks, seed, resamples)
    known = amounts if amounts is not None and np.isfinite(amounts).any() else None
    level = LEVEL if known is None else LEVEL_OF_TWO
    drawn_at = widened(level, effective)
    precision = _difference(
        _Precision(labels, champion.risk), _Precision(labels, candidate.risk), draws, drawn_at
    )
    cost = None
    if known is not None:
        theirs, ours = (_mean_cost(labels, one, known, costs) for one in (champion, candidate))
        cost = _difference(theirs, ours, draws, drawn_at)
    enough = _enough(labels.size, positives.sum(), least_positives) and effective >= LEAST_BLOCKS
    return Comparison(
        rows=labels.size,
        positives=int(positives.sum()),
        least_positives=least_positives,
        blocks=effective,
        least_blocks=LEAST_BLOCKS,
        unit=blocks.unit,
        level=level,
        average_precision=precision,
        cost=cost,
        verdict=_verdict(precision, enough=enough, higher_is_better=True),
        cheaper=_verdict(cost, enough=enough, higher_is_better=False),
    )


def could_decide(found: Mapping[str, Any]) -> bool:
    """Whether a comparison as it is kept (`Comparison.to_dict`) had enough positives, enough blocks
    that hold them, and enough legitimate rows beside them to tell models apart; older ones do not
    say how much they wanted."""
    least = found.get("least_positives", FORMER_LEAST_POSITIVES)
    enough = _enough(found["rows"], found["positives"], least)
    return bool(enough and found.get("blocks", 0.0) >= found.get("least_blocks", 0))


def _enough(rows: int, positives: float, least: int) -> bool:
    """Of either kind: where nothing is legitimate, who flags all finds all and never errs."""
    return bool(min(positives, rows - positives) >= least)


def backs_promotion(verdict: str, cheaper: str) -> bool:
    """Whether a comparison's outcomes do: surely better by one of them, surely worse by neither."""
    return "better" in (verdict, cheaper) and "worse" not in (verdict, cheaper)


def _mean_cost(labels: Labels, one: Contender, amounts: FloatArray, costs: CostSpec) -> "_Mean":
    review, block = one.review, one.block
    return _Mean(decision_costs(labels, one.risk, amounts, review=review, block=block, costs=costs))


def _each_row(n: int) -> Blocks:
    return Blocks(np.arange(n, dtype=np.int32), n, "event")


@dataclass(frozen=True)
class _Draws:
    """How often each row occurs in each resample, made anew on every pass to bound memory."""

    blocks: Blocks
    seed: int
    resamples: int

    def __iter__(self) -> Any:
        rng, n = np.random.default_rng(self.seed), self.blocks.n
        for _ in range(self.resamples):
            picked = rng.integers(0, n, n)
            yield np.bincount(picked, minlength=n)[self.blocks.code].astype(np.float64)


class _Precision:
    """Average precision under row weights; the rows are ranked once, not once a resample."""

    def __init__(self, labels: Labels, risk: FloatArray) -> None:
        self._order = np.argsort(-risk, kind="stable")
        ranked = risk[self._order]
        self._last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
        self._positive = (labels[self._order] == 1).astype(np.float64)
        self.value = average_precision(labels, risk)

    def weighted(self, weights: FloatArray) -> float:
        ranked = weights[self._order]
        true = np.cumsum(ranked * self._positive)[self._last]
        flagged = np.cumsum(ranked)[self._last]
        if true.size == 0 or true[-1] == 0:
            return float("nan")
        precision = np.divide(true, flagged, out=np.zeros_like(true), where=flagged > 0)
        return float((np.diff(true, prepend=0.0) * precision).sum() / true[-1])


class _Cards:
    """Card precision@k (core.metrics) under weights of whole entities, or of their days.

    An entity that is drawn twice takes two of the k places; entities are ranked once a day.
    """

    def __init__(
        self,
        labels: Labels,
        risk: FloatArray,
        entities: NDArray[Any],
        days: NDArray[Any],
        k: int,
    ) -> None:
        code = np.unique(entities, return_inverse=True)[1]
        self._entities = int(code.max(initial=-1)) + 1
        self._k = k
        self._days = [
            _ranked(labels, risk, code, np.flatnonzero(days == day)) for day in np.unique(days)
        ]
        self.value = entity_precision_at_k(labels, risk, entities, days, k)

    def weighted(self, weights: FloatArray) -> float:
        found = np.zeros(self._entities, dtype=bool)
        hits = 0.0
        for entities, bad, row in self._days:
            present = np.where(found[entities], 0.0, weights[row])
            before = np.cumsum(present) - present
            taken = np.clip(self._k - before, 0.0, present) * bad
            hits += float(taken.sum())
            found[entities[taken > 0]] = True
        return hits / (self._k * len(self._days)) if self._days else float("nan")


def _ranked(
    labels: Labels, risk: FloatArray, code: NDArray[np.intp], today: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]:
    """(entities of a day, riskiest first; whether each had a bad event; a row of each that day)."""
    present, first, place = np.unique(code[today], return_index=True, return_inverse=True)
    top = np.full(present.size, -np.inf)
    np.maximum.at(top, place, risk[today])
    bad = np.zeros(present.size, dtype=bool)
    np.logical_or.at(bad, place, labels[today] == 1)
    order = np.argsort(-top, kind="stable")
    return present[order], bad[order], today[first][order]


class _Mean:
    """Mean of a per-row quantity under row weights."""

    def __init__(self, values: FloatArray) -> None:
        self._values = values
        self.value = float(values.mean()) if values.size else float("nan")

    def weighted(self, weights: FloatArray) -> float:
        return float((weights * self._values).sum() / weights.sum())


class _WeightedMean(_Mean):
    """The same where rows stand for more than themselves (`weights` [n])."""

    def __init__(self, values: FloatArray, weights: FloatArray) -> None:
        super().__init__(values)
        self._own = weights
        self.value = self.weighted(np.ones(values.size))

    def weighted(self, weights: FloatArray) -> float:
        together = weights * self._own
        total = float(together.sum())
        return float((together * self._values).sum()) / total if total else float("nan")


def paired_means(
    champion: FloatArray,
    candidate: FloatArray,
    *,
    labels: Labels,
    weights: FloatArray,
    blocks: Blocks,
    seed: int = 0,
    resamples: int = 300,
) -> Difference:
    """Weighted means of a per-row quantity of both, resampled by block; all arrays [n]. The fewer
    blocks hold the positives, or the weight of them, the wider the interval."""
    positives = np.bincount(blocks.code, weights=weights * (labels == 1), minlength=blocks.n)
    return _difference(
        _WeightedMean(champion, weights),
        _WeightedMean(candidate, weights),
        _Draws(blocks, seed, resamples),
        widened(LEVEL, effective_blocks(positives)),
    )


def paired_card_precision(
    labels: Labels,
    champion: FloatArray,
    candidate: FloatArray,
    *,
    entities: NDArray[Any],
    days: NDArray[Any],
    k: int,
    blocks: Blocks,
    seed: int = 0,
    resamples: int = 300,
) -> Difference:
    """Card precision@k of two risks float64[n] on the same days, resampled by block: whole
    entities or days of them. The fewer blocks hold the positives, or the more days differ, the
    wider the interval."""
    positives = np.bincount(blocks.code, weights=labels == 1, minlength=blocks.n)
    theirs, ours = (
        entity_hits_by_day(labels, risk, entities, days, k) for risk in (champion, candidate)
    )
    return _difference(
        _Cards(labels, champion, entities, days, k),
        _Cards(labels, candidate, entities, days, k),
        _Draws(blocks, seed, resamples),
        widened(LEVEL, effective_blocks(positives)),
        by_day=(ours - theirs) / k,
    )


@dataclass(frozen=True, slots=True)
class McNemar:
    """How often one alone was right. `p` is two-sided, NaN where they never differed."""

    champion_only: int
    candidate_only: int
    p: float


EXACT_UP_TO: Final = 1000


def mcnemar(champion_right: NDArray[np.bool_], candidate_right: NDArray[np.bool_]) -> McNemar:
    """McNemar's test on paired decisions [n], with the mid-p of the exact binomial.

    Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data: mid-p and
    asymptotic are better than exact conditional", BMC Medical Research Methodology 13, 2013. Above
    a thousand differing pairs the normal approximation is used.
    """
    theirs = int((champion_right & ~candidate_right).sum())
    ours = int((candidate_right & ~champion_right).sum())
    return McNemar(theirs, ours, _mid_p(min(theirs, ours), theirs + ours))


def _mid_p(fewer: int, pairs: int) -> float:
    if pairs == 0:
        return float("nan")
    if pairs > EXACT_UP_TO:
        z = (pairs - 2 * fewer) / np.sqrt(pairs)
        return float(erfc(z / np.sqrt(2.0)))
    tail = sum(comb(pairs, i) for i in range(fewer + 1))
    # Whole numbers of any size divide exactly enough; floats of 2**1000 would overflow.
    return min(1.0, float((2 * tail - comb(pairs, fewer)) / 2**pairs))


def _difference(
    champion: "_Precision | _Cards | _Mean",
    candidate: "_Precision | _Cards | _Mean",
    draws: _Draws,
    level: float = LEVEL,
    *,
    by_day: FloatArray | None = None,
) -> Difference:
    """`by_day` where it is a mean over days of the riskiest entities of each."""
    drawn = np.array([candidate.weighted(w) - champion.weighted(w) for w in draws])
    if by_day is None:
        low, high = interval(drawn, level)
    else:
        low, high = of_days(drawn, by_day, level)
        low, high = max(-1.0, low), min(1.0, high)
    return Difference(
        champion=champion.value,
        candidate=candidate.value,
        difference=candidate.value - champion.value,
        low=low,
        high=high,
    )


def _verdict(difference: Difference | None, *, enough: bool, higher_is_better: bool) -> str:
    if difference is None or not enough:
        return "undecided"
    if difference.low > 0:
        return "better" if higher_is_better else "worse"
    if difference.high < 0:
        return "worse" if higher_is_better else "better"
    return "undecided"
