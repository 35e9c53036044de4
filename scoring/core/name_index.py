"""The names of all lists in one compact index that finds candidates for a name.

Every distinct word of the lists is a number; a name is a run of such numbers with the part that
each word plays. Words are found by what they are, by what they sound like, and one slip away
(scoring.core.word_lookup). A word weighs what it tells: log2 of the share of entries that have it.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.core.name_parts import FIRST, FURTHER, JOIN, LITTLE, MIDDLE, listed_words
from scoring.core.names import sound
from scoring.core.watchlist import ListedEntry, ListedName, Records, Texts
from scoring.core.word_lookup import WordLookup, distinct, ranges, starts

Ints = NDArray[np.int32]
FEWEST_ENTRIES = 10_000
MOST_CANDIDATES, MOST_TIED = 30, 90
REMEMBERED_WORDS = 2048
# Who shares less than this of what a query tells is no candidate.
LEAST_SHARED = 0.15
# What the presence of a listed word weighs, and what its absence costs (in words of that weight).
LITTLE_WEIGHT, INITIAL_WEIGHT, MIDDLE_WEIGHT = 0.1, 0.4, 0.7
LITTLE_COST, INITIAL_COST, FAMILY_COST = 0.05, 0.15, 1.3
MIDDLE_COST, MIDDLE_DOUBT = 0.10, 0.20
FURTHER_COST, FURTHER_DOUBT = 0.15, 0.90
# What a match tells, in bits: a word as listed all of its own, another spelling of the sound less,
# a slip more the longer the word (most where a letter is left out or swapped), an initial little.
RESPELLED, INITIAL_BITS = 4.0, 2.0
SLIP_LETTER, SLIP_SHORT, GONE_OR_SWAPPED = 3.0, 5.0, 5.0
# What was left out of the listed name is to be made up by the rest of it.
MIDDLE_GONE, FURTHER_GONE = 1.3, 6.0
# Columns of `NameIndex.worth`.
BITS, SLIPPED, WEIGHT, ABSENCE, DOUBTFUL_ABSENCE, GONE = range(6)
# What is known of a word, side by side: see `NameIndex`.
WORD = np.dtype(
    [("cluster", "i4"), ("bits", "f4"), ("lengths", "i2"), ("only_join", "?")], align=True
)


class Listed(NamedTuple):
    """Where a name stands: which list, which entry, which of its names."""

    list_name: str
    digest: str
    entry: ListedEntry
    name: ListedName


class Knowledge(NamedTuple):
    """What the lists know of a word: its sound's cluster, entries, bits; is it itself listed?"""

    cluster: int
    entries: int
    bits: float
    listed: bool


