# ruff: noqa: RUF001 - Cyrillic letters are meant
"""Listed names as people write them: each function makes one variant of a name, or None."""

import string
from collections.abc import Callable

import numpy as np

from benchmarks.ordinary_names import given_names
from scoring.core.names import INITIAL, PLAIN, parse_name
from scoring.core.watchlist import ListedName

Maker = Callable[[ListedName, np.random.Generator], str | None]
_MARKS = str.maketrans("aceginosuy", "áçèğíñöšûý")
_RESPELLINGS = (
    ("ou", "u"), ("oo", "u"), ("kh", "h"), ("q", "k"), ("ei", "ey"), ("ay", "ai"), ("ee", "i"),
    ("iy", "y"), ("w", "v"), ("dj", "j"), ("u", "ou"), ("v", "w"), ("k", "q"), ("f", "ph"),
    ("i", "ee"),
)  # fmt: skip
_SLAVIC = ("ov", "ova", "ev", "eva", "sky", "skiy", "enko", "ich", "in")
_FATHERS = (
    "Aleksandrov", "Alekseyev", "Anatolyev", "Borisov", "Dmitriyev", "Ivanov", "Mikhailov",
    "Nikolayev", "Petrov", "Sergeyev", "Viktorov", "Vladimirov",
)  # fmt: skip
_CYRILLIC = (
    ("shch", "щ"), ("zh", "ж"), ("kh", "х"), ("ts", "ц"), ("ch", "ч"), ("sh", "ш"), ("yu", "ю"),
    ("ya", "я"), ("yo", "ё"), ("ye", "е"), *zip("abvgdezijklmnoprstufyhcqwx",
    "абвгдезийклмнопрстуфыхкквкс", strict=False),
)  # fmt: skip


def natural(name: ListedName) -> str:
    """Given names first, as people write themselves."""
    return f"{name.given} {name.family}" if name.family else name.text


def exact(name: ListedName, rng: np.random.Generator) -> str | None:
    return name.text


def reordered(name: ListedName, rng: np.random.Generator) -> str | None:
    words = name.text.replace(",", " ").split()
    return " ".join(rng.permutation(words)) if len(words) > 1 else None


def accents(name: ListedName, rng: np.random.Generator) -> str | None:
    """Other case, marks on half of the letters that take one, hyphens and apostrophes gone."""
    text = natural(name).replace("-", " ").replace("'", "").lower()
    marked = "".join(c.translate(_MARKS) if rng.random() < 0.5 else c for c in text)
    return marked.title() if rng.random() < 0.5 else marked


def one_typo(name: ListedName, rng: np.random.Generator) -> str | None:
    return _typed_wrong(natural(name), rng)


def one_typo_in_a_long_word(name: ListedName, rng: np.random.Generator) -> str | None:
    """Like `one_typo`, in a word of four letters or more: of shorter ones too little is left."""
    words = natural(name).split()
    long = [
        i for i, word in enumerate(words) if word.isascii() and word.isalpha() and len(word) > 3
    ]
    if not long:
        return None
    i = int(rng.choice(long))
    words[i] = _typed_wrong(words[i], rng) or words[i]
    return " ".join(words)


def two_typos(name: ListedName, rng: np.random.Generator) -> str | None:
    once = _typed_wrong(natural(name), rng)
    return None if once is None else _typed_wrong(once, rng)


def _typed_wrong(text: str, rng: np.random.Generator) -> str | None:
    """One letter: another one, left out, put in, or swapped with the next."""
    places = [i for i, c in enumerate(text) if c.isascii() and c.isalpha()]
    words = parse_name(text).words
    if not places or max((len(word.text) for word in words), default=0) < 3:
        return None
    i = int(rng.choice(places))
    letter = str(rng.choice(list(string.ascii_lowercase.replace(text[i].lower(), ""))))
    kind = int(rng.integers(4))
    if kind == 3 and not (text[i + 1 : i + 2].isalpha() and text[i].lower() != text[i + 1].lower()):
        kind = 0
    if kind == 0:
        return text[:i] + letter + text[i + 1 :]
    if kind == 1:
        return text[:i] + text[i + 1 :]
    if kind == 2:
        return text[:i] + letter + text[i:]
    return text[:i] + text[i + 1 : i + 2] + text[i] + text[i + 2 :]


