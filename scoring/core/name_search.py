"""The listed names that match a given one: candidates from the index, bounds, then the scorer.

The bound lets every word take its best partner, for all candidates at once in a few array
operations. It is taken twice: with lengths and letters only, which leaves nobody for most names,
and with the real likenesses; only names that could reach the wanted score are taken word by word.
"""

import numpy as np
from numpy.typing import NDArray

from scoring.core.matching import (
    DOUBTFUL_BITS,
    ENOUGH,
    EXTRA_COST,
    EXTRA_DOUBT,
    GONE,
    GONE_OR_SWAPPED,
    INITIAL_BITS,
    JOIN_LEAST_LIKE,
    LACK,
    RANGE,
    RESPELLED,
    SINGLE_BITS,
    SLIP_LETTER,
    SLIP_SHORT,
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
_GONE = np.array([GONE.get(part, 0.0) for part in range(JOIN + 1)])


def find_matches(index: NameIndex, name: str, least: float) -> list[Match]:
    """Listed names that match `name` with a score of at least `least`, best first."""
    return search(index, parse_name(name), least)


def search(index: NameIndex, form: NameForm, least: float, *, once: bool = False) -> list[Match]:
    """Like `find_matches`, of a name that is parsed already; see `compare` for `once`."""
    if not form.words or not index.names:
        return []
    query = make_query(index, form)
    looked = [i for i, word in enumerate(form.words) if word.kind == PLAIN]
    if len(looked) < 2:
        # Letters (M.A.T.S.A.) are looked up where there is little else.
        looked += [i for i, word in enumerate(form.words) if word.kind == INITIAL]
    words, joins = [form.words[i].text for i in looked], [join for join, _, _ in form.joins]
    numbers = index.candidates(words, joins, float(query.bits[looked].sum()))
    return compare(index, query, numbers, least, once=once)


def compare(
    index: NameIndex,
    query: Query,
    numbers: Ints,
    least: float,
    *,
    bounded: bool = True,
    once: bool = False,
) -> list[Match]:
    """Those of the names `numbers` that match, best first; without bounds slower and the same.

    `once`: of a party's names, weak ones apart, those may be left out that another one outdoes.
    """
    if bounded and len(numbers):
        numbers = numbers[Comparison(index, query, numbers).hopeful(least)]
    if not len(numbers):
        return []
    found = Comparison(index, query, numbers).matches(least if bounded else -1.0, least, once)
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
        bits, lengths = self.worth[BITS], index.lengths[self.word]
        self.slipped = np.minimum(
            bits, np.maximum(bits - RESPELLED, SLIP_LETTER * lengths - SLIP_SHORT + GONE_OR_SWAPPED)
        )
        self.slipped = np.maximum(self.slipped, np.minimum(bits, INITIAL_BITS))
        self.gone = _GONE[index.part[self.places]]

    def hopeful(self, least: float) -> NDArray[np.bool_]:
        """Which candidates may score `least`, judged by the lengths and letters of their words."""
        index, word = self.index, self.word
        may = may_be_like(self.query, index.cluster[word], index.lengths[word], index.letters[word])
        return self.bounds(may.astype(np.float32)) >= least - SLACK

    def matches(self, bound: float, least: float, once: bool) -> list[Match]:
        """Of those whose bound reaches `bound` the ones that score `least`, in no order."""
        index = self.index
        distinct, self.column = np.unique(self.word, return_inverse=True)
        self.words = [index.words[number] for number in distinct.tolist()]
        like = likeness(self.query, self.words, index.cluster[distinct], index.lengths[distinct])
        self.like = like[:, self.column]
        bounds = self.bounds(self.like) + SLACK
        hopeful = np.flatnonzero(bounds >= bound)
        if not len(hopeful):
            return []
        self._unpack()
        found: list[Match] = []
        best: dict[tuple[int, bool], float] = {}
        for i in hopeful[np.argsort(-bounds[hopeful], kind="stable")].tolist():
            number = int(self.numbers[i])
            party = (int(index.owner[number]), index.weak(number)) if once else (number, False)
            # Nothing scores more than 1, whatever its bound.
            if best.get(party, -1.0) >= min(bounds[i], 1.0):
                continue
            match = self.match(i, least)
            if match is not None:
                found.append(match)
                best[party] = max(best.get(party, 0.0), match.score)
        return found

    def _unpack(self) -> None:
        """Arrays as lists, which are quicker one by one; of the likenesses those above 0."""
        self.parts, self.spans = (array[self.places].tolist()
                                  for array in (self.index.part, self.index.span))  # fmt: skip
        self.clusters, self.worths = self.index.cluster[self.word].tolist(), self.worth.tolist()
        self.columns = self.column.tolist()
        places, rows = np.nonzero(self.like.T)
        self.alike = list(
            zip(rows.tolist(), places.tolist(), self.like[rows, places].tolist(), strict=True)
        )
        self.first = np.searchsorted(places, [*self.begin, len(self.places)]).tolist()

    def bounds(self, like: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each candidate can reach at best; 1 where words written as one come into play."""
        n = len(self.query.form.words)
        best = np.where(self.join, 0.0, like[:n].max(axis=0))
        hit = best > 0.0
        weight, telling = self.worth[WEIGHT] * hit, self.worth[TELLING] > 0.0
        told = np.where(best == 1.0, self.worth[BITS], self.slipped) * (telling & hit)
        values = (
            weight,
            weight * best,
            told,
            self.worth[ABSENCE] * ~hit,
            self.worth[DOUBTFUL_ABSENCE] * ~hit,
            self.worth[TELLING],
            self.gone * ~hit,
            (telling & (best < 1.0)) | (~self.join & ~hit),
        )
        sums = np.add.reduceat(np.array(values), self.begin, axis=1)
        matched, alike, told, absent, doubtful, carrying, gone, unlike = sums
        if self.query.single:
            told = told + SINGLE_BITS * (carrying == 1)
        doubt = np.clip((SURE_BITS - told) / (SURE_BITS - DOUBTFUL_BITS), 0.0, 1.0)
        listed = matched / np.maximum(matched + absent + doubtful * doubt, 1e-9)
        given, more = self._given(like[:n], doubt)
        lack = LACK * np.clip((ENOUGH - told + gone) / RANGE, 0.0, 1.0) * ((unlike > 0) | more)
        bound: NDArray[np.float64] = listed * given * alike / np.maximum(matched, 1e-9)
        bound *= 1.0 - lack
        return np.where(self._joined(like, n), 1.0, bound) if self._has_joins(n, like) else bound

    def _given(
        self, like: NDArray[np.float32], doubt: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The share of the given name with a partner in each candidate; who leaves a plain word."""
        query = self.query
        alone = np.maximum.reduceat(like, self.begin, axis=1) <= 0.0
        kept, plain = query.weights @ ~alone, query.costs * query.plain
        over = plain @ alone * (EXTRA_COST + EXTRA_DOUBT * doubt)
        over += (query.costs * ~query.plain) @ alone
        share: NDArray[np.float64] = kept / np.maximum(kept + over, 1e-9)
        return share, np.logical_or.reduce(alone, axis=0)

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
        here, worths = slice(begin, begin + int(self.sizes[i])), self.worths
        candidate = Candidate(
            number=int(self.numbers[i]),
            words=[self.words[c] for c in self.columns[here]],
            part=self.parts[here],
            span=self.spans[here],
            cluster=self.clusters[here],
            bits=worths[BITS][here],
            weight=worths[WEIGHT][here],
            absence=worths[ABSENCE][here],
            doubtful=worths[DOUBTFUL_ABSENCE][here],
        )
        alike = self.alike[self.first[i] : self.first[i + 1]]
        return score_one(self.query, candidate, [(r, p - begin, v) for r, p, v in alike], least)
