"""Which listed words a word may stand for: those of its sound, and those one letter away.

Words are found by every form of them that lacks one letter, which meets any single slip (Mor and
Fraenkel's deletion neighbourhood, as in SymSpell). For the listed words themselves, which come
most often, the answer is kept.
"""

from array import array
from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scoring.core.names import sound
from scoring.core.watchlist import Texts
from scoring.core.word_keys import own_key, slip_keys, sound_key

Ints = NDArray[np.int32]
Number = TypeVar("Number", bound=np.integer)


class WordLookup:
    """The distinct words of the lists by what they are, by sound and by slips.

    `cluster[w]` is a number that words of the same sound share; words of `only_join` are found by
    what they are and by their sound.
    """

    def __init__(self, words: Texts, cluster: Ints, only_join: NDArray[np.bool_]) -> None:
        self._words, self._cluster = words, cluster
        # One word of each sound leads to the others.
        self._by_sound = cluster.argsort(kind="stable").astype(np.int32)
        self._sound_from = starts(np.bincount(cluster))
        self._hash(only_join)
        self._relate()
        del self._by_sound, self._sound_from

    def _hash(self, only_join: NDArray[np.bool_]) -> None:
        keys, numbers = array("I"), array("i")
        # One by one: many small objects at a time leave holes in the memory of the process.
        for number, word in enumerate(self._words):
            found = {own_key(word)} if only_join[number] else {own_key(word), *slip_keys(word)}
            keys.extend(found)
            numbers.extend([number] * len(found))
        for number in self._by_sound[self._sound_from[:-1]].data:
            keys.append(sound_key(sound(self._words[number])))
            numbers.append(number)
        every = np.frombuffer(keys, dtype=np.uint32)
        # Buckets by the last bits of a key, about one for each: a look, not a search. Read one at
        # a time, which an array is slow at.
        self._last_bits = 2 ** max(len(every).bit_length(), 8) - 1
        buckets = every & np.uint32(self._last_bits)
        order = buckets.argsort(kind="stable")
        self._keys = every[order].data
        self._key_word = np.frombuffer(numbers, dtype=np.int32)[order].data
        self._bucket_from = starts(np.bincount(buckets, minlength=self._last_bits + 1)).data

    def _relate(self) -> None:
        """Keeps, by listed word, the numbers of those that it may stand for, itself among them."""
        related, ends = array("i"), array("i", [0])
        by_sound, sound_from = self._by_sound.data, self._sound_from.data
        for word, cluster in zip(self._words, self._cluster.data, strict=True):
            same = by_sound[sound_from[cluster] : sound_from[cluster + 1]]
            related.extend(sorted({*self._slipped(word), *same}))
            ends.append(len(related))
        self._related, self._related_from = array("i", related), ends

    def _found(self, keys: Iterable[int]) -> set[int]:
        """The numbers of the words that are found by one of the keys."""
        found = set()
        begins, known, numbers = self._bucket_from, self._keys, self._key_word
        for key in keys:
            bucket = key & self._last_bits
            for place in range(begins[bucket], begins[bucket + 1]):
                if known[place] == key:
                    found.add(numbers[place])
        return found

    def _slipped(self, word: str) -> set[int]:
        """The numbers of the words that are one letter away, or the word itself."""
        return self._found((own_key(word), *slip_keys(word)))

    def number_of(self, word: str) -> int:
        """The number of a listed word; -1 for another one."""
        for number in self._found((own_key(word),)):
            if self._words[number] == word:
                return number
        return -1

    def sounding_like(self, word: str) -> int:
        """The number of a listed word of the same sound, for one that is not listed; -1 if none."""
        heard = sound(word)
        for number in self._found((sound_key(heard),)):
            if sound(self._words[number]) == heard:
                return number
        return -1

    def related(self, number: int) -> list[int]:
        """The numbers of the words that a listed word may stand for, in order."""
        return self._related[self._related_from[number] : self._related_from[number + 1]].tolist()

    def like(self, word: str, sounding: int) -> list[int]:
        """The same of a word that is not listed, with a listed word of its sound or -1."""
        found = self._slipped(word)
        if sounding >= 0:
            others, cluster = self.related(sounding), self._cluster[sounding]
            found.update([other for other in others if self._cluster[other] == cluster])
        return sorted(found)


def distinct(values: NDArray[Number]) -> NDArray[Number]:
    """Ascending. `np.unique` asks about masked arrays, and loads some 5 MB for that."""
    ordered: NDArray[Number] = np.sort(values)
    is_new = np.ones(len(ordered), dtype=bool)
    is_new[1:] = ordered[1:] != ordered[:-1]
    found: NDArray[Number] = ordered[is_new]
    return found


def starts(counts: NDArray[np.integer]) -> Ints:
    """Where each of so many runs begins, and where the last one ends."""
    return np.concatenate(([0], counts.cumsum())).astype(np.int32)


def ranges(first: NDArray[np.integer], last: NDArray[np.integer]) -> NDArray[np.int64]:
    """All numbers of first[i]..last[i] - 1, one range after another."""
    counts = last - first
    ends = counts.cumsum(dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    found: NDArray[np.int64] = np.arange(total) + (first - ends + counts).repeat(counts)
    return found
