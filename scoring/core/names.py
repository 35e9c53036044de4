"""A name as written, taken apart into comparable words.

`parse_name` drops what spellings differ in without meaning anything (case, marks, punctuation,
script, characters that nobody sees) and says of every word what it is worth: a plain word, an
initial, or one of the small words (particles, titles, legal forms) that come and go between two
spellings of one name.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA

from scoring.core.transliteration import to_latin, without_unseen

LONGEST_NAME = 300
MOST_WORDS = 32
SHORTEST_JOIN = 6

PLAIN, INITIAL, SMALL, LEGAL = range(4)


def _set_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PARTICLES = _set_of(
    """
    al el ul ol ud ur us ad bin ibn ben bint binti abd abu umm de del della dello la las los lo
    da do dos das di du des le les van von der den ter ten te zu zum af av y e i and und et the
    of for in ap o
    """
)
_TITLES = _set_of(
    """
    mr mrs ms miss dr prof sir haji hajji hadji hajj haj sheikh shaykh shaikh sheik cheikh
    mullah mulla mawlawi maulavi molvi mawlana maulana hafiz qari ustad sayyid seyyed gen
    general col colonel brig maj major capt captain lt ing lic jr sr ii iii
    """
)
# Small words that are nobody's name, while Le, Van and Das are.
NEVER_NAMES = _TITLES | {"al", "el", "the", "of", "and", "for", "in", "et", "und", "y", "de"}
_LEGAL = _set_of(
    """
    sa sas sarl sl srl spa sca sapi cv rl ltd ltda limited llc llp lp inc incorporated corp
    corporation co company cia plc gmbh ag kg ohg ug bv nv oy ab as aps doo dd ad jsc pjsc ojsc
    oao zao ooo pao ao eood ood kft zrt sro oü ou tov fzco fze fzc fz est sdn bhd pt pte pty pvt
    private public joint stock
    """
)
_COMPANY = _set_of(
    """
    ltd ltda limited llc llp inc incorporated corp corporation plc gmbh sarl srl jsc pjsc ojsc
    company pty pte pvt bhd sdn
    """
)
# What Slavic fathers' names end in, as they are romanised.
_PATRONYMICS = (
    "ovich", "evich", "ovych", "evych", "ilyich", "ilich", "ovna", "evna", "ichna", "ivna",
)  # fmt: skip
_VARIANTS = {
    spelling: row.split()[0]
    for row in (
        "muhammad mohammed mohammad mohamed mohamad muhamad muhammed muhamed mahomed mohamet "
        "mohammod muhammet mohd muhd mhmd mukhammad mukhamed mukhammed mokhamed mokhammad",
        "abdullah abdallah abdulla abdalla abdollah abdoullah abdoulaye abdilahi abdullahi "
        "abdullakh abdallakh",
        "husayn hussein hussain husein husain hossein hossain houssein hosein huseyin huseyn "
        "khusein khussein khuseyn",
        "ahmad ahmed ahmet achmed akhmed achmad akhmad ahmd",
        "yusuf yousef youssef yousuf yusef youssouf yosef jusuf yousif yusif iusuf",
        "ibrahim ebrahim ibraheem brahim ibragim abrahim",
        "ismail ismael esmail esmaeil ismaeel ismaiel ismayil",
        "khalid khaled kalid halid chalid",
        "umar omar omer umer",
        "usman osman othman uthman ousmane osmane",
        "usama osama oussama",
        "ali aly",
        "said saeed saed sayed sayid saeid saiid",
        "abbas abas",
        "mustafa mustapha moustafa mostafa mostapha",
        "mahmud mahmoud mahmood mehmood mahmoed makhmud",
        "qasim qassim qasem qassem kasim kassim kassem gasim ghasem",
        "sulayman suleiman sulaiman soleiman suleyman soleymani sulieman solayman",
        "hasan hassan hassane khasan khassan",
        "hamid hameed hamed",
        "rahman rehman rahmaan rachman",
        "rashid rasheed rachid",
        "jamal gamal djamal djamel jamaal",
        "jafar jaafar jaffar djafar jafer gaafar",
        "aleksandr alexander aleksander alexandr oleksandr alexandre aliaksandr",
        "sergey sergei serguei serhiy serhii siarhei sergii",
        "dmitry dmitri dmitriy dmitrii dimitri dmytro dzmitry",
        "yevgeny evgeny evgeni yevgeni evgeniy yevgeniy evgenii yevhen",
        "yuri yury iurii yuriy iouri yurii",
        "mikhail mikhayl michail mykhailo mihail",
        "andrey andrei andrej andriy andrii",
        "aleksey alexey alexei aleksei oleksiy oleksii",
        "nikolay nikolai nikolaj mykola",
        "vladimir volodymyr uladzimir",
        "artem artyom artiom",
        "fedor fyodor fiodor fedir",
        "semen semyon semion",
        "petr pyotr piotr petro",
        "pavel pavlo",
        "gonzalez gonzales",
        "rodriguez rodrigues",
    )
    for spelling in row.split()
}  # fmt: skip

# Greek, Cyrillic and what comes after them in Unicode, up to Latin letters with many marks.
_FIRST_GREEK, _LATIN_AGAIN = "\u0370", "\u1e00"
_APOSTROPHES = re.compile(r"['’‘ʻʼʽ`´′ʹʺ\"“”″]")  # noqa: RUF001 - quotes as people type them
_DOTTED = re.compile(r"\b\w(?:\.\w)+\b\.?")
_WORDS = re.compile(r"[^\W_]+")
_NOT_ABD = frozenset({"abul", "abu", "adul"})
_ABD_ARTICLES = ("abdul", "abdel", "abdal", "abdur")
_ABD_LETTERS = frozenset("abd")
_SERVANT_OF_GOD = ("abdullah", "abdallah", "abdulla", "abdoullah", "abdullahi", "abdoulaye")
_ABD = re.compile(r"^abd(?:[aeou]{1,2}[lrsznt]|[lrsznt])?$")
_ABD_AND = re.compile(r"^abd(?:[aeou]{1,2}([lrsznt])|l)(\w{4,})$")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a name. `kind` is PLAIN, INITIAL, SMALL (particles, titles) or LEGAL."""

    text: str
    kind: int


