"""A published list of names as plain records, and the packed form in which it is kept.

The packed form is compressed JSON of what was published, not of what was made of it: a better
matcher counts from its next start on, and the digest names the list and nothing else.
"""

import hashlib
import json
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

FORMAT = 1
LARGEST_CONTENT = 256 * 1024 * 1024
PERSON, ENTITY, VESSEL, AIRCRAFT, UNKNOWN = "person", "entity", "vessel", "aircraft", "unknown"


class WatchlistError(ValueError):
    """A list that cannot be read, with the reason in words."""


class ListedName(NamedTuple):
    """One spelling. `family` is the part that is the family name, where the publisher says so.

    `weak`: the publisher itself warns that the alias hits too many (a nom de guerre, a nickname).
    """

    text: str
    family: str = ""
    given: str = ""
    weak: bool = False


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """One listed party with all its names; the first one is the primary name.

    `countries` are ISO 3166 alpha-2 codes (nationality, citizenship, birth, address). `born` holds
    spans of possible dates of birth, ISO texts of both ends, which are equal for an exact date.
    """

    id: str
    kind: str
    names: tuple[ListedName, ...]
    programs: str = ""
    countries: tuple[str, ...] = ()
    born: tuple[tuple[str, str], ...] = ()


class Texts(Sequence[str]):
    """Many short texts as one long one, for each object takes more than its letters."""

    def __init__(self, texts: Iterable[str]) -> None:
        ends = array("i", [0])
        whole = []
        for text in texts:
            whole.append(text)
            ends.append(ends[-1] + len(text))
        self._whole, self._ends = "".join(whole), ends

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: Any) -> Any:
        return self._whole[self._ends[number] : self._ends[number + 1]]

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))

    def some(self, numbers: Iterable[int]) -> list[str]:
        """The texts of these numbers."""
        whole, ends = self._whole, self._ends
        return [whole[ends[number] : ends[number + 1]] for number in numbers]


class Records:
    """Entries kept as text, a tenth of what the objects take, and read again one at a time."""

    def __init__(self) -> None:
        self._text, self._ends = bytearray(), array("l", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, entry: ListedEntry) -> None:
        self._text += json.dumps(_row(entry), ensure_ascii=False).encode()
        self._ends.append(len(self._text))

    def __getitem__(self, number: int) -> ListedEntry:
        return _entry(json.loads(self._text[self._ends[number] : self._ends[number + 1]]))


def pack(entries: Sequence[ListedEntry]) -> tuple[str, bytes]:
    """Digest (SHA-256 of the content before compression) and the compressed content."""
    rows = [_row(entry) for entry in sorted(entries, key=lambda entry: entry.id)]
    plain = json.dumps(
        {"format": FORMAT, "entries": rows}, ensure_ascii=False, separators=(",", ":")
    ).encode()
    return hashlib.sha256(plain).hexdigest(), zlib.compress(plain, 9)


def unpack(digest: str, content: bytes) -> list[ListedEntry]:
    """The entries that `pack` was given. Raises WatchlistError when a byte is not as it was."""
    try:
        inflate = zlib.decompressobj()
        plain = inflate.decompress(content, LARGEST_CONTENT)
    except zlib.error as error:
        raise WatchlistError(f"The list {digest[:12]} is damaged: {error}") from error
    if inflate.unconsumed_tail or hashlib.sha256(plain).hexdigest() != digest:
        raise WatchlistError(f"The list {digest[:12]} is not what it was when it was read.")
    read = json.loads(plain)
    if read["format"] != FORMAT:
        raise WatchlistError(f"The list {digest[:12]} has the unknown format {read['format']}.")
    return [_entry(row) for row in read["entries"]]


def _row(entry: ListedEntry) -> list[Any]:
    names = [[name.text, name.family, name.given, int(name.weak)] for name in entry.names]
    born = [list(span) for span in entry.born]
    return [entry.id, entry.kind, names, entry.programs, list(entry.countries), born]


def _entry(row: list[Any]) -> ListedEntry:
    return ListedEntry(
        id=row[0],
        kind=row[1],
        names=tuple(
            [ListedName(text, family, given, bool(weak)) for text, family, given, weak in row[2]]
        ),
        programs=row[3],
        countries=tuple(row[4]),
        born=tuple((span[0], span[1]) for span in row[5]),
    )
