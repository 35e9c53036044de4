"""The listed names that match a given one: candidates from the index, bounds, then the scorer.

The bound lets every word take its best partner, for all candidates at once in a few array
operations; only names that could reach the wanted score are taken word by word.
"""

import numpy as np
from numpy.typing import NDArray

from scoring.core.matching import (
    DOUBTFUL_BITS,
    EXTRA_COST,
    EXTRA_DOUBT,
    FAMILY_COST,
    FURTHER_COST,
    FURTHER_DOUBT,
    INITIAL_COST,
    INITIAL_WEIGHT,
    JOIN_LEAST_LIKE,
    LITTLE_COST,
    LITTLE_WEIGHT,
    MIDDLE_COST,
    MIDDLE_DOUBT,
    MIDDLE_WEIGHT,
    SINGLE_FACTOR,
    SLIP_DOUBT,
    SURE_BITS,
    Candidate,
    Match,
    Query,
    likeness,
    make_query,
    score_one,
)
from scoring.core.name_index import FIRST, FURTHER, JOIN, LITTLE, MIDDLE, Ints, NameIndex
from scoring.core.names import INITIAL, PLAIN, parse_name

# Between the bound and the score lie rounding and the choice of pairs.
SLACK = 0.03


def find_matches(index: NameIndex, name: str, least: float) -> list[Match]:
    """Listed names that match `name` with a score of at least `least`, best first."""
    form = parse_name(name)
    if not form.words or not index.names:
        return []
    query = make_query(index, form)
    looked = [i for i, word in enumerate(form.words) if word.kind == PLAIN]
    if len(looked) < 2:
        # Letters (M.A.T.S.A.) are looked up where there is little else.
        looked += [i for i, word in enumerate(form.words) if word.kind == INITIAL]
    words, joins = [form.words[i].text for i in looked], [join for join, _, _ in form.joins]
    numbers = index.candidates(words, joins, float(query.bits[looked].sum()))
    if not len(numbers):
        return []
    found = Comparison(index, query, numbers).matches(least)
    return sorted(found, key=lambda match: (-match.score, match.number))


class Comparison:
    """One given name against the words of its candidates."""

    def __init__(self, index: NameIndex, query: Query, numbers: Ints) -> None:
        self.query, self.numbers = query, numbers
        first, self.sizes = index.start[numbers], index.size[numbers]
        self.begin = np.cumsum(self.sizes) - self.sizes
        places = np.arange(int(self.sizes.sum())) + np.repeat(first - self.begin, self.sizes)
        self.part, self.span = index.part[places], index.span[places]
        distinct, self.column = np.unique(index.word[places], return_inverse=True)
        self.words = [index.words[number] for number in distinct.tolist()]
        lengths = index.lengths[distinct]
        self.like = likeness(query, self.words, index.cluster[distinct], lengths)
        self.bits = index.bits[distinct][self.column]
        self.short = lengths[self.column] == 1
        full = 0.5 + 0.5 * self.bits / index.most_bits
        self.full = np.where(self.short, INITIAL_WEIGHT, full)
        weight = np.where(self.part == MIDDLE, MIDDLE_WEIGHT * self.full, self.full)
        self.weight = np.where(self.part == LITTLE, LITTLE_WEIGHT, weight)

    def matches(self, least: float) -> list[Match]:
        """Those that score at least `least`, in no order."""
        hopeful = np.flatnonzero(self.bounds() >= least - SLACK).tolist()
        found = [self.match(i) for i in hopeful]
        return [match for match in found if match.score >= least]

    def bounds(self) -> NDArray[np.float64]:
        """What each candidate can reach at best; 1 where words written as one come into play."""
        n = len(self.query.form.words)
        best = self.like[:n].max(axis=0)[self.column]
        hit = (best > 0) & (self.part != JOIN)
        weight = np.where(hit, self.weight, 0.0)
        told = np.where(hit & (self.part != LITTLE), self.bits * (best - 0.8) / 0.2, 0.0)
        doubt = (SURE_BITS - self._sum(told)) / (SURE_BITS - DOUBTFUL_BITS)
        doubt = np.clip(doubt, 0.0, 1.0)
        if self.query.single:
            telling = self._sum((self.part != LITTLE) & (self.part != JOIN))
            doubt = np.where(telling == 1, doubt * SINGLE_FACTOR, doubt)
        matched = self._sum(weight)
        similarity = self._sum(weight * best) / np.maximum(matched, 1e-9)
        gap = self._gap(~hit & (self.part != JOIN), doubt)
        listed = matched / np.maximum(matched + gap, 1e-9)
        slips = (1.0 - similarity) * (1.0 + SLIP_DOUBT * doubt)
        bound = listed * self._given(doubt, n) * (1.0 - slips)
        return np.where(self._joined(n), 1.0, bound)

    def _gap(self, missing: NDArray[np.bool_], doubt: NDArray[np.float64]) -> NDArray[np.float64]:
        cost = np.where(self.part == FIRST, self.full, self.full * FAMILY_COST)
        middle, further = self.part == MIDDLE, self.part == FURTHER
        cost = np.where(middle, self.full * MIDDLE_COST, cost)
        cost = np.where(further, self.full * FURTHER_COST, cost)
        cost = np.where(self.short, INITIAL_COST, cost)
        cost = np.where(self.part == LITTLE, LITTLE_COST, cost)
        grows = middle * MIDDLE_DOUBT + further * FURTHER_DOUBT
        doubtful = np.where(missing & ~self.short, self.full * grows, 0.0)
        return self._sum(np.where(missing, cost, 0.0)) + self._sum(doubtful) * doubt

    def _given(self, doubt: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """The share of the given name that finds a partner in each candidate."""
        query = self.query
        paired = np.maximum.reduceat(self.like[:n, self.column], self.begin, axis=1) > 0
        kept = query.weights @ paired
        alone = (query.costs * query.plain) @ ~paired
        over = alone * (EXTRA_COST + EXTRA_DOUBT * doubt) + (query.costs * ~query.plain) @ ~paired
        share: NDArray[np.float64] = kept / np.maximum(kept + over, 1e-9)
        return share

    def _joined(self, n: int) -> NDArray[np.bool_]:
        """Candidates where a join of either side is like a word of the other."""
        like: NDArray[np.bool_] = np.greater_equal(self.like, JOIN_LEAST_LIKE)
        joined = like[:n].max(axis=0)[self.column] & (self.part == JOIN)
        if n < len(like):
            joined |= like[n:].max(axis=0)[self.column] & (self.part != JOIN)
        found: NDArray[np.bool_] = np.logical_or.reduceat(joined, self.begin)
        return found

    def _sum(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.add.reduceat(values.astype(np.float64), self.begin)

    def match(self, i: int) -> Match:
        """The score of candidate `i`, words paired one to one."""
        begin = int(self.begin[i])
        here = slice(begin, begin + int(self.sizes[i]))
        columns = self.column[here]
        candidate = Candidate(
            number=int(self.numbers[i]),
            words=[self.words[c] for c in columns.tolist()],
            part=self.part[here].tolist(),
            span=self.span[here].tolist(),
            bits=self.bits[here].tolist(),
            full=self.full[here].tolist(),
            weight=self.weight[here].tolist(),
        )
        return score_one(self.query, candidate, self.like[:, columns])
