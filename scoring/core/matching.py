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
    GONE_OR_SWAPPED,
    INITIAL_BITS,
    INITIAL_COST,
    INITIAL_WEIGHT,
    JOIN,
    LITTLE,
    LITTLE_COST,
    LITTLE_WEIGHT,
    MIDDLE,
    RESPELLED,
    SLIP_LETTER,
    SLIP_SHORT,
    Knowledge,
    NameIndex,
    letters_of,
)
from scoring.core.names import INITIAL, NEVER_NAMES, PLAIN, SMALL, NameForm, Word

LEAST_LIKE = 0.75
# One slip (a letter put in, left out, changed, or swapped) leaves a word at least so like itself,
# by the letters of the shorter one; Jaro-Winkler alone is harsh on first letters and short words.
ONE_SLIP = (0.0, 0.0, 0.77, 0.80, 0.93, 0.95, 0.96)
TWO_SLIPS_FROM = 8
# No words that differ are more alike than this: one letter of three hundred.
UNEQUAL = 0.9995
JOIN_LEAST_LIKE = 0.95
JOIN_FACTOR = 0.99
SAME_SOUND = 0.97
INITIAL_LIKE = 0.90
# A slip that is itself a listed word tells little, and so do several slips, or one vowel at the
# end (Pavlov and Pavlova, Aziz and Azizi).
KNOWN = 8.0
NEXT_SLIP = 10.0
ENDING, VOWELS = 8.0, "aeiouy"
# Who gives a single word for a name that is a single word leaves less room for chance.
SINGLE_BITS = 10.0
# Who both spells otherwise and leaves out is likelier somebody else.
MIXED = 4.0
# A name that is not word for word the listed one has to tell enough to be no namesake.
ENOUGH, RANGE, LACK = 14.0, 6.0, 0.5
DOUBTFUL_BITS, SURE_BITS = 10.0, 20.0
UNKNOWN_SHORT = {2: 0.2, 3: 0.4}
# One middle name may be left out; who leaves out several is likelier somebody else.
NEXT_MIDDLE_FACTOR = 1.5
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
    """A listed name (its number in the index) and the score in [0, 1], with its parts.

    `told`: what the words found tell, in bits, less what speaks for another name.
    """

    number: int
    score: float
    told: float
    pairs: tuple[Pair, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    similarity: float
    listed_share: float
    given_share: float


@dataclass(frozen=True, slots=True)
class Query:
    """A given name made ready. `rows` are its words, then its joins; the rest is by word.

    `weights` and `costs` (of a word without a partner, before doubt) are in shares of a word;
    `absences` are weights, costs of plain words and costs of others;
    `clusters`, `lengths`, `letters` and `known` run over the rows. `single`: one word carries
    the name.
    """

    form: NameForm
    rows: list[str]
    weights: NDArray[np.float64]
    costs: NDArray[np.float64]
    absences: NDArray[np.float64]
    plain: NDArray[np.bool_]
    clusters: NDArray[np.int64]
    lengths: NDArray[np.int16]
    letters: NDArray[np.uint64]
    known: list[bool]
    bits: NDArray[np.float64]
    single: bool


def make_query(index: NameIndex, form: NameForm) -> Query:
    """Weigh the words of a given name by the lists that it is compared with."""
    n = len(form.words)
    rows = [word.text for word in form.words] + [join for join, _, _ in form.joins]
    known = [knowledge for knowledge, _ in index.look(rows)]
    # Le Van Anh is more than Anh: beside a single word, small words that may be names count.
    alone = sum(word.kind == PLAIN for word in form.words) == 1
    worths = [
        _worth(word, k, index.most_bits, alone) for word, k in zip(form.words, known, strict=False)
    ]
    small = any(cost == SMALL_NAME_COST for _, cost in worths)
    weights, costs = np.array(worths).T
    plain = np.array([word.kind == PLAIN for word in form.words])
    return Query(
        form=form,
        rows=rows,
        weights=weights,
        costs=costs,
        absences=np.array([weights, costs * plain, costs * ~plain]),
        plain=plain,
        clusters=np.array([k.cluster for k in known[:n]] + [-1] * (len(rows) - n), dtype=np.int64),
        lengths=np.array([len(row) for row in rows], dtype=np.int16),
        letters=np.array([letters_of(row) for row in rows], dtype=np.uint64),
        known=[k.listed for k in known[:n]] + [False] * (len(rows) - n),
        bits=np.array([k.bits for k in known[:n]]),
        single=alone and not small,
    )


def _worth(word: Word, known: Knowledge, most_bits: float, alone: bool) -> tuple[float, float]:
    """What a given word weighs, and what it costs when it finds no partner."""
    if word.kind == PLAIN:
        full = 0.5 + 0.5 * known.bits / most_bits
        # A short word that is on no list is rather a slip in a small word than a name of its own.
        full *= 1.0 if known.entries else UNKNOWN_SHORT.get(len(word.text), 1.0)
        return full, full
    if word.kind == INITIAL:
        return INITIAL_WEIGHT, INITIAL_COST
    if alone and word.kind == SMALL and word.text not in NEVER_NAMES:
        return LITTLE_WEIGHT, SMALL_NAME_COST
    return LITTLE_WEIGHT, LITTLE_COST


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
        elif slips[row, column] == 1:
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
) -> NDArray[np.float32]:
    """At least what `likeness` says, from lengths and letters alone: 0, 1 or in between."""
    own = query.lengths[:, None]
    apart = np.abs(own - lengths)
    # A letter put in or left out is one bit and one of length, a changed one at most two bits.
    slips = np.where(np.maximum(own, lengths) >= TWO_SLIPS_FROM, 2, 1)
    bits = np.bitwise_count(query.letters[:, None] ^ letters)
    found: NDArray[np.bool_] = (bits + apart <= 2 * slips) & (apart <= slips)
    found |= query.clusters[:, None] == clusters
    found |= ((own == 1) ^ (lengths == 1)) & ((query.letters[:, None] & letters) != 0)
    other = (bits > 0) | (apart > 0)
    return np.where(found, np.where(other, UNEQUAL, 1.0), 0.0).astype(np.float32)