@dataclass(frozen=True, slots=True)
class NameForm:
    """A parsed name: its words in the written order, and neighbours written as one.

    `joins` holds (text, first, last): the words first..last as a single word. They meet spellings
    such as Abu Bakr and Abubakr, Jong Un and Jongun. `romanised`: it was not written in Latin
    letters, so that how its words are spelled is our choice.
    """

    words: tuple[Word, ...]
    joins: tuple[tuple[str, int, int], ...]
    romanised: bool = False

    @property
    def is_company(self) -> bool:
        """Whether a legal form stands in it that is nobody's name, as Ao, Pao and As are."""
        return any(word.text in _COMPANY for word in self.words)


def _undot(found: re.Match[str]) -> str:
    """S.A.S. is a legal form; J.R. are two initials."""
    letters = found[0].replace(".", "")
    return letters if letters in _LEGAL else " ".join(letters)


def split_words(text: str) -> list[str]:
    """Lower-case Latin words of `text` without marks, punctuation and what nobody sees.

    At most MOST_WORDS, from the first LONGEST_NAME characters that are seen.
    """
    latin = _APOSTROPHES.sub("", to_latin(without_unseen(text)[:LONGEST_NAME]))
    if "." in latin:
        latin = _DOTTED.sub(_undot, latin)
    return _merge_letters(_WORDS.findall(latin))[:MOST_WORDS]


def _merge_letters(words: list[str]) -> list[str]:
    """A run of single letters that spells a legal form (S A) becomes that form."""
    if not any(len(word) == 1 for word in words):
        return words
    merged: list[str] = []
    run: list[str] = []
    for word in [*words, "  "]:
        if len(word) == 1:
            run.append(word)
            continue
        whole = "".join(run)
        merged += [whole] if len(run) > 1 and whole in _LEGAL else run
        run = []
        merged.append(word)
    return merged[:-1]


def _servant_of(word: str) -> list[str]:
    """Abdulrahman, Abdurrahman and Abd al-Rahman are one name: `abd` and what follows it."""
    # With one slip anywhere, two of these letters are still among the first four.
    if len(word) < 3 or len(_ABD_LETTERS.intersection(word[:4])) < 2:
        return [word]
    if word in _NOT_ABD or any(_near(word, name) for name in _SERVANT_OF_GOD):
        return [word]
    if _ABD.match(word) or _near(word, "abdul"):
        return ["abd"]
    found = _ABD_AND.match(word)
    if found:
        linked, rest = found[1], found[2]
        # In Abdurrahman the article has taken on the first letter of the name.
        if not linked or linked == "l" or rest.startswith(linked):
            return ["abd", rest]
        return [word]
    # The same with a slip of the pen in its first part.
    for cut in (5, 6, 4):
        head, rest = word[:cut], word[cut:]
        if len(rest) >= 4 and any(_near(head, article) for article in _ABD_ARTICLES):
            return ["abd", rest]
    return [word]


