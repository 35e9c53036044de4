"""The listed names that match a given one: candidates from the index, bounds, then the scorer.

The bound lets every word take its best partner, for all candidates at once in a few array
operations. It is taken twice: with lengths and letters only, which leaves nobody for most names,
and with the real likenesses; only names that could reach the wanted score are taken word by word.
"""

import numpy as np
from numpy.typing import NDArray

from scoring.core.matching import (
    DOUBTFUL_BITS,
    EXTRA_COST,
    EXTRA_DOUBT,
    JOIN_LEAST_LIKE,
    LOST_BITS,
    LOST_DOUBT,
    LOST_RANGE,
    SINGLE_FACTOR,
    SLIP_DOUBT,
    SURE_BITS,
    Candidate,
    Match,
    Query,
    likeness,
    make_query,
    may_be_like,
    score_one,
)
from scoring.core.name_index import (
    ABSENCE,
    BITS,
    DOUBTFUL_ABSENCE,
    JOIN,
    TELLING,
    WEIGHT,
    Ints,
    NameIndex,
    ranges,
)
from scoring.core.names import INITIAL, PLAIN, NameForm, parse_name

# Between the bound and the score lie rounding and the choice of pairs.
SLACK = 0.03


def find_matches(index: NameIndex, name: str, least: float) -> list[Match]:
    """Listed names that match `name` with a score of at least `least`, best first."""
    return search(index, parse_name(name), least)


def search(index: NameIndex, form: NameForm, least: float) -> list[Match]:
    """Like `find_matches`, of a name that is parsed already."""
    if not form.words or not index.names:
        return []
    query = make_query(index, form)
    looked = [i for i, word in enumerate(form.words) if word.kind == PLAIN]
    if len(looked) < 2:
        # Letters (M.A.T.S.A.) are looked up where there is little else.
        looked += [i for i, word in enumerate(form.words) if word.kind == INITIAL]
    words, joins = [form.words[i].text for i in looked], [join for join, _, _ in form.joins]
    numbers = index.candidates(words, joins, float(query.bits[looked].sum()))
    return compare(index, query, numbers, least)


def compare(
    index: NameIndex, query: Query, numbers: Ints, least: float, *, bounded: bool = True
) -> list[Match]:
    """Those of the names `numbers` that match, best first; without bounds slower and the same."""
    if bounded and len(numbers):
        numbers = numbers[Comparison(index, query, numbers).hopeful(least)]
    if not len(numbers):
        return []
    found = Comparison(index, query, numbers).matches(least if bounded else -1.0, least)
    return sorted(found, key=lambda match: (-match.score, match.number))


class Comparison:
    """One given name against the words of its candidates."""

    def __init__(self, index: NameIndex, query: Query, numbers: Ints) -> None:
        self.index, self.query, self.numbers = index, query, numbers
        first, self.sizes = index.start[numbers], index.size[numbers]
        self.begin = np.cumsum(self.sizes) - self.sizes
        self.places = ranges(first, first + self.sizes)
        self.word = index.word[self.places]
        self.join = index.part[self.places] == JOIN
        self.worth = index.worth[:, self.places]

    def hopeful(self, least: float) -> NDArray[np.bool_]:
        """Which candidates may score `least`, judged by the lengths and letters of their words."""
        index, word = self.index, self.word
        may = may_be_like(self.query, index.cluster[word], index.lengths[word], index.letters[word])
        return self.bounds(may.astype(np.float32)) >= least - SLACK

    def matches(self, bound: float, least: float) -> list[Match]:
        """Of those whose bound reaches `bound` the ones that score `least`, in no order."""
        index = self.index
        distinct, self.column = np.unique(self.word, return_inverse=True)
        self.words = [index.words[number] for number in distinct.tolist()]
        like = likeness(self.query, self.words, index.cluster[distinct], index.lengths[distinct])
        self.like = like[:, self.column]
        hopeful = np.flatnonzero(self.bounds(self.like) >= bound - SLACK).tolist()
        found = [self.match(i, least) for i in hopeful]
        return [match for match in found if match is not None]

    def bounds(self, like: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each candidate can reach at best; 1 where words written as one come into play."""
        n = len(self.query.form.words)
        best = np.where(self.join, 0.0, like[:n].max(axis=0))
        hit = best > 0.0
        weight, bits = self.worth[WEIGHT] * hit, self.worth[BITS] * (self.worth[TELLING] * hit)
        values = (
            weight,
            weight * best,
            bits,
            bits * np.maximum(best - 0.8, 0.0),
            self.worth[ABSENCE] * ~hit,
            self.worth[DOUBTFUL_ABSENCE] * ~hit,
            self.worth[TELLING],
        )
        sums = np.add.reduceat(np.array(values), self.begin, axis=1)
        matched, alike, whole, told, gap, doubtful, telling = sums
        doubt = (SURE_BITS - told / 0.2) / (SURE_BITS - DOUBTFUL_BITS)
        doubt = np.minimum(np.maximum(doubt, 0.0), 1.0)
        lost = np.minimum(np.maximum((LOST_BITS - whole) / LOST_RANGE, 0.0), 1.0) * LOST_DOUBT
        if self.query.single:
            doubt = np.where(telling == 1, doubt * SINGLE_FACTOR, doubt)
            lost = np.where(telling == 1, 0.0, lost)
        listed = matched / np.maximum(matched + gap + doubtful * doubt, 1e-9)
        slips = (1.0 - alike / np.maximum(matched, 1e-9)) * (1.0 + SLIP_DOUBT * doubt + lost)
        bound: NDArray[np.float64] = listed * self._given(like[:n], doubt) * (1.0 - slips)
        return np.where(self._joined(like, n), 1.0, bound) if self._has_joins(n, like) else bound

    def _given(self, like: NDArray[np.float32], doubt: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of the given name that finds a partner in each candidate."""
        query = self.query
        paired = np.maximum.reduceat(like, self.begin, axis=1) > 0.0
        kept, alone = query.weights @ paired, ~paired
        over = (query.costs * query.plain) @ alone * (EXTRA_COST + EXTRA_DOUBT * doubt)
        over += (query.costs * ~query.plain) @ alone
        share: NDArray[np.float64] = kept / np.maximum(kept + over, 1e-9)
        return share

    def _has_joins(self, n: int, like: NDArray[np.float32]) -> bool:
        return n < len(like) or bool(self.join.any())

    def _joined(self, like: NDArray[np.float32], n: int) -> NDArray[np.bool_]:
        """Candidates where a join of either side is like a word of the other."""
        close = like >= JOIN_LEAST_LIKE
        joined = close[:n].any(axis=0) & self.join
        if n < len(like):
            joined |= close[n:].any(axis=0) & ~self.join
        found: NDArray[np.bool_] = np.logical_or.reduceat(joined, self.begin)
        return found

    def match(self, i: int, least: float) -> Match | None:
        """The match of candidate `i`, words paired one to one; None below `least`."""
        begin = int(self.begin[i])
        here = slice(begin, begin + int(self.sizes[i]))
        places, worth = self.places[here], self.worth[:, here].tolist()
        candidate = Candidate(
            number=int(self.numbers[i]),
            words=[self.words[c] for c in self.column[here].tolist()],
            part=self.index.part[places].tolist(),
            span=self.index.span[places].tolist(),
            bits=worth[BITS],
            weight=worth[WEIGHT],
            absence=worth[ABSENCE],
            doubtful=worth[DOUBTFUL_ABSENCE],
        )
        return score_one(self.query, candidate, self.like[:, here].tolist(), least)
