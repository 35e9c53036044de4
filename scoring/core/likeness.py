"""A given name made ready, and how alike its words are to listed ones.

Jaro-Winkler similarity (Winkler 1990, computed by rapidfuzz), raised for words of the same sound
and for a single slip, which it is harsh on in short words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.process import cdist

from scoring.core.name_index import (
    INITIAL_COST,
    INITIAL_WEIGHT,
    LITTLE_COST,
    LITTLE_WEIGHT,
    Knowledge,
    NameIndex,
)
from scoring.core.names import (
    INITIAL,
    NEVER_NAMES,
    PLAIN,
    SMALL,
    NameForm,
    Word,
    is_patronymic,
    spelling_of,
)

LEAST_LIKE = 0.75
# One slip (a letter put in, left out, changed, or swapped) leaves a word at least so like itself,
# by the letters of the shorter one; Jaro-Winkler alone is harsh on first letters and short words.
ONE_SLIP = (0.0, 0.0, 0.77, 0.80, 0.93, 0.95, 0.96)
TWO_SLIPS_FROM = 8
# No words that differ are more alike than this: one letter of three hundred.
UNEQUAL = 0.9995
# Common spellings of one name (Mohammed, Muhammad): hardly less than the same word.
SAME_NAME = 0.9998
SAME_SOUND = 0.97
INITIAL_LIKE = 0.90
UNKNOWN_SHORT = {2: 0.2, 3: 0.4}
SMALL_NAME_COST = 0.3
# Said beside a whole name, a father's name tells hardly another person from the listed one.
PATRONYMIC_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Query:
    """A given name made ready. `rows` are its words, then its joins; the rest is by word.

    `weights` and `costs` (of a word without a partner, before doubt) are in shares of a word;
    `absences` are weights, costs of plain words and costs of others;
    `clusters`, `lengths` and `known` (on a list) run over the rows. `single`: one word
    carries the name.
    """

    form: NameForm
    rows: list[str]
    weights: list[float]
    costs: list[float]
    absences: NDArray[np.float64]
    plain: list[bool]
    clusters: NDArray[np.int32]
    lengths: NDArray[np.int16]
    known: list[bool]
    bits: list[float]
    single: bool

    def words_at(self, row: int) -> Sequence[int]:
        """The words that a row is written for: itself, or those of a join."""
        if row < len(self.weights):
            return (row,)
        _, first, last = self.form.joins[row - len(self.weights)]
        return range(first, last + 1)


def make_query(index: NameIndex, form: NameForm) -> Query:
    """Weigh the words of a given name by the lists that it is compared with."""
    n = len(form.words)
    rows = [word.text for word in form.words] + [join for join, _, _ in form.joins]
    known = [knowledge for knowledge, _ in index.look(rows)]
    # Le Van Anh is more than Anh: beside a single word, small words that may be names count.
    telling = sum([word.kind == PLAIN for word in form.words])
    alone = telling == 1
    worths = [
        _worth(word, k, index.most_bits, alone) for word, k in zip(form.words, known, strict=False)
    ]
    small = any(cost == SMALL_NAME_COST for _, cost in worths)
    weights, costs = [weight for weight, _ in worths], [cost for _, cost in worths]
    if telling > 2:
        costs = [
            cost * PATRONYMIC_SHARE if is_patronymic(word.text) else cost
            for word, cost in zip(form.words, costs, strict=True)
        ]
    plain = [word.kind == PLAIN for word in form.words]
    of_plain = [cost * is_plain for cost, is_plain in zip(costs, plain, strict=True)]
    of_others = [cost - of for cost, of in zip(costs, of_plain, strict=True)]
    return Query(
        form=form,
        rows=rows,
        weights=weights,
        costs=costs,
        absences=np.array([weights, of_plain, of_others]),
        plain=plain,
        clusters=np.array([k.cluster for k in known[:n]] + [-1] * (len(rows) - n), dtype=np.int32),
        lengths=np.array([len(row) for row in rows], dtype=np.int16),
        known=[k.listed for k in known[:n]] + [False] * (len(rows) - n),
        bits=[k.bits for k in known[:n]],
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
    # Slips are counted for all in C; the few pairs with hardly any are compared one by one.
    slips = cdist(query.rows, words, scorer=OSA.distance, score_cutoff=2, dtype=np.uint8)
    own = query.lengths[:, None]
    same = query.clusters[:, None] == clusters
    close = (slips == 2) & (np.maximum(own, lengths) >= TWO_SLIPS_FROM)
    close |= slips < 2
    close |= same
    like: NDArray[np.float32] = np.zeros(close.shape, dtype=np.float32)
    rows, columns = close.nonzero()
    like[rows, columns] = [
        _close(query.rows[row], words[column], sounds, number)
        for row, column, sounds, number in zip(
            rows.tolist(),
            columns.tolist(),
            same[rows, columns].tolist(),
            slips[rows, columns].tolist(),
            strict=True,
        )
    ]
    short = (own == 1) ^ (lengths == 1)
    if short.any():
        first = np.array([ord(row[0]) for row in query.rows])
        heads = np.array([ord(word[0]) for word in words])
        like[short & (first[:, None] == heads)] = INITIAL_LIKE
    return like


def _close(given: str, listed: str, sounds: bool, slips: int) -> float:
    """How alike two words are that sound the same (`sounds`) or have so few slips."""
    if not slips:
        return 1.0
    shorter = min(len(given), len(listed))
    if slips == 1 and shorter < 2 and not sounds:
        return 0.0
    value = JaroWinkler.similarity(given, listed, score_cutoff=LEAST_LIKE)
    if sounds:
        name = spelling_of(given)
        if value < 1.0 and name and name == spelling_of(listed):
            return SAME_NAME
        return max(value, SAME_SOUND)
    if slips == 1:
        return max(value, ONE_SLIP[min(shorter, len(ONE_SLIP) - 1)])
    return value