def spelling_of(word: str) -> str | None:
    """The name of which a word is one of the common spellings; None where it is not known."""
    return _VARIANTS.get(word)


def is_patronymic(word: str) -> bool:
    """Whether a word reads as a Slavic father's name (Vladimirovich, Ilyinichna)."""
    return word.endswith(_PATRONYMICS)


def _near(word: str, other: str) -> bool:
    """At most one letter put in, left out, changed, or swapped with the next."""
    return abs(len(word) - len(other)) < 2 and OSA.distance(word, other, score_cutoff=1) < 2


def _kind_of(word: str) -> int:
    if word in _LEGAL:
        return LEGAL
    if word in _PARTICLES or word in _TITLES:
        return SMALL
    return INITIAL if len(word) == 1 and word.isascii() and word.isalpha() else PLAIN


def parse_name(text: str, *, whole: bool = True) -> NameForm:
    """Take a name apart. Never fails; a text without a letter or digit has no words.

    Small words are the name where there is nothing else; not so in a part of a name (`whole`
    False), which has the rest of it beside it.
    """
    words = [part for word in split_words(text) for part in _servant_of(word)]
    kinds = [_kind_of(word) for word in words]
    if whole and kinds.count(PLAIN) == 0:
        # Nothing else would be left of a name such as The La or O. Al.
        kinds = [PLAIN if len(word) > 1 else INITIAL for word in words]
    romanised = not text.isascii() and any(
        _FIRST_GREEK <= letter < _LATIN_AGAIN for letter in without_unseen(text)
    )
    return NameForm(tuple(map(Word, words, kinds)), tuple(_joins(words, kinds)), romanised)


def _joins(words: list[str], kinds: list[int]) -> list[tuple[str, int, int]]:
    """Two neighbours as one word, also across a particle; at least one of them is a plain word."""
    found = []
    for i in range(len(words) - 1):
        for last in (i + 1, i + 2):
            if last >= len(words) or LEGAL in kinds[i : last + 1]:
                break
            if last == i + 2 and kinds[i + 1] != SMALL:
                break
            if PLAIN not in (kinds[i], kinds[last]) or INITIAL in kinds[i : last + 1]:
                continue
            joined = "".join(words[i : last + 1])
            if len(joined) >= SHORTEST_JOIN:
                found.append((joined, i, last))
    return found


# One vowel however it is written; how long a word is, is told after these.
_LONG_VOWELS = (("ee", "i"), ("ou", "u"), ("oo", "u"))
_SOUNDS = (
    ("tsch", "C"),
    ("tch", "C"),
    ("shch", "S"),
    ("sch", "S"),
    ("sh", "S"),
    ("dzh", "j"),
    ("cz", "C"),
    ("ch", "C"),
    ("zh", "Z"),
    ("kh", "h"),
    ("gh", "g"),
    ("dh", "d"),
    ("th", "t"),
    ("ph", "f"),
    ("dj", "j"),
    ("ck", "k"),
    ("ts", "z"),
    ("tz", "z"),
    ("ce", "se"),
    ("ci", "si"),
    ("cy", "si"),
    ("c", "k"),
    ("q", "k"),
    ("x", "ks"),
    ("w", "v"),
    ("ae", "a"),
    ("oe", "o"),
    ("ue", "u"),
    ("ya", "ia"),
    ("yu", "iu"),
    ("yo", "e"),
    ("ye", "e"),
    ("y", "i"),
    ("ei", "i"),
    ("ai", "i"),
    ("ie", "i"),
    ("ij", "i"),
    ("ej", "i"),
    ("aj", "i"),
)
# In short words these tell names apart (Kim and Kem, Su and So), in long ones only spellings.
_VOWELS = (("e", "i"), ("o", "u"))
SHORTEST_VOWELS = 5  # fmt: skip
_DOUBLED = re.compile(r"(.)\1+")


@lru_cache(maxsize=4096)
def sound(word: str) -> str:
    """What a word sounds like, roughly: equal for common spellings of the same name."""
    heard = _VARIANTS.get(word, word)
    if not heard.isascii() or len(heard) < 3:
        return heard
    for written, spoken in _LONG_VOWELS:
        heard = heard.replace(written, spoken)
    for written, spoken in _SOUNDS + (_VOWELS if len(heard) >= SHORTEST_VOWELS else ()):
        if written in heard:
            heard = heard.replace(written, spoken)
    heard = _DOUBLED.sub(r"\1", heard)
    if len(heard) > 3 and heard[-1] == "h":
        heard = heard[:-1]
    return heard
