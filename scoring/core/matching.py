"""How well does one name match another: our own scorer.

Words are paired best first by Jaro-Winkler similarity (Winkler 1990, computed by rapidfuzz), in any
order. The score is a product of three shares, each 1 for a perfect match:

    score = similarity of the paired words * share of the listed name * share of the given name

Words weigh by what they tell (a rare word more than a common one). A missing family name costs
most, a missing middle name little, particles, titles and legal forms next to nothing. What the
paired words tell together says how sure the match is: slips and gaps cost more between common
names, which resemble each other by chance.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from scoring.core.likeness import ONE_SLIP, UNEQUAL, Query
from scoring.core.name_index import (
    GONE_OR_SWAPPED,
    INITIAL_BITS,
    RESPELLED,
    SLIP_LETTER,
    SLIP_SHORT,
)
from scoring.core.name_parts import JOIN, LITTLE, MIDDLE

JOIN_LEAST_LIKE = 0.95
JOIN_FACTOR = 0.99
# A slip that is itself a listed word tells little, and so do several slips, or one vowel at the
# end (Pavlov and Pavlova, Aziz and Azizi).
KNOWN = 6.0
NEXT_SLIP = 10.0
ENDING, VOWELS = 8.0, "aeiouy"
# Another spelling of the sound that is itself listed is rather a name of its own (Imran, Emraan).
OWN_SPELLING = 4.0
# Who gives a single word for a name that is a single word leaves less room for chance; with a slip
# only where that tells enough (a first letter is seldom wrong) and makes no other listed word, for
# given names are short.
SINGLE_BITS = 10.0
LONE_ENOUGH, LONE_HEAD = 10.0, 9.0
# Who both spells otherwise and leaves out is likelier somebody else.
MIXED = 5.0
# A name that is not word for word the listed one has to tell enough to be no namesake.
ENOUGH, RANGE, LACK = 14.0, 6.0, 0.5
DOUBTFUL_BITS, SURE_BITS = 10.0, 20.0
# One middle name may be left out; who leaves out several is likelier somebody else.
NEXT_MIDDLE_FACTOR = 1.5
# A further name may be one that the list does not know; between common names, somebody else's.
EXTRA_COST, EXTRA_DOUBT = 0.20, 0.80
EXTRA_DOUBTFUL_BITS, EXTRA_SURE_BITS = 16.0, 25.0


class Pair(NamedTuple):
    """Words of the given and of the listed name that belong together, and how alike they are."""

    given: str
    listed: str
    likeness: float


class Match(NamedTuple):
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


# A row of the query, a place in the listed name, and how alike the words are.
Likeness = tuple[int, int, float]


class Candidate(NamedTuple):
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
        return sum([part not in (LITTLE, JOIN) for part in self.part]) == 1

    def words_at(self, place: int) -> Sequence[int]:
        """The places of the words that a place is written for: its own, or those of a join."""
        if self.part[place] != JOIN:
            return (place,)
        span = self.span[place]
        return range(span >> 4, (span & 15) + 1)


class _Option(NamedTuple):
    """A pair that may be chosen: a row and a place that are `value` alike.

    `like` is what that counts, `weight` what the listed words weigh; `given` and `listed` have a
    bit for every word of either name that the two are written for.
    """

    like: float
    weight: float
    row: int
    place: int
    value: float
    given: int
    listed: int


_BEST_FIRST = itemgetter(0, 1)


def doubt_of(told: float) -> float:
    """How doubtful a match is that tells so many bits: 1 for common names, 0 for rare ones."""
    return min(max((SURE_BITS - told) / (SURE_BITS - DOUBTFUL_BITS), 0.0), 1.0)


def price_of_extra(told: float) -> float:
    """What a name that the list lacks costs, in shares of a word: most beside common names."""
    doubt = (EXTRA_SURE_BITS - told) / (EXTRA_SURE_BITS - EXTRA_DOUBTFUL_BITS)
    return EXTRA_COST + EXTRA_DOUBT * min(max(doubt, 0.0), 1.0)


def lack_of(told: float) -> float:
    """What a match costs that is not exact and tells so many bits."""
    return LACK * min(max((ENOUGH - told) / RANGE, 0.0), 1.0)


def score_one(
    query: Query, candidate: Candidate, like: Iterable[Likeness], least: float = 0.0
) -> Match | None:
    """The match of one listed name; `like` says which words are alike: row, place, how much.

    None when it scores less than `least`.
    """
    chosen, paired, found = _pair(_options(query, candidate, like))
    missing = [p for p, part in enumerate(candidate.part) if not found >> p & 1 and part != JOIN]
    extra = [i for i in range(len(query.weights)) if not paired >> i & 1]
    weight = sum([option.weight for option in chosen])
    alike = sum([option.weight * option.like for option in chosen])
    similarity = alike / weight if weight else 0.0
    tells = [_told(query, candidate, option) for option in chosen]
    told = sum([bits for bits, _ in tells])
    slips = [is_slip for _, is_slip in tells].count(True)
    told -= NEXT_SLIP * max(slips - 1, 0)
    if query.single and candidate.single:
        told += _single_bits(query, candidate, chosen, slips)
    doubt = doubt_of(told)
    kept, over = _given(query, paired, extra, price_of_extra(told))
    listed = _share(weight, _cost_of_missing(candidate, missing, doubt))
    given = _share(kept, over)
    otherwise = [option for option in chosen if option.value != 1.0]
    as_listed = not otherwise or not any(_telling(candidate, option) for option in otherwise)
    told -= sum([candidate.gone[p] for p in missing])
    if not as_listed and any(candidate.part[p] != LITTLE for p in missing):
        told -= MIXED
    score = listed * given * similarity
    if missing or extra or not as_listed:
        score *= 1.0 - lack_of(told)
    if score < least:
        return None
    return Match(
        number=candidate.number,
        score=score,
        told=told,
        pairs=tuple([_spelled(query, candidate, option) for option in chosen]),
        missing=tuple([candidate.words[p] for p in missing]),
        extra=tuple([query.rows[i] for i in extra]),
        similarity=similarity,
        listed_share=listed,
        given_share=given,
    )


def _spelled(query: Query, candidate: Candidate, option: _Option) -> Pair:
    """The words that belong together, as people read them."""
    given, listed = query.rows[option.row], candidate.words[option.place]
    if option.row >= len(query.weights):
        given = " ".join([query.rows[i] for i in query.words_at(option.row)])
    if candidate.part[option.place] == JOIN:
        listed = " ".join([candidate.words[p] for p in candidate.words_at(option.place)])
    return Pair(given, listed, round(option.like, 4))


def _single_bits(
    query: Query, candidate: Candidate, chosen: Sequence[_Option], slips: int
) -> float:
    """What it tells more that either name is a single word; a slip in a short one tells less."""
    if len(chosen) == 1 and slips:
        first = query.words_at(chosen[0].row)[0]
        row = query.rows[first]
        listed = "".join([candidate.words[p] for p in candidate.words_at(chosen[0].place)])
        told = _slip_bits(row, listed)
        if row[0] != listed[0] and sorted(row) != sorted(listed):
            told -= LONE_HEAD
        elsewhere = query.known[first]
        return SINGLE_BITS if told >= LONE_ENOUGH and not elsewhere else -SINGLE_BITS
    return SINGLE_BITS


def _given(query: Query, paired: int, extra: list[int], price: float) -> tuple[float, float]:
    """What the given name's paired words weigh, and what the others cost."""
    kept = sum([weight for i, weight in enumerate(query.weights) if paired >> i & 1])
    over = sum([query.costs[i] * (price if query.plain[i] else 1.0) for i in extra])
    return kept, over


