"""The functions of rules as Python has them, or written out by hand."""

from string import ascii_lowercase, ascii_uppercase, digits


def _words(text: str, *, split: bool) -> list[str]:
    apart = "" if split else text
    for before, letter in zip(f" {text}", text if split else "", strict=False):
        begins = letter in ascii_uppercase and before in ascii_lowercase + digits
        apart += f" {letter}" if begins else letter
    return "".join(c if c.isalnum() else " " for c in apart.casefold()).split()


def _stands_in(text: str, phrase: str) -> bool:
    """Word by word, by hand; each read with and without a word at every inner capital."""
    for words in (_words(text, split=True), _words(text, split=False)):
        for wanted in (_words(phrase, split=True), _words(phrase, split=False)):
            starts = range(len(words) - len(wanted) + 1)
            if any(words[i : i + len(wanted)] == wanted for i in starts):
                return True
    return False


PYTHON = {
    "true": True,
    "false": False,
    "abs": abs,
    "min": min,
    "max": max,
    "length": len,
    "lower": lambda text: text.casefold(),
    "contains": lambda text, part: part.casefold() in text.casefold(),
    "starts": lambda text, part: text.casefold().startswith(part.casefold()),
    "mentions": lambda text, phrases: any(_stands_in(text, phrase) for phrase in phrases),
    "missing": lambda value: False,
    "default": lambda value, other: value,
}
