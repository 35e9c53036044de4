"""Which listed words a word may stand for: those of its sound, and those one letter away.

Words are found by every form of them that lacks one letter, which meets any single slip (Mor and
Fraenkel's deletion neighbourhood, as in SymSpell). For the listed words themselves, which come
most often, the answer is kept.
"""

from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from scoring.core.names import sound
from scoring.core.watchlist import Texts
from scoring.core.word_keys import slip_keys, sound_key

Ints = NDArray[np.int32]
Number = TypeVar("Number", bound=np.integer)
AT_ONCE = 4096


class WordLookup:
    """The distinct words of the lists by what they are, by sound and by slips.

    `cluster[w]` is a number that words of the same sound share; words of `only_join` are found by
    what they are and by their sound.
    """

    def __init__(self, words: Texts, cluster: Ints, only_join: NDArray[np.bool_]) -> None:
        self._words, self._cluster = words, cluster
        # Read one at a time, which an array is slow at.
        slots = 2 ** len(words).bit_length() - 1
        hashed = np.fromiter((crc32(word.encode()) for word in words), np.uint32) & np.uint32(slots)
        self._number = hashed.argsort(kind="stable").astype(np.int32).data
        self._numbers_from = starts(np.bincount(hashed, minlength=slots + 1)).data
        self._slots = slots
        self._hash(only_join)
        self._relate()

    def _parts(self) -> list[tuple[int, list[str]]]:
        """The words in parts, each with the number of its first one."""
        size = len(self._words)
        return [
            (low, self._words.some(range(low, min(low + AT_ONCE, size))))
            for low in range(0, size, AT_ONCE)
        ]

    def _hash(self, only_join: NDArray[np.bool_]) -> None:
        keys, numbers = [], []
        for low, words in self._parts():
            own, left, which = slip_keys(words)
            whole = ~only_join[low + which]
            keys += [own, left[whole]]
            numbers += [np.arange(low, low + len(words)), low + which[whole]]
        # One word of each sound leads to the others.
        by_sound, first_of = self._by_sound()
        some = by_sound[first_of[:-1]]
        heard = [sound_key(sound(word)) for word in self._words.some(some.tolist())]
        every = np.concatenate([*keys, np.array(heard, dtype=np.uint32)])
        # Buckets by the last bits of a key, about one for each: a look, not a search.
        self._buckets = np.uint32(2 ** max(len(every).bit_length(), 8) - 1)
        buckets = every & self._buckets
        order = buckets.argsort(kind="stable")
        self._keys = every[order]
        self._key_word = np.concatenate([*numbers, some]).astype(np.int32)[order]
        self._bucket_from = starts(np.bincount(buckets, minlength=int(self._buckets) + 1))

    def _by_sound(self) -> tuple[Ints, Ints]:
        """The words by cluster, and where the words of each one begin."""
        order = self._cluster.argsort(kind="stable").astype(np.int32)
        return order, starts(np.bincount(self._cluster))

    def _relate(self) -> None:
        """Keeps, by listed word, the numbers of those that it may stand for, itself among them."""
        by_sound, first_of = self._by_sound()
        related, counts = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int64)]
        for low, words in self._parts():
            which, numbers = self._slipped(words)
            clusters = self._cluster[low : low + len(words)]
            first, last = first_of[clusters], first_of[clusters + 1]
            which = np.concatenate((which, np.arange(len(words)).repeat(last - first)))
            numbers = np.concatenate((numbers, by_sound[ranges(first, last)]))
            pairs = distinct(which * len(self._words) + numbers)
            related.append((pairs % len(self._words)).astype(np.int32))
            counts.append(np.bincount(pairs // len(self._words), minlength=len(words)))
        self._related = np.concatenate(related)
        self._related_from = starts(np.concatenate(counts))

    def number_of(self, word: str) -> int:
        """The number of a listed word; -1 for another one."""
        slot = crc32(word.encode()) & self._slots
        for place in range(self._numbers_from[slot], self._numbers_from[slot + 1]):
            number = self._number[place]
            if self._words[number] == word:
                return number
        return -1

    def sounding_like(self, word: str) -> int:
        """The number of a listed word of the same sound, for one that is not listed; -1 if none."""
        heard = sound(word)
        key = sound_key(heard)
        bucket = key & int(self._buckets)
        first, last = self._bucket_from[bucket : bucket + 2].tolist()
        for place, found in enumerate(self._keys[first:last].tolist(), first):
            if found == key and sound(self._words[int(self._key_word[place])]) == heard:
                return int(self._key_word[place])
        return -1

    def related(self, number: int) -> list[int]:
        """The numbers of the words that a listed word may stand for."""
        found: list[int] = self._related_to(number).tolist()
        return found

    def like(self, words: Sequence[str], sounding: Sequence[int]) -> list[list[int]]:
        """The same of words that are not listed, with a listed word of their sound or -1."""
        found: list[set[int]] = [set() for _ in words]
        which, numbers = self._slipped(words)
        for place, number in zip(which.tolist(), numbers.tolist(), strict=True):
            found[place].add(number)
        for some, number in zip(found, sounding, strict=True):
            if number >= 0:
                others = self._related_to(number)
                same = self._cluster[others] == self._cluster[number]
                some.update(others[same].tolist())
        return [sorted(some) for some in found]

    def _related_to(self, number: int) -> Ints:
        first, last = self._related_from[number : number + 2].tolist()
        return self._related[first:last]

    def _slipped(self, words: Sequence[str]) -> tuple[NDArray[np.int64], Ints]:
        """Which of the words share a key with listed ones, and the numbers of these."""
        own, left, which = slip_keys(words)
        keys = np.concatenate((own, left))
        buckets = keys & self._buckets
        first = self._bucket_from.take(buckets)
        sizes = self._bucket_from.take(buckets + np.uint32(1)) - first
        some = sizes.nonzero()[0]
        first, sizes = first.take(some), sizes.take(some)
        places, some = ranges(first, first + sizes), some.repeat(sizes)
        same = self._keys.take(places) == keys.take(some)
        which = np.concatenate((np.arange(len(words)), which))
        return which.take(some[same]), self._key_word.take(places[same])


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
