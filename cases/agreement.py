"""How far two people agree: Cohen's kappa with its interval, and intervals of shares. No Django."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

Z: Final = 1.959963984540054
"""Two-sided 95 %."""
SPREAD: Final = 2.0
"""Judgements that are spread over all cells before kappa's interval is taken. Without them few who
all agree would be certain; with two, 91 to 100 % of the intervals hold (docs/second_looks.md)."""
Cells = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance of `pairs` judgements; 1 is perfect, 0 what chance gives.

    `value`, `low` and `high` are None where nothing can be said: no pairs, or one of the two always
    gave the same answer, so that kappa is 0 (or nothing) however often they agree.
    """

    pairs: int
    observed: float | None
    expected: float | None
    value: float | None
    low: float | None
    high: float | None


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> Kappa:
    """Cohen's kappa (1960) of pairs (first, second), with a 95 % interval.

    The interval is that of Fleiss, Cohen & Everitt (`standard_error`) on a table to which `SPREAD`
    judgements were added, as many in each cell: one more of them moves it a little, never from
    certain to unknown. It is as wide as it takes to hold kappa itself.
    """
    n = len(pairs)
    if n == 0:
        return Kappa(0, None, None, None, None, None)
    counts = Counter(pairs)
    words = sorted({word for pair in pairs for word in pair})
    observed, expected = _agreement({cell: count / n for cell, count in counts.items()}, words)
    if any(len({pair[side] for pair in pairs}) == 1 for side in (0, 1)):
        return Kappa(n, observed, expected, None, None, None)
    value = (observed - expected) / (1.0 - expected)
    each, total = SPREAD / len(words) ** 2, n + SPREAD
    spread = {(a, b): (counts[a, b] + each) / total for a in words for b in words}
    same, by_chance = _agreement(spread, words)
    middle = (same - by_chance) / (1.0 - by_chance)
    reach = Z * standard_error(spread, total)
    low, high = min(middle - reach, value), max(middle + reach, value)
    return Kappa(n, observed, expected, value, max(low, -1.0), min(high, 1.0))


def standard_error(cells: Cells, n: float) -> float:
    """Of kappa, from the share of `n` pairs in each cell: Fleiss, Cohen & Everitt, "Large sample
    standard errors of kappa and weighted kappa", Psychological Bulletin 72 (1969), equation 13."""
    words = sorted({word for cell in cells for word in cell})
    observed, expected = _agreement(cells, words)
    first, second = _margins(cells, words)
    value = (observed - expected) / (1.0 - expected)
    diagonal = sum(
        cells.get((word, word), 0.0) * (1.0 - (first[word] + second[word]) * (1.0 - value)) ** 2
        for word in words
    )
    beside = (1.0 - value) ** 2 * sum(
        p * (second[a] + first[b]) ** 2 for (a, b), p in cells.items() if a != b
    )
    shift = (value - expected * (1.0 - value)) ** 2
    return sqrt(max(diagonal + beside - shift, 0.0) / n) / (1.0 - expected)


def _agreement(cells: Cells, words: Sequence[str]) -> tuple[float, float]:
    """(how often both say the same, how often they would by chance)."""
    first, second = _margins(cells, words)
    observed = sum(cells.get((word, word), 0.0) for word in words)
    return observed, sum(first[word] * second[word] for word in words)


def _margins(cells: Cells, words: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    first = {word: sum(p for (a, _), p in cells.items() if a == word) for word in words}
    return first, {word: sum(p for (_, b), p in cells.items() if b == word) for word in words}


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `total`, with the 95 % interval of Wilson (1927); all None of nothing."""

    hits: int
    total: int
    value: float | None
    low: float | None
    high: float | None


def share_of(hits: int, total: int) -> Share:
    """A proportion and what it may be beyond these rows."""
    if total <= 0:
        return Share(hits, total, None, None, None)
    return Share(hits, total, hits / total, *_wilson(hits, total))


def _wilson(hits: int, total: int) -> tuple[float, float]:
    """The ends of the interval of a share of at least one."""
    p, z2 = hits / total, Z * Z
    middle = (p + z2 / (2 * total)) / (1 + z2 / total)
    reach = Z * sqrt(p * (1 - p) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
