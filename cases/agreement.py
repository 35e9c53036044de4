"""How far two people agree: Cohen's kappa with its interval, and intervals of shares. No Django."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

Z: Final = 1.959963984540054
"""Two-sided 95 %."""
NO_WIDTH: Final = 1e-6
"""Of half an interval: below it is rounding."""


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance of `pairs` judgements; 1 is perfect, 0 what chance gives.

    `value`, `low` and `high` are None where nothing can be said: no pairs, or both always gave the
    same answer, so that chance explains everything.
    """

    pairs: int
    observed: float | None
    expected: float | None
    value: float | None
    low: float | None
    high: float | None


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> Kappa:
    """Cohen's kappa (1960) of pairs (first, second), with a 95 % interval.

    The standard error is that of Fleiss, Cohen & Everitt, "Large sample standard errors of kappa
    and weighted kappa", Psychological Bulletin 72 (1969), equation 13. Of pairs that all agree, or
    all differ, it is 0, as if it were certain: there the interval is that of Wilson for the share
    that agrees, at the agreement that chance gives.
    """
    n = len(pairs)
    if n == 0:
        return Kappa(0, None, None, None, None, None)
    cells = {cell: count / n for cell, count in Counter(pairs).items()}
    words = sorted({word for pair in pairs for word in pair})
    first = {word: sum(p for (a, _), p in cells.items() if a == word) for word in words}
    second = {word: sum(p for (_, b), p in cells.items() if b == word) for word in words}
    observed = sum(cells.get((word, word), 0.0) for word in words)
    expected = sum(first[word] * second[word] for word in words)
    if expected >= 1.0 - 1e-12:
        return Kappa(n, observed, expected, None, None, None)
    value = (observed - expected) / (1.0 - expected)
    diagonal = sum(
        cells.get((word, word), 0.0) * (1.0 - (first[word] + second[word]) * (1.0 - value)) ** 2
        for word in words
    )
    beside = (1.0 - value) ** 2 * sum(
        p * (second[a] + first[b]) ** 2 for (a, b), p in cells.items() if a != b
    )
    shift = (value - expected * (1.0 - value)) ** 2
    variance = max(diagonal + beside - shift, 0.0) / (n * (1.0 - expected) ** 2)
    reach = Z * sqrt(variance)
    low, high = value - reach, value + reach
    if reach < NO_WIDTH:
        ends = _wilson(round(observed * n), n)
        low, high = ((end - expected) / (1.0 - expected) for end in ends)
    return Kappa(n, observed, expected, value, max(low, -1.0), min(high, 1.0))


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
