"""How well does one name match another: our own scorer.

Words are paired best first by Jaro-Winkler similarity (Winkler 1990, computed by rapidfuzz), in any
order. The score is a product of three shares, each 1 for a perfect match:

    score = similarity of the paired words * share of the listed name * share of the given name

Words weigh by what they tell (a rare word more than a common one). A missing family name costs
most, a missing middle name little, particles, titles and legal forms next to nothing. What the
paired words tell together says how sure the match is: slips and gaps cost more between common
names, which resemble each other by chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.process import cdist

from scoring.core.name_index import (
    INITIAL_COST,
    INITIAL_WEIGHT,
    JOIN,
    LITTLE,
    LITTLE_COST,
    LITTLE_WEIGHT,
    MIDDLE,
    NameIndex,
    letters_of,
)
from scoring.core.names import INITIAL, NEVER_NAMES, PLAIN, SMALL, NameForm

LEAST_LIKE = 0.75
# One slip (a letter put in, left out, changed, or swapped) leaves a word at least so like itself,
# by the letters of the shorter one; Jaro-Winkler alone is harsh on first letters and short words.
ONE_SLIP = (0.0, 0.0, 0.77, 0.80, 0.93, 0.95, 0.96)
TWO_SLIPS_FROM = 8
JOIN_LEAST_LIKE = 0.95
JOIN_FACTOR = 0.99
SAME_SOUND = 0.97
INITIAL_LIKE = 0.90
# A word that itself stands on the lists, and sounds different, is hardly a slip of another one.
KNOWN_FROM = 2
KNOWN_SLIP, KNOWN_DOUBT = 0.1, 1.5
DOUBTFUL_BITS, SURE_BITS = 10.0, 20.0
SINGLE_FACTOR = 0.3
SLIP_DOUBT = 1.0
# Names of so few bits are shared by thousands of people: only their exact spelling means much.
LOST_BITS, LOST_RANGE, LOST_DOUBT = 16.0, 4.0, 10.0
UNKNOWN_SHORT = {2: 0.2, 3: 0.4}
# One middle name may be left out; who leaves out several is likelier somebody else.
NEXT_MIDDLE_FACTOR = 3.0
EXTRA_COST, EXTRA_DOUBT = 0.40, 0.60
SMALL_NAME_COST = 0.3


@dataclass(frozen=True, slots=True)
class Pair:
    """Words of the given and of the listed name that belong together, and how alike they are."""

    given: str
    listed: str
    likeness: float


@dataclass(frozen=True, slots=True)
class Match:
    """A listed name (its number in the index) and the score in [0, 1], with its parts."""

    number: int
    score: float
    pairs: tuple[Pair, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    similarity: float
    listed_share: float
    given_share: float


@dataclass(frozen=True, slots=True)
class Query:
    """A given name made ready. `rows` are its words, then its joins; the rest is by word.

    `weights` and `costs` (of a word without a partner, before doubt) are in shares of a word,
    `clusters`, `lengths`, `letters` and `known` run over the rows. `single`: one word carries
    the name.
    """

    form: NameForm
    rows: list[str]
    weights: NDArray[np.float64]
    costs: NDArray[np.float64]
    plain: NDArray[np.bool_]
    clusters: NDArray[np.int64]
    lengths: NDArray[np.int16]
    letters: NDArray[np.uint64]
    known: list[bool]
    bits: NDArray[np.float64]
    single: bool


def make_query(index: NameIndex, form: NameForm) -> Query:
    """Weigh the words of a given name by the lists that it is compared with."""
    rows = [word.text for word in form.words] + [join for join, _, _ in form.joins]
    n = len(form.words)
    known = [index.knowledge(row) for row in rows[:n]]
    bits = np.array([k.bits for k in known])
    plain = np.array([word.kind == PLAIN for word in form.words])
    initial = np.array([word.kind == INITIAL for word in form.words])
    full = 0.5 + 0.5 * bits / index.most_bits
    # A short word that is on no list is rather a slip in a small word than a name of its own.
    strange = [UNKNOWN_SHORT.get(len(row), 1.0) if k.entries == 0 else 1.0
               for row, k in zip(rows[:n], known, strict=True)]  # fmt: skip
    full = full * np.array(strange)
    # Le Van Anh is more than Anh: beside a single word, small words that may be names count.
    alone = int(plain.sum()) == 1
    small = [SMALL_NAME_COST if alone and word.kind == SMALL and word.text not in NEVER_NAMES
             else LITTLE_COST for word in form.words]  # fmt: skip
    return Query(
        form=form,
        rows=rows,
        weights=np.where(plain, full, np.where(initial, INITIAL_WEIGHT, LITTLE_WEIGHT)),
        costs=np.where(plain, full, np.where(initial, INITIAL_COST, np.array(small))),
        plain=plain,
        clusters=np.array([k.cluster for k in known] + [-1] * (len(rows) - n), dtype=np.int64),
        lengths=np.array([len(row) for row in rows], dtype=np.int16),
        letters=np.array([letters_of(row) for row in rows], dtype=np.uint64),
        known=[k.entries >= KNOWN_FROM for k in known] + [False] * (len(rows) - n),
        bits=bits,
        single=alone,
    )


def likeness(
    query: Query, words: Sequence[str], clusters: NDArray[np.int32], lengths: NDArray[np.int16]
) -> NDArray[np.float32]:
    """Similarity in [0, 1] of every row of the query (down) with every listed word (across)."""
    # Slips are counted for all in C; the few pairs with one or two are compared one by one.
    slips = cdist(query.rows, words, scorer=OSA.distance, score_cutoff=2, dtype=np.uint8)
    own, same = query.lengths[:, None], query.clusters[:, None] == clusters
    close = same | (slips == 0) | ((slips == 1) & (np.minimum(own, lengths) > 1))
    close |= (slips == 2) & (np.maximum(own, lengths) >= TWO_SLIPS_FROM)
    like = np.zeros(slips.shape, dtype=np.float32)
    for row, column in np.argwhere(close).tolist():
        given, listed = query.rows[row], words[column]
        value = JaroWinkler.similarity(given, listed, score_cutoff=LEAST_LIKE)
        if same[row, column]:
            value = max(value, SAME_SOUND)
        elif value and slips[row, column] == 1:
            value = max(value, ONE_SLIP[min(len(given), len(listed), len(ONE_SLIP) - 1)])
        like[row, column] = value
    short = (own == 1) ^ (lengths == 1)
    if short.any():
        first = np.array([ord(row[0]) for row in query.rows])
        heads = np.array([ord(word[0]) for word in words])
        like[short & (first[:, None] == heads)] = INITIAL_LIKE
    return like


def may_be_like(
    query: Query,
    clusters: NDArray[np.int32],
    lengths: NDArray[np.int16],
    letters: NDArray[np.uint64],
) -> NDArray[np.bool_]:
    """Where `likeness` may be above 0, from lengths and letters alone: never wrong with False."""
    own = query.lengths[:, None]
    apart = np.abs(own - lengths)
    # A letter put in or left out is one bit and one of length, a changed one at most two bits.
    slips = np.where(np.maximum(own, lengths) >= TWO_SLIPS_FROM, 2, 1)
    bits = np.bitwise_count(query.letters[:, None] ^ letters)
    found: NDArray[np.bool_] = (bits + apart <= 2 * slips) & (apart <= slips)
    found |= query.clusters[:, None] == clusters
    found |= ((own == 1) ^ (lengths == 1)) & ((query.letters[:, None] & letters) != 0)
    return found


@dataclass(frozen=True, slots=True)
class Candidate:
    """A listed name with, word by word (its joins last), what the index knows of it.

    `absence` and `doubtful`: what a missing word costs, and what doubt adds to that.
    """

    number: int
    words: list[str]
    part: list[int]
    span: list[int]
    bits: list[float]
    weight: list[float]
    absence: list[float]
    doubtful: list[float]

    @property
    def single(self) -> bool:
        """Whether one word carries the name."""
        return sum(part not in (LITTLE, JOIN) for part in self.part) == 1


@dataclass(slots=True)
class _Option:
    like: float
    known: bool
    given: range
    listed: range
    weight: float


def doubt_of(told: float, single: bool) -> float:
    """How doubtful a match is that tells so many bits: 1 for common names, 0 for rare ones.

    Who gives a single word for a name that is a single word leaves less room for chance.
    """
    doubt = min(max((SURE_BITS - told) / (SURE_BITS - DOUBTFUL_BITS), 0.0), 1.0)
    return doubt * SINGLE_FACTOR if single else doubt


def lost(bits: float) -> float:
    """What slips cost more between names of so common words."""
    return LOST_DOUBT * min(max((LOST_BITS - bits) / LOST_RANGE, 0.0), 1.0)


def score_one(
    query: Query, candidate: Candidate, like: list[list[float]], least: float = 0.0
) -> Match | None:
    """The match of one listed name; `like` holds the rows of the query by its words.

    None when it scores less than `least`.
    """
    chosen = _pair(_options(query, candidate, like))
    told = whole = weight = alike = known = 0.0
    for option in chosen:
        weight += option.weight
        alike += option.weight * option.like
        known += option.weight * option.known
        for place in option.listed:
            if candidate.part[place] != LITTLE:
                told += candidate.bits[place] * max(0.0, (option.like - 0.8) / 0.2)
                whole += candidate.bits[place]
    single = query.single and candidate.single
    doubt = doubt_of(told, single)
    found = {place for option in chosen for place in option.listed}
    paired = {i for option in chosen for i in option.given}
    missing = [p for p, part in enumerate(candidate.part) if part != JOIN and p not in found]
    extra = [i for i in range(len(query.form.words)) if i not in paired]
    kept, over = _given(query, paired, extra, EXTRA_COST + EXTRA_DOUBT * doubt)
    similarity = alike / weight if weight else 0.0
    listed = _share(weight, _cost_of_missing(candidate, missing, doubt))
    given = _share(kept, over)
    slips = (1.0 - similarity) * (1.0 + SLIP_DOUBT * doubt + (0.0 if single else lost(whole)))
    slips += (KNOWN_SLIP + KNOWN_DOUBT * doubt) * _share(known, weight - known)
    score = max(0.0, listed * given * (1.0 - slips))
    if score < least:
        return None
    return Match(
        number=candidate.number,
        score=score,
        pairs=tuple(
            Pair(
                " ".join(query.rows[i] for i in option.given),
                " ".join(candidate.words[p] for p in option.listed),
                round(option.like, 3),
            )
            for option in chosen
        ),
        missing=tuple(candidate.words[p] for p in missing),
        extra=tuple(query.rows[i] for i in extra),
        similarity=similarity,
        listed_share=listed,
        given_share=given,
    )


def _given(query: Query, paired: set[int], extra: list[int], price: float) -> tuple[float, float]:
    """What the given name's paired words weigh, and what the others cost."""
    kept = float(sum(query.weights[i] for i in paired))
    over = sum(query.costs[i] * (price if query.plain[i] else 1.0) for i in extra)
    return kept, float(over)


