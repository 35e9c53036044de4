"""Hashes under which a word is found. The same everywhere, so that a replay finds the same."""

from zlib import crc32

from scoring.core.names import sound

SHORTEST_SLIP = 3


def own_key(word: str) -> int:
    """The key of the word as it is."""
    return crc32(word.encode())


def sound_key(heard: str) -> int:
    """The key of a sound."""
    return crc32(b"~" + heard.encode())


def slip_keys(word: str) -> set[int]:
    """The keys of what is left of the word without one letter."""
    if len(word) < SHORTEST_SLIP:
        return set()
    raw = word.encode()
    if len(raw) == len(word):
        return {crc32(raw[:i] + raw[i + 1 :]) for i in range(len(raw))}
    return {crc32((word[:i] + word[i + 1 :]).encode()) for i in range(len(word))}


def keys_of(word: str, *, slips: bool = True) -> set[int]:
    """All keys of a word: its own, its sound's, and those with one letter left out."""
    own = {own_key(word), sound_key(sound(word))}
    return own | slip_keys(word) if slips else own
