"""What else a name as written may stand for, where it has a sign of it.

Who hides a name writes its letters apart, its words as one, a blank that nobody sees, or a second
party beside it. A name in letters that are otherwise compared with themselves only (Han, kana,
those of India) is read in Latin ones. A name without such a sign has no other reading, and costs
one look for signs.
"""

import re
from collections.abc import Iterator

from scoring.core.names import LONGEST_NAME
from scoring.core.transliteration import BETWEEN, has_other_letters, romanised, without_unseen

MOST_READINGS = 16
LEAST_WORDS = 2  # Of a party beside another one: "Smith and Sons" is one.
LEAST_LETTERS = 3  # Of the parts of a word in a longer name: McDonald is one.
_FIRM = frozenset(
    {
        *("sons", "son", "daughters", "brothers", "bros", "family"),
        *("co", "company", "cie", "partners", "partner", "associates"),
    }
)
"""What stands behind `and` without being a party."""

UNSEEN, AS_ONE, APART, SEVERAL, ROMANISED = (
    "with a blank where a character is that nobody sees",
    "with its words taken apart at the capitals",
    "with its single letters as words",
    "as one of several parties",
    "in Latin letters",
)
HIDDEN, IN_OTHER_LETTERS = 1, 2
"""What a policy reads names by (ScreeningSpec.readings): signs of hiding, and other letters too."""
_SPACED = re.compile(r"(?<!\w)[^\W\d_](?: [^\W\d_]){2,}(?!\w)")


def other_readings(written: str, kinds: int = IN_OTHER_LETTERS) -> tuple[tuple[str, str], ...]:
    """(reading, how it was read) of a name, at most MOST_READINGS; none for most names."""
    seen = without_unseen(written)
    plain = _tidy(seen)
    found: dict[str, str] = {}
    if kinds >= IN_OTHER_LETTERS and has_other_letters(plain):
        plain = _tidy(romanised(plain))
        found[plain] = ROMANISED
    for text, how in _readings(written, plain, hidden=seen != written):
        if text and text != plain:
            found.setdefault(text, how)
    return tuple(found.items())[:MOST_READINGS]


def _tidy(text: str) -> str:
    return " ".join(text.split())[:LONGEST_NAME]


def _readings(written: str, plain: str, *, hidden: bool) -> Iterator[tuple[str, str]]:
    if hidden:
        yield _tidy("".join(without_unseen(letter) or " " for letter in written)), UNSEEN
    if not (plain.istitle() or plain.isupper() or plain.islower()):
        least = LEAST_LETTERS if " " in plain else 1
        yield " ".join(_apart(word, least=least) for word in plain.split()), AS_ONE
    if _SPACED.search(plain):
        yield _SPACED.sub(_joined, plain), APART
    if BETWEEN.search(plain):
        yield from ((party, SEVERAL) for party in _parties(plain))


def _parties(text: str) -> list[str]:
    """Those that stand beside another one, the longest first: the last of many are left out."""
    parts = [part for part in BETWEEN.split(text) if part.strip()]
    parties = [part for part in parts if len(part.split()) >= LEAST_WORDS]
    others = [part for part in parts if part not in parties and part.casefold() not in _FIRM]
    return sorted(parties, key=len, reverse=True) if len(parties) + len(others) > 1 else []


def _joined(found: re.Match[str]) -> str:
    """N i c o l a s is one word, N i c o l a s M a d u r o two."""
    return _apart(found[0].replace(" ", ""))


def _apart(word: str, *, least: int = 1) -> str:
    """A word taken apart where a capital follows a small letter, in parts of `least` and more."""
    before = f" {word}"
    parts = "".join(
        f" {letter}" if letter.isupper() and last.isalpha() and not last.isupper() else letter
        for last, letter in zip(before, word, strict=False)
    ).split(" ")
    return " ".join(parts) if min(map(len, parts)) >= least else word
