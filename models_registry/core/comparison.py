"""Is the candidate better than the champion, or was it luck? Paired bootstrap on the same rows."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.costs import decision_costs
from models_registry.core.metrics import average_precision, interval
from scoring.core.spec import CostSpec

MINIMUM_POSITIVES: Final = 10

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
    if not or if there are fewer than ten positives. `cheaper` says the same of the cost.
    """

    rows: int
    positives: int
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
    entities: NDArray[Any] | None = None,
    seed: int = 0,
    resamples: int = 300,
) -> Comparison:
    """Compare two models on the same rows.

    Each resample draws rows, or whole entities where `entities` [n] are given (the events of one
    entity are not independent), and both models are measured on the same draw.
    """
    positives = int((labels == 1).sum())
    groups = np.arange(labels.size) if entities is None else entities
    draws = _draw_weights(groups, seed=seed, resamples=resamples)
    precision = _difference(
        _Precision(labels, champion.risk), _Precision(labels, candidate.risk), draws
    )
    cost = None
    if amounts is not None and np.isfinite(amounts).any():
        spent = [
            decision_costs(
                labels, one.risk, amounts, review=one.review, block=one.block, costs=costs
            )
            for one in (champion, candidate)
        ]
        cost = _difference(_Mean(spent[0]), _Mean(spent[1]), draws)
    enough = positives >= MINIMUM_POSITIVES
    return Comparison(
        rows=labels.size,
        positives=positives,
        average_precision=precision,
        cost=cost,
        verdict=_verdict(precision, enough=enough, higher_is_better=True),
        cheaper=_verdict(cost, enough=enough, higher_is_better=False),
    )


def _draw_weights(groups: NDArray[Any], *, seed: int, resamples: int) -> "_Draws":
    code = np.unique(groups, return_inverse=True)[1]
    return _Draws(code, int(code.max(initial=-1)) + 1, seed, resamples)


@dataclass(frozen=True)
class _Draws:
    """How often each row occurs in each resample, made anew on every pass to bound memory."""

    code: NDArray[np.intp]
    n_groups: int
    seed: int
    resamples: int

    def __iter__(self) -> Any:
        rng = np.random.default_rng(self.seed)
        for _ in range(self.resamples):
            picked = rng.integers(0, self.n_groups, self.n_groups)
            yield np.bincount(picked, minlength=self.n_groups)[self.code].astype(np.float64)


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


class _Mean:
    """Mean of a per-row quantity under row weights."""

    def __init__(self, values: FloatArray) -> None:
        self._values = values
        self.value = float(values.mean()) if values.size else float("nan")

    def weighted(self, weights: FloatArray) -> float:
        return float((weights * self._values).sum() / weights.sum())


def _difference(
    champion: "_Precision | _Mean", candidate: "_Precision | _Mean", draws: _Draws
) -> Difference:
    drawn = np.array([candidate.weighted(w) - champion.weighted(w) for w in draws])
    low, high = interval(drawn)
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