def _share(present: float, absent: float) -> float:
    return present / (present + absent) if present else 0.0


def _cost_of_missing(candidate: Candidate, places: Sequence[int], doubt: float) -> float:
    costs = [candidate.absence[p] + candidate.doubtful[p] * doubt for p in places]
    middle = [cost for cost, p in zip(costs, places, strict=True) if candidate.part[p] == MIDDLE]
    again = sum(middle) - max(middle, default=0.0)
    return sum(costs) + (NEXT_MIDDLE_FACTOR - 1.0) * again


def _options(query: Query, candidate: Candidate, like: list[list[float]]) -> Iterator[_Option]:
    """Every word, or neighbours written as one, with every word that it may stand for."""
    n = len(query.form.words)
    for row, likes in enumerate(like):
        given = range(row, row + 1)
        if row >= n:
            _, first, last = query.form.joins[row - n]
            given = range(first, last + 1)
        for place, value in enumerate(likes):
            joined = candidate.part[place] == JOIN
            if value <= 0.0 or (joined and row >= n):
                continue
            listed = range(place, place + 1)
            if joined:
                span = candidate.span[place]
                listed = range(span >> 4, (span & 15) + 1)
            known = query.known[row] and value < SAME_SOUND and len(query.rows[row]) > 1
            if joined or row >= n:
                if value < JOIN_LEAST_LIKE:
                    continue
                value *= JOIN_FACTOR
            yield _Option(value, known, given, listed, sum(candidate.weight[p] for p in listed))


def _pair(options: Iterator[_Option]) -> list[_Option]:
    """Best first, each word once; among equals the one that weighs more."""
    given: set[int] = set()
    listed: set[int] = set()
    chosen = []
    for option in sorted(options, key=lambda o: (-o.like, -o.weight)):
        if given.isdisjoint(option.given) and listed.isdisjoint(option.listed):
            given.update(option.given)
            listed.update(option.listed)
            chosen.append(option)
    return chosen