class NameIndex:
    """Names of several lists. Arrays are aligned: `start[n]:start[n + 1]` are name n's words.

    `words` are the distinct words, `bits[w]` what word w tells (at most `most_bits`),
    `cluster[w]` a number that words of the same sound share, `lengths[w]` its letters. `word`,
    `part` and `span` run over the words of all names: the word's number, its part, and for a JOIN
    first * 16 + last; `worth[:, k]` too: the bits that it tells (0 where it carries no name), at
    most those where it is spelled otherwise, weight in its part, the cost of its absence, what
    doubt adds to that, and the bits that are to be made up for. What is asked for together lies
    side by side (`WORD`, rows of `worth`): to fetch it takes longer than to reckon with it.
    """

    def __init__(self, lists: Iterable[tuple[str, str, Sequence[ListedEntry]]]) -> None:
        self.lists: list[tuple[str, str]] = []
        self._number: dict[str, int] = {}
        self._word, self._part, self._span = array("i"), array("b"), array("B")
        self._start, self._owner, self._spelling = array("i", [0]), array("i"), array("h")
        self._looked: OrderedDict[str, tuple[Knowledge, list[int]]] = OrderedDict()
        self._entries, self._list_of, self._weak = Records(), array("b"), array("b")
        self._take(lists)
        self._freeze()

    def _take(self, lists: Iterable[tuple[str, str, Sequence[ListedEntry]]]) -> None:
        for which, (name, digest, entries) in enumerate(lists):
            self.lists.append((name, digest))
            for entry in entries:
                self._add(which, entry)

    def _add(self, which: int, entry: ListedEntry) -> None:
        owner = len(self._entries)
        self._entries.append(entry)
        self._list_of.append(which)
        seen = set()
        for position, name in enumerate(entry.names):
            words, joins = listed_words(name, entry.kind)
            # Spellings that differ in nothing that is compared need to stand here once.
            same = (tuple(words), name.weak)
            if not words or same in seen:
                continue
            seen.add(same)
            for text, part, span in [*words, *joins]:
                self._word.append(self._number.setdefault(text, len(self._number)))
                self._part.append(part)
                self._span.append(span)
            self._start.append(len(self._word))
            self._owner.append(owner)
            self._spelling.append(position)
            self._weak.append(name.weak)

    def _freeze(self) -> None:
        self.words = Texts(self._number)
        del self._number
        self.word = np.frombuffer(self._word, dtype=np.int32)
        self.part = np.frombuffer(self._part, dtype=np.int8)
        self.span = np.frombuffer(self._span, dtype=np.uint8)
        self.start = np.frombuffer(self._start, dtype=np.int32)
        self.owner = np.frombuffer(self._owner, dtype=np.int32)
        self.spelling = np.frombuffer(self._spelling, dtype=np.int16)
        self.weak = np.frombuffer(self._weak, dtype=np.int8)
        self.names = len(self.owner)
        self.size = np.diff(self.start)
        name_of = np.repeat(np.arange(self.names, dtype=np.int32), self.size)
        self._weigh(name_of)
        self._post(name_of)
        self._put_together()
        self._lookup = WordLookup(self.words, self.cluster, self.only_join)
        self._value()
        share = np.select(
            [self.part == MIDDLE, self.part == LITTLE, self.part == JOIN], [0.4, 0.1, 0.0], 1.0
        )
        told = np.add.reduceat(share * self.bits[self.word], self.start[:-1])
        self.told = told.astype(np.float32)

    def _put_together(self) -> None:
        """Of each word what is asked for together; the arrays are views of it from now on."""
        facts = np.empty(len(self.words), dtype=WORD)
        for name in WORD.names or ():
            facts[name] = getattr(self, name)
            setattr(self, name, facts[name])

    def _weigh(self, name_of: Ints) -> None:
        """Bits by the number of entries with a word of that sound; joins tell what is in them."""
        clusters: dict[str, int] = {}
        self.cluster = np.fromiter(
            (clusters.setdefault(sound(word), len(clusters)) for word in self.words), np.int32
        )
        self.lengths = np.fromiter(map(len, self.words), np.int16)
        single = self.part != JOIN
        pairs = self.cluster[self.word[single]].astype(np.int64) * len(self._entries)
        pairs += self.owner[name_of[single]]
        having = np.bincount(distinct(pairs) // max(len(self._entries), 1), minlength=len(clusters))
        self._entries_with = having.astype(np.int32)
        # A short list says little about how common a word is among people.
        total = max(len(self._entries), FEWEST_ENTRIES)
        self.most_bits = float(np.log2(total))
        bits = np.log2(total / np.clip(having, 1, None)).astype(np.float32)
        self._bits_of = bits
        self.bits = bits[self.cluster]
        self._weigh_joins(name_of)

    def _weigh_joins(self, name_of: Ints) -> None:
        """A word that only comes of writing others as one tells what they tell."""
        self.only_join = np.zeros(len(self.words), dtype=bool)
        self.only_join[self.word[self.part == JOIN]] = True
        self.only_join[self.word[self.part != JOIN]] = False
        plain = (self.part != LITTLE) & (self.part != JOIN)
        told = np.concatenate(([0.0], np.cumsum(np.where(plain, self.bits[self.word], 0.0))))
        places = np.flatnonzero((self.part == JOIN) & self.only_join[self.word])
        first = self.start[name_of[places]] + (self.span[places] >> 4)
        last = self.start[name_of[places]] + (self.span[places] & 15) + 1
        self.bits[self.word[places]] = np.minimum(told[last] - told[first], self.most_bits)

    def _post(self, name_of: Ints) -> None:
        """Names by word. Little words lead to nobody: nearly every name has one."""
        leading = self.part != LITTLE
        words, names = self.word[leading], name_of[leading]
        order = np.argsort(words, kind="stable")
        self.postings = names[order].astype(np.int32)
        counts = np.bincount(words, minlength=len(self.words))
        self.posting_start = starts(counts)

    def _value(self) -> None:
        """By place, what a word is worth in its part: see `worth`."""
        bits, short = self.bits[self.word], self.lengths[self.word] == 1
        little, middle = self.part == LITTLE, self.part == MIDDLE
        further, single = self.part == FURTHER, self.part != JOIN
        full = np.where(short, INITIAL_WEIGHT, 0.5 + 0.5 * bits / self.most_bits)
        weight = np.where(little, LITTLE_WEIGHT, np.where(middle, MIDDLE_WEIGHT * full, full))
        absence = np.select(
            [little, short, middle, further, self.part == FIRST],
            [LITTLE_COST, INITIAL_COST, full * MIDDLE_COST, full * FURTHER_COST, full],
            full * FAMILY_COST,
        )
        doubtful = np.where(short, 0.0, full * (middle * MIDDLE_DOUBT + further * FURTHER_DOUBT))
        bits = bits * (single & ~little)
        slipped = SLIP_LETTER * self.lengths[self.word] - SLIP_SHORT + GONE_OR_SWAPPED
        slipped = np.minimum(bits, np.maximum(np.maximum(bits - RESPELLED, INITIAL_BITS), slipped))
        gone = middle * MIDDLE_GONE + further * FURTHER_GONE
        self.worth = np.empty((len(self.word), 6), dtype=np.float32)
        for k, worth in enumerate([bits, slipped, weight, absence * single, doubtful, gone]):
            self.worth[:, k] = worth

    def look(self, words: Sequence[str]) -> list[tuple[Knowledge, list[int]]]:
        """What is known of each word, and the numbers of the listed words that share a key."""
        looked, found = self._looked, []
        for word in words:
            # Words come again, also in names that were not screened before.
            known = looked.get(word)
            if known is None:
                known = looked[word] = self._look(word)
                # One for one: to forget all of them at once takes longer than a screening.
                if len(looked) > REMEMBERED_WORDS:
                    looked.popitem(last=False)
            found.append(known)
        return found

    def _look(self, word: str) -> tuple[Knowledge, list[int]]:
        number = self._lookup.number_of(word)
        if number >= 0:
            listed = not self.only_join[number]
            return self._known(int(self.cluster[number]), listed), self._lookup.related(number)
        number = self._lookup.sounding_like(word)
        cluster = int(self.cluster[number]) if number >= 0 else -1
        return self._known(cluster, listed=False), self._lookup.like(word, number)

    def _known(self, cluster: int, listed: bool) -> Knowledge:
        """A word of no listed sound tells the most."""
        if cluster < 0:
            return Knowledge(-1, 0, self.most_bits, listed)
        entries, bits = int(self._entries_with[cluster]), float(self._bits_of[cluster])
        return Knowledge(cluster, entries, bits, listed)

    def knowledge(self, word: str) -> Knowledge:
        return self.look([word])[0][0]

    def candidates(self, words: Sequence[str], joins: Sequence[str], told: float) -> Ints:
        """Numbers of the names that share most with a query, at most about MOST_CANDIDATES.

        `told` is the sum of the bits of the query's `words`; shared bits count against it and
        against the name's own, so that a short name is not drowned by long ones. What a join
        shares is not added to what its parts share already.
        """
        found = self._words_like(words)
        alone = self.only_join[found]
        names, weights = self._postings_of(found[~alone])
        shared = np.bincount(names, weights, minlength=self.names).astype(np.float64, copy=False)
        joined = found[alone]
        if joins:
            # Both sides written as one are of words that are alike by themselves.
            others = self._words_like(joins)
            joined = distinct(np.concatenate((joined, others[~self.only_join[others]])))
        if len(joined):
            further, weights = self._postings_of(joined)
            some = distinct(further)
            more = np.bincount(some.searchsorted(further), weights)
            shared[some] = np.maximum(shared[some], more)
            names = np.concatenate((names, some))
        close = distinct(names[shared.take(names) > told * LEAST_SHARED])
        if len(close) > MOST_CANDIDATES:
            likeness = np.minimum(shared[close], told) / (self.told[close] + told)
            # With all that are as good as the last one: names of the same words are many.
            least = np.partition(likeness, -MOST_CANDIDATES)[-MOST_CANDIDATES]
            good = (likeness >= least).nonzero()[0]
            close = close[good[(-likeness[good]).argsort(kind="stable")[:MOST_TIED]]]
        return close

    def _words_like(self, words: Sequence[str]) -> Ints:
        found: set[int] = set()
        for _, like in self.look(words):
            found.update(like)
        return np.array(sorted(found), dtype=np.int32)

    def _postings_of(self, numbers: Ints) -> tuple[Ints, NDArray[np.float32]]:
        """The names that have the listed words `numbers`, with the bits of the word."""
        first, last = self.posting_start[numbers], self.posting_start[numbers + 1]
        return self.postings.take(ranges(first, last)), self.bits[numbers].repeat(last - first)

    def listed(self, number: int, read: dict[int, ListedEntry] | None = None) -> Listed:
        """Everything about a name of the index; `read` keeps the entries for the next name."""
        owner = int(self.owner[number])
        entry = (read.get(owner) if read else None) or self._entries[owner]
        if read is not None:
            read[owner] = entry
        name, digest = self.lists[self._list_of[owner]]
        return Listed(name, digest, entry, entry.names[self.spelling[number]])
