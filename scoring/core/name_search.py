"""The listed names that match a given one: candidates from the index, bounds, then the scorer.

The bound lets every word take its best partner, for all candidates at once in a few array
operations. It is taken twice: with lengths and letters only, which leaves nobody for most names,
and with the real likenesses; only names that could reach the wanted score are taken word by word.
"""

import numpy as np
from numpy.typing import NDArray

from scoring.core.likeness import UNEQUAL, Query, likeness, make_query, may_be_like
from scoring.core.matching import (
    DOUBTFUL_BITS,
    ENOUGH,
    EXTRA_COST,
    EXTRA_DOUBT,
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
    JOIN,
    SLIPPED,
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

    def hopeful(self, least: float) -> NDArray[np.bool_]:
        """Which candidates may score `least`, judged by the lengths and letters of their words."""
        index, word = self.index, self.word
        may = may_be_like(self.query, index.cluster[word], index.lengths[word], index.letters[word])
        return self.bounds(may) >= least - SLACK

    def matches(self, bound: float, least: float, once: bool) -> list[Match]:
        """Of those whose bound reaches `bound` the ones that score `least`, in no order."""
        index = self.index
        columns: dict[int, int] = {}
        self.columns = [columns.setdefault(number, len(columns)) for number in self.word.tolist()]
        self.words, distinct = [index.words[number] for number in columns], list(columns)
        like = likeness(self.query, self.words, index.cluster[distinct], index.lengths[distinct])
        self.like = like[:, self.columns]
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
        places, rows = np.nonzero(self.like.T)
        self.alike = list(
            zip(rows.tolist(), places.tolist(), self.like[rows, places].tolist(), strict=True)
        )
        self.first = np.searchsorted(places, [*self.begin, len(self.places)]).tolist()

    def bounds(self, like: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each candidate can reach at best."""
        best, paired = self._best(like)
        worth, hit = self.worth, best > 0.0
        values = np.empty((7, len(best)), dtype=np.float32)
        np.multiply(worth[WEIGHT], hit, out=values[0])
        np.multiply(values[0], best, out=values[1])
        values[2] = np.where(best > UNEQUAL, worth[BITS], worth[SLIPPED]) * hit
        np.multiply(worth[ABSENCE : GONE + 1], ~hit, out=values[3:6])
        values[6] = np.where(worth[BITS] > 0.0, best <= UNEQUAL, ~hit & ~self.join)
        sums = np.add.reduceat(values, self.begin, axis=1).astype(np.float64)
        matched, alike, told, absent, doubtful, gone, unlike = sums
        if self.query.single:
            carrying = np.add.reduceat(worth[BITS] > 0.0, self.begin, dtype=np.int64)
            told = told + SINGLE_BITS * (carrying == 1)
        doubt = np.clip((SURE_BITS - told) / (SURE_BITS - DOUBTFUL_BITS), 0.0, 1.0)
        matched = np.maximum(matched, 1e-9)
        bound: NDArray[np.float64] = alike / (matched + absent + doubtful * doubt)
        alone = self.query.absences @ ~paired
        kept = self.query.weights.sum() - alone[0]
        over = alone[1] * (EXTRA_COST + EXTRA_DOUBT * doubt) + alone[2]
        bound *= kept / np.maximum(kept + over, 1e-9)
        lack = LACK * np.clip((ENOUGH - told + gone) / RANGE, 0.0, 1.0)
        bound *= 1.0 - lack * ((unlike > 0) | (alone[0] > 0))
        return bound

    def _best(self, like: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """By place, how alike its best partner is; by word of the query, who has one for it.

        Words written as one count as if each of them had been found.
        """
        form = self.query.form
        n = len(form.words)
        best: NDArray[np.float32] = np.where(self.join, np.float32(0.0), like[:n].max(axis=0))
        paired: NDArray[np.bool_] = np.maximum.reduceat(like[:n], self.begin, axis=1) > 0.0
        if n < len(like) or self.join.any():
            close = like >= JOIN_LEAST_LIKE
            close[:n] &= self.join
            close[n:] &= ~self.join
            rows, places = np.nonzero(close)
            candidates = np.searchsorted(self.begin, places, side="right") - 1
            for row, place, i in zip(
                rows.tolist(), places.tolist(), candidates.tolist(), strict=True
            ):
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
            gone=worths[GONE][here],
        )
        alike = self.alike[self.first[i] : self.first[i + 1]]
        return score_one(self.query, candidate, [(r, p - begin, v) for r, p, v in alike], least)
