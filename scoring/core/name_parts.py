"""The words of a listed name, and the part that each plays in it."""

from collections.abc import Iterable, Sequence

from scoring.core.names import INITIAL, PLAIN, NameForm, Word, parse_name
from scoring.core.watchlist import PERSON, UNKNOWN, ListedName

FAMILY, FURTHER, FIRST, MIDDLE, OTHER, LITTLE, JOIN = range(7)
"""A further family name (Maduro *Moros*) is left out more often than the first one; JOIN is several
neighbours written as one."""


def listed_words(
    name: ListedName, kind: str
) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    """Words of a listed name as (text, part, 0), and its joins as (text, JOIN, span)."""
    if not name.family:
        form = parse_name(name.text)
        parts = [*_parts(form.words, kind)]
        return _words(form, parts), _joins(form, 0)
    family, given = parse_name(name.family, whole=False), parse_name(name.given, whole=False)
    if not any(word.kind == PLAIN for word in (*family.words, *given.words)):
        family, given = parse_name(name.family), parse_name(name.given)
    words = _words(family, _in_turn(family.words, FAMILY, FURTHER))
    words += _words(given, _in_turn(given.words, FIRST, MIDDLE))
    return words, _joins(family, 0) + _joins(given, len(family.words))


def _words(form: NameForm, parts: Iterable[int]) -> list[tuple[str, int, int]]:
    return [(word.text, part, 0) for word, part in zip(form.words, parts, strict=True)]


def _joins(form: NameForm, shift: int) -> list[tuple[str, int, int]]:
    return [
        (text, JOIN, (i + shift) * 16 + j + shift) for text, i, j in form.joins if j + shift < 16
    ]


def _in_turn(words: Sequence[Word], first: int, later: int) -> list[int]:
    parts, part = [], first
    for word in words:
        if word.kind in (PLAIN, INITIAL):
            parts.append(part)
            part = later
        else:
            parts.append(LITTLE)
    return parts


def _parts(words: Sequence[Word], kind: str) -> list[int]:
    """Parts of a name that nobody took apart: a person's last word is the family name."""
    plain = [i for i, word in enumerate(words) if word.kind in (PLAIN, INITIAL)]
    parts = [LITTLE] * len(words)
    person = kind == PERSON or (kind == UNKNOWN and len(plain) < 2)
    for i in plain:
        parts[i] = OTHER
        if person and len(plain) > 1:
            parts[i] = FIRST if i == plain[0] else FAMILY if i == plain[-1] else MIDDLE
    return parts
