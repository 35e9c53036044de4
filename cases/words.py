"""The words by which an alert is found: what its reasons, rules and events say. No Django.

A search is for words that begin as typed, in any order; both databases answer alike.
"""

import re
from collections.abc import Iterable
from typing import Final

MOST: Final = 400
"""Words kept of one alert."""
LONGEST: Final = 40
"""Characters kept of one word."""
MOST_ASKED: Final = 8
"""Words of a search that count."""
WORD: Final = re.compile(r"[^\W_]+")


def words_of(texts: Iterable[str], already: str = "") -> str:
    """Each word once, lower-case, between blanks; those of `already` stay in front."""
    found = dict.fromkeys(already.split())
    for text in texts:
        if len(found) >= MOST:
            break
        found.update(dict.fromkeys(asked_words(text, most=MOST)))
    kept = list(found)[:MOST]
    return f" {' '.join(kept)} " if kept else ""


def asked_words(text: str, *, most: int = MOST_ASKED) -> list[str]:
    """The words of a text, lower-case, in its order, at most `most`."""
    return [word[:LONGEST] for word in WORD.findall(text.lower())[:most]]


def whole_word(token: str) -> str:
    """A word that no search begins with: it is found whole, by who asks for exactly that."""
    return f"={token}"