def _share(present: float, absent: float) -> float:
    return present / (present + absent) if present else 0.0


def _cost_of_missing(candidate: Candidate, places: Sequence[int], doubt: float) -> float:
    if not places:
        return 0.0
    costs = [candidate.absence[p] + candidate.doubtful[p] * doubt for p in places]
    middle = [cost for cost, p in zip(costs, places, strict=True) if candidate.part[p] == MIDDLE]
    again = sum(middle) - max(middle, default=0.0)
    return sum(costs) + (NEXT_MIDDLE_FACTOR - 1.0) * again


def _options(query: Query, candidate: Candidate, like: Iterable[Likeness]) -> list[_Option]:
    """Every word, or neighbours written as one, with every word that it may stand for."""
    n, part, weights = len(query.weights), candidate.part, candidate.weight
    options = []
    for row, place, value in like:
        if row < n and part[place] != JOIN:
            weight = weights[place]
            options.append(_Option(value, weight, row, place, value, 1 << row, 1 << place))
        elif value >= JOIN_LEAST_LIKE and (row < n or part[place] != JOIN):
            given, listed = query.words_at(row), candidate.words_at(place)
            weight = sum([weights[p] for p in listed])
            like_of = value * JOIN_FACTOR
            options.append(_Option(like_of, weight, row, place, value, _set(given), _set(listed)))
    return options


def _set(places: Sequence[int]) -> int:
    """A bit for each of the places."""
    return sum([1 << place for place in places])


def _telling(candidate: Candidate, option: _Option) -> bool:
    """Whether a listed word that carries the name is in it."""
    return any(candidate.part[p] != LITTLE for p in candidate.words_at(option.place))


def _told(query: Query, candidate: Candidate, option: _Option) -> tuple[float, bool]:
    """What the listed words of a pair tell, and whether it is a slip."""
    if option.value > UNEQUAL and candidate.part[option.place] != JOIN:
        return candidate.bits[option.place], False
    told = sum([candidate.bits[p] for p in candidate.words_at(option.place)])
    if option.value > UNEQUAL or not _telling(candidate, option):
        return told, False
    return _told_otherwise(query, candidate, option, told)


def _told_otherwise(
    query: Query, candidate: Candidate, option: _Option, bits: float
) -> tuple[float, bool]:
    """The same of a word that is not as listed."""
    row, value = option.row, option.value
    given, listed = query.rows[row], candidate.words[option.place]
    if len(given) == 1 or len(listed) == 1:
        return min(bits, INITIAL_BITS), False
    if query.clusters[row] == candidate.cluster[option.place]:
        own = query.known[row] and not query.form.romanised
        return max(bits - RESPELLED - OWN_SPELLING * own, 0.0), False
    told = min(bits, _slip_bits(given, listed))
    if given.rstrip(VOWELS) == listed.rstrip(VOWELS):
        told -= ENDING
    if value < ONE_SLIP[min(len(given), len(listed), len(ONE_SLIP) - 1)] - 0.001:
        told *= max(0.0, (value - 0.8) / 0.2)
    return told - KNOWN * query.known[row], True


def _slip_bits(given: str, listed: str) -> float:
    """What is left of a word with a slip, most where a letter was left out or swapped."""
    told = SLIP_LETTER * len(listed) - SLIP_SHORT
    if len(given) < len(listed) or sorted(given) == sorted(listed):
        told += GONE_OR_SWAPPED
    return told


def _pair(options: list[_Option]) -> tuple[list[_Option], int, int]:
    """Best first, each word once, among equals the one that weighs more; and the words' bits."""
    given = listed = 0
    chosen = []
    for option in sorted(options, key=_BEST_FIRST, reverse=True):
        if not (given & option.given or listed & option.listed):
            given |= option.given
            listed |= option.listed
            chosen.append(option)
    return chosen, given, listed
