"""The listed names that match a given one: candidates from the index, bounds, then the scorer.

The bound lets every word take its best partner, for all candidates at once in a few array
operations. Only names that could reach the wanted score are paired word by word, and names
that several parties share once.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scoring.core.likeness import UNEQUAL, Query, likeness, make_query
from scoring.core.matching import (
    DOUBTFUL_BITS,
    ENOUGH,
    EXTRA_COST,
    EXTRA_DOUBT,
    EXTRA_DOUBTFUL_BITS,
    EXTRA_SURE_BITS,
    JOIN_LEAST_LIKE,
    LACK,
    RANGE,
    SINGLE_BITS,
    SURE_BITS,
    Candidate,
    Match,
    score_one,
)
from scoring.core.name_index import (
    ABSENCE,
    BITS,
    DOUBTFUL_ABSENCE,
    GONE,
    SLIPPED,
    WEIGHT,
    Ints,
    NameIndex,
)
from scoring.core.name_parts import JOIN
from scoring.core.names import INITIAL, PLAIN, NameForm, parse_name
from scoring.core.word_lookup import ranges

# Between the bound and the score lie rounding and the choice of pairs: at most 0.003 among 9,500
# names of the real lists that score 0.8 and more.
SLACK = 0.01


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
    numbers = index.candidates(words, joins, sum([query.bits[i] for i in looked]))
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
    if not len(numbers):
        return []
    found = Comparison(index, query, numbers).matches(least if bounded else -1.0, least, once)
    return sorted(found, key=lambda match: (-match.score, match.number))


class Comparison:
    """One given name against the words of its candidates."""

    def __init__(self, index: NameIndex, query: Query, numbers: Ints) -> None:
        self.index, self.query, self.numbers = index, query, numbers
        first, self.sizes = index.start[numbers], index.size[numbers]
        self.begin = self.sizes.cumsum() - self.sizes
        self.places = ranges(first, first + self.sizes)
        self.word = index.word.take(self.places)
        self.join = index.part.take(self.places) == JOIN
        self.worth = index.worth.take(self.places, axis=0).T
        self.like = self._likenesses()
        # The few that are alike at all, by place and then by row.
        self.place, self.row = self.like.T.nonzero()
        self.value = self.like[self.row, self.place]
        # By words, parts and joins, for names that several parties share.
        self._matched: dict[tuple[bytes, ...], Match | None] = {}

    def _likenesses(self) -> NDArray[np.float32]:
        """How alike the query's words (down) are to the candidates' words (across)."""
        index, query = self.index, self.query
        # The same word comes in many names.
        word, column = _numbered(self.word)
        words = index.words.some(word.tolist())
        like = likeness(query, words, index.cluster[word], index.lengths[word])
        # Both sides written as one are of words that are alike by themselves.
        like[len(query.form.words) :] *= ~index.only_join[word]
        return like.take(column, axis=1)

    def matches(self, bound: float, least: float, once: bool) -> list[Match]:
        """Of those whose bound reaches `bound` the ones that score `least`, in no order."""
        bounds = self.bounds(bound) + SLACK
        hopeful = (bounds >= bound).nonzero()[0]
        hopeful = hopeful[(-bounds[hopeful]).argsort(kind="stable")]
        numbers = self.numbers[hopeful]
        owners, weak = self.index.owner[numbers].tolist(), self.index.weak[numbers].tolist()
        parties = zip(owners, weak, strict=True) if once else numbers.tolist()
        found: list[Match] = []
        best: dict[object, float] = {}
        # Nothing scores more than 1, whatever its bound.
        most = np.minimum(bounds[hopeful], 1.0).tolist()
        for i, party, reach in zip(hopeful.tolist(), parties, most, strict=True):
            if best.get(party, -1.0) < reach:
                match = self.match(i, least)
                if match is not None:
                    found.append(match)
                    best[party] = max(best.get(party, 0.0), match.score)
        return found

    def bounds(self, wanted: float) -> NDArray[np.float64]:
        """What each candidate can reach at best, told loosely where none reaches `wanted`."""
        best, paired = self._best()
        worth, hit = self.worth, best > 0.0
        values = np.empty((7, len(best)), dtype=np.float32)
        np.multiply(worth[WEIGHT], hit, out=values[0])
        np.multiply(values[0], best, out=values[1])
        np.multiply(np.where(best > UNEQUAL, worth[BITS], worth[SLIPPED]), hit, out=values[2])
        np.multiply(worth[ABSENCE : GONE + 1], ~hit, out=values[3:6])
        values[6] = np.where(worth[BITS] > 0.0, best <= UNEQUAL, ~hit & ~self.join)
        sums = np.add.reduceat(values, self.begin, axis=1).astype(np.float64)
        matched, alike, told, absent, doubtful, gone, unlike = sums
        matched = np.maximum(matched, 1e-9)
        bound: NDArray[np.float64] = alike / (matched + absent)
        if bound.max() + SLACK < wanted:
            return bound
        if self.query.single:
            carrying = np.add.reduceat(worth[BITS] > 0.0, self.begin, dtype=np.int64)
            told = told + SINGLE_BITS * (carrying == 1)
        doubt = _between((SURE_BITS - told) / (SURE_BITS - DOUBTFUL_BITS))
        bound = alike / (matched + absent + doubtful * doubt)
        alone = self.query.absences @ ~paired
        kept = self.query.absences[0].sum() - alone[0]
        doubt = (EXTRA_SURE_BITS - told) / (EXTRA_SURE_BITS - EXTRA_DOUBTFUL_BITS)
        over = alone[1] * (EXTRA_COST + EXTRA_DOUBT * _between(doubt)) + alone[2]
        bound *= kept / np.maximum(kept + over, 1e-9)
        lack = LACK * _between((ENOUGH - told + gone) / RANGE)
        bound *= 1.0 - lack * ((unlike > 0) | (alone[0] > 0))
        return bound

    def _best(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """By place, how alike its best partner is; by word of the query, who has one for it.

        Words written as one count as if each of them had been found.
        """
        like, form = self.like, self.query.form
        n = len(form.words)
        best: NDArray[np.float32] = np.maximum.reduce(like[:n], axis=0)
        best[self.join] = 0.0
        candidate = np.arange(len(self.numbers)).repeat(self.sizes).take(self.place)
        paired = np.zeros((len(like), len(self.numbers)), dtype=bool)
        paired[self.row, candidate] = True
        paired = paired[:n]
        joins = (self.value >= JOIN_LEAST_LIKE) & ((self.row < n) == self.join.take(self.place))
        for at in joins.nonzero()[0].tolist():
            row, place, i = int(self.row[at]), int(self.place[at]), int(candidate[at])
            if row < n:
                span = int(self.index.span[self.places[place]])
                begin = self.begin[i]
                best[begin + (span >> 4) : begin + (span & 15) + 1] = 1.0
            else:
                _, first, last = form.joins[row - n]
                best[place] = 1.0
                paired[first : last + 1, i] = True
        return best, paired

    def match(self, i: int, least: float) -> Match | None:
        """The match of candidate `i`, words paired one to one; None below `least`."""
        index, number, begin = self.index, int(self.numbers[i]), int(self.begin[i])
        first, last = index.start[number : number + 2].tolist()
        here, there = slice(begin, begin + last - first), slice(first, last)
        word, part, span = self.word[here], index.part[there], index.span[there]
        same = word.tobytes(), part.tobytes(), span.tobytes()
        if same in self._matched:
            known = self._matched[same]
            return known and known._replace(number=number)
        worth = self.worth[:, here].tolist()
        candidate = Candidate(
            number=number,
            words=index.words.some(word.tolist()),
            part=part.tolist(),
            span=span.tolist(),
            cluster=index.cluster[word].tolist(),
            bits=worth[BITS],
            weight=worth[WEIGHT],
            absence=worth[ABSENCE],
            doubtful=worth[DOUBTFUL_ABSENCE],
            gone=worth[GONE],
        )
        found = self._matched[same] = score_one(self.query, candidate, self._alike(here), least)
        return found

    def _alike(self, here: slice) -> Iterator[tuple[int, int, float]]:
        """Which words are alike among the places `here`: row, place from their first on, value."""
        some = slice(*self.place.searchsorted((here.start, here.stop)).tolist())
        places = (self.place[some] - here.start).tolist()
        return zip(self.row[some].tolist(), places, self.value[some].tolist(), strict=True)


def _numbered(values: Ints) -> tuple[Ints, NDArray[np.int64]]:
    """The distinct values in order, and which of them each value is."""
    order = values.argsort(kind="stable")
    ordered = values[order]
    is_new = np.ones(len(order), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    which = np.empty(len(order), dtype=np.int64)
    which[order] = is_new.cumsum() - 1
    return ordered[is_new], which


def _between(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut off below 0 and above 1: `np.clip` takes twice as long for few values."""
    cut: NDArray[np.float64] = np.minimum(np.maximum(values, 0.0), 1.0)
    return cut