def _words_of(name: ListedName) -> tuple[list[str], list[int]]:
    """The given names' written words, and which of them carry the name."""
    words = name.given.split()
    telling = [
        i for i, word in enumerate(words)
        if any(w.kind in (PLAIN, INITIAL) for w in parse_name(word).words)
        and parse_name(f"{word} Nobody").words[0].kind in (PLAIN, INITIAL)
    ]  # fmt: skip
    return words, telling


def no_middle(name: ListedName, rng: np.random.Generator) -> str | None:
    """One given name fewer, though never the first one."""
    words, telling = _words_of(name)
    if not name.family or len(telling) < 2:
        return None
    gone = int(rng.choice(telling[1:]))
    return " ".join([*words[:gone], *words[gone + 1 :], name.family])


def no_family(name: ListedName, rng: np.random.Generator) -> str | None:
    """What must not be found: the given names alone, two at least."""
    _, telling = _words_of(name)
    return name.given if name.family and len(telling) >= 2 else None


def one_family(name: ListedName, rng: np.random.Generator) -> str | None:
    """The first of two family names, as in daily life in Spanish-speaking countries."""
    words = name.family.split()
    plain = [w for w in parse_name(name.family).words if w.kind == PLAIN]
    if len(words) != 2 or len(plain) != 2 or "-" in name.family:
        return None
    return f"{name.given} {words[0]}"


def respelled(name: ListedName, rng: np.random.Generator) -> str | None:
    """Another romanisation of one sound, wherever it occurs."""
    text = natural(name).lower()
    fitting = [(old, new) for old, new in _RESPELLINGS if old in text]
    if not fitting:
        return None
    old, new = fitting[int(rng.integers(len(fitting)))]
    return text.replace(old, new)


def initial(name: ListedName, rng: np.random.Generator) -> str | None:
    """The first given name as an initial."""
    words, telling = _words_of(name)
    if not name.family or not telling:
        return None
    words[telling[0]] = f"{words[telling[0]].lstrip(chr(39))[:1]}."
    return " ".join([*words, name.family])


def further_given(name: ListedName, rng: np.random.Generator) -> str | None:
    """One more given name than the list has, an ordinary one, before the family name."""
    if not name.family or not name.given:
        return None
    return f"{name.given} {rng.choice(given_names())} {name.family}"


def patronymic(name: ListedName, rng: np.random.Generator) -> str | None:
    """A Russian's single given name with a father's name behind it, which the list lacks."""
    if len(name.given.split()) != 1 or not name.family.lower().endswith(_SLAVIC):
        return None
    woman = name.family.lower().endswith(("ova", "eva"))
    father = rng.choice(_FATHERS)
    return f"{name.given} {father}{'na' if woman else 'ich'} {name.family}"


def cyrillic(name: ListedName, rng: np.random.Generator) -> str | None:
    """Back into Russian letters: names that look Slavic."""
    text = natural(name).lower()
    if not name.family.lower().endswith(_SLAVIC):
        return None
    for latin, letter in _CYRILLIC:
        text = text.replace(latin, letter)
    return text


VARIANTS: dict[str, Maker] = {
    "exact": exact,
    "reordered": reordered,
    "accents and case": accents,
    "one typo": one_typo_in_a_long_word,
    "one typo, any word": one_typo,
    "middle name dropped": no_middle,
    "two typos": two_typos,
    "respelled": respelled,
    "one of two family names": one_family,
    "first name as initial": initial,
    "in Cyrillic": cyrillic,
    "without family name": no_family,
    "further given name": further_given,
    "patronymic put in": patronymic,
}