# A row of the query, a place in the listed name, and how alike the words are.
Likeness = tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A listed name with, word by word (its joins last), what the index knows of it.

    `absence` and `doubtful`: what a missing word costs, and what doubt adds to that; `gone`: the
    bits that the others have to make up for.
    """

    number: int
    words: list[str]
    part: list[int]
    span: list[int]
    cluster: list[int]
    bits: list[float]
    weight: list[float]
    absence: list[float]
    doubtful: list[float]
    gone: list[float]

    @property
    def single(self) -> bool:
        """Whether one word carries the name."""
        return sum(part not in (LITTLE, JOIN) for part in self.part) == 1


@dataclass(slots=True)
class _Option:
    """A pair that may be chosen: `told` are its bits, `slips` whether another word stands there."""

    like: float
    told: float
    slips: bool
    exact: bool
    given: range
    listed: range
    weight: float


def doubt_of(told: float) -> float:
    """How doubtful a match is that tells so many bits: 1 for common names, 0 for rare ones."""
    return min(max((SURE_BITS - told) / (SURE_BITS - DOUBTFUL_BITS), 0.0), 1.0)


def lack_of(told: float) -> float:
    """What a match costs that is not exact and tells so many bits."""
    return LACK * min(max((ENOUGH - told) / RANGE, 0.0), 1.0)


def score_one(
    query: Query, candidate: Candidate, like: Sequence[Likeness], least: float = 0.0
) -> Match | None:
    """The match of one listed name; `like` says which words are alike: row, place, how much.

    None when it scores less than `least`.
    """
    chosen = _pair(_options(query, candidate, like))
    found = {place for option in chosen for place in option.listed}
    paired = {i for option in chosen for i in option.given}
    missing = [p for p, part in enumerate(candidate.part) if part != JOIN and p not in found]
    extra = [i for i in range(len(query.form.words)) if i not in paired]
    weight = sum(option.weight for option in chosen)
    alike = sum(option.weight * option.like for option in chosen)
    similarity = alike / weight if weight else 0.0
    told = sum(option.told for option in chosen)
    told -= NEXT_SLIP * max(sum(option.slips for option in chosen) - 1, 0)
    told += SINGLE_BITS if query.single and candidate.single else 0.0
    doubt = doubt_of(told)
    kept, over = _given(query, paired, extra, EXTRA_COST + EXTRA_DOUBT * doubt)
    listed = _share(weight, _cost_of_missing(candidate, missing, doubt))
    given = _share(kept, over)
    as_listed = all(option.exact for option in chosen)
    left_out = any(candidate.part[p] != LITTLE for p in missing)
    told -= sum(candidate.gone[p] for p in missing)
    told -= MIXED if left_out and not as_listed else 0.0
    score = listed * given * similarity
    if missing or extra or not as_listed:
        score *= 1.0 - lack_of(told)
    if score < least:
        return None
    return Match(
        number=candidate.number,
        score=score,
        told=told,
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


def _options(query: Query, candidate: Candidate, like: Sequence[Likeness]) -> Iterator[_Option]:
    """Every word, or neighbours written as one, with every word that it may stand for."""
    n = len(query.form.words)
    for row, place, value in like:
        given, listed = range(row, row + 1), range(place, place + 1)
        joined = candidate.part[place] == JOIN
        exact, alike = value == 1.0, value
        if joined or row >= n:
            if (joined and row >= n) or value < JOIN_LEAST_LIKE:
                continue
            alike *= JOIN_FACTOR
            if joined:
                span = candidate.span[place]
                listed = range(span >> 4, (span & 15) + 1)
            else:
                _, first, last = query.form.joins[row - n]
                given = range(first, last + 1)
        told, slips, weight, telling = 0.0, False, 0.0, False
        for p in listed:
            weight += candidate.weight[p]
            if candidate.part[p] != LITTLE:
                telling = True
                told += candidate.bits[p]
        if telling and not exact:
            told, slips = _told(query, row, candidate, place, value, told)
        yield _Option(alike, told, slips, exact or not telling, given, listed, weight)


def _told(
    query: Query, row: int, candidate: Candidate, place: int, value: float, bits: float
) -> tuple[float, bool]:
    """What a word tells that is not as listed, and whether it is a slip."""
    given, listed = query.rows[row], candidate.words[place]
    if len(given) == 1 or len(listed) == 1:
        return min(bits, INITIAL_BITS), False
    if query.clusters[row] == candidate.cluster[place]:
        return max(bits - RESPELLED, 0.0), False
    told = SLIP_LETTER * len(listed) - SLIP_SHORT
    if len(given) < len(listed) or sorted(given) == sorted(listed):
        told += GONE_OR_SWAPPED
    told = min(bits, told)
    if given.rstrip(VOWELS) == listed.rstrip(VOWELS):
        told -= ENDING
    if value < ONE_SLIP[min(len(given), len(listed), len(ONE_SLIP) - 1)] - 0.001:
        told *= max(0.0, (value - 0.8) / 0.2)
    return told - KNOWN * query.known[row], True


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
