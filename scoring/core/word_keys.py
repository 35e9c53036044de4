"""Hashes under which a word is found, for many words in a few array operations.

A word is hashed as a polynomial in its letters (Karp and Rabin 1987), so that the hash of what is
left without one letter follows from the sums before and behind it. The same everywhere, so that a
replay finds the same.
"""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from scoring.core.names import sound

Keys = NDArray[np.uint32]

SHORTEST_SLIP = 3
# Odd, so that its powers can be taken back, modulo 2 ** 64.
_BASE = 0x9E3779B97F4A7C15
_BACK = np.uint64(pow(_BASE, -1, 2**64))
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


def slip_keys(words: Sequence[str]) -> tuple[Keys, Keys, NDArray[np.int64]]:
    """The key of each word, the keys of what is left without one letter, and of which word."""
    codes = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    last = lengths.cumsum() - 1
    first = last - lengths + 1
    which = np.arange(len(words)).repeat(lengths)
    place = np.arange(len(codes)) - first.take(which)
    powers = np.full(int(lengths.max(initial=0)), _BASE, dtype=np.uint64).cumprod()
    terms = codes * powers.take(place)
    through = terms.cumsum()
    through -= (through - terms).take(first).take(which)
    whole = through.take(last)
    left = through - terms + (whole.take(which) - through) * _BACK
    # Without either of two equal neighbours the same is left.
    kept = lengths.take(which) >= SHORTEST_SLIP
    kept[1:] &= (codes[1:] != codes[:-1]) | (place[1:] == 0)
    return _spread(whole), _spread(left[kept]), which[kept]


def _spread(sums: NDArray[np.uint64]) -> Keys:
    """Every bit of the sum has a say in the last ones of the key, which buckets go by."""
    keys: Keys = (((sums ^ (sums >> _HALF)) * _SPREAD) >> _HALF).astype(np.uint32)
    return keys


def letters_of(word: str) -> int:
    """A bit for each letter, another one where it comes again; a few far letters share bits."""
    found = 0
    for letter in word:
        bit = 1 << (ord(letter) & 31)
        found |= bit << 32 if found & bit else bit
    return found


def sound_key(heard: str) -> int:
    """The key of a sound."""
    return crc32(b"~" + heard.encode())


def keys_of(word: str, *, slips: bool = True) -> set[int]:
    """All keys of one word: its own, its sound's, and those with one letter left out."""
    own, left, _ = slip_keys([word])
    return {*own.tolist(), sound_key(sound(word)), *(left.tolist() if slips else ())}
