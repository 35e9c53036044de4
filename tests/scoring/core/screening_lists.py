"""A small list of invented and of long-dead parties, for the tests of the matcher."""

from itertools import product

from scoring.core.name_index import NameIndex
from scoring.core.watchlist import ENTITY, PERSON, ListedEntry, ListedName

DIGEST = "d" * 64


def person(number: str, family: str, given: str, *aliases: str, **more: object) -> ListedEntry:
    names = (ListedName(f"{family}, {given}", family, given), *map(ListedName, aliases))
    return ListedEntry(number, PERSON, names, **more)  # type: ignore[arg-type]


def company(number: str, *names: str) -> ListedEntry:
    return ListedEntry(number, ENTITY, tuple(map(ListedName, names)))


ENTRIES = [
    person("1", "Rasskolnikow", "Rodion Romanowitsch", countries=("RU",),
           born=(("1843-05-01", "1843-05-01"),)),
    person("2", "MADARIAGA QUIROGA", "Nicanor"),
    person("3", "AL-KHWARIZMI", "Muhammad ibn Musa", "Al-Khorezmi"),
    person("4", "TAE", "Jong Un"),
    person("5", "VEKSELMANN", "Abdulrahman"),
    company("6", "ORIENTAL SALTPETRE WORKS, S.A.", "SALPETRA"),
    ListedEntry("7", PERSON, (ListedName("PIKE, Zebulon", "PIKE", "Zebulon"),
                              ListedName("GREYBEARD", weak=True))),
]  # fmt: skip
_SYLLABLES = ("bor", "dak", "fen", "gul", "kar", "lom", "mir", "nev", "pol", "rus")
# Invented names that make Ali, Muhammad and Khan as common as they are on the real lists.
FILLERS = ["".join(parts).title() for parts in product(_SYLLABLES, repeat=3)]
ENTRIES += [person(f"A{i}", name, "Ali") for i, name in enumerate(FILLERS[:500])]
ENTRIES += [person(f"M{i}", name, "Muhammad") for i, name in enumerate(FILLERS[500:])]
ENTRIES += [person(f"K{i}", "Khan", name) for i, name in enumerate(FILLERS[:500])]
ENTRIES += [person("B1", "Khan", "Ali"), person("B2", "Khan", "Ali", "Ali Khan the Second")]


def index_of(entries: list[ListedEntry] | None = None) -> NameIndex:
    """An index of `entries`, by default of all above."""
    return NameIndex([("test_list", DIGEST, ENTRIES if entries is None else entries)])
