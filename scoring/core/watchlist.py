"""A published list of names as plain records, and the packed form in which it is kept.

The packed form is compressed JSON of what was published, not of what was made of it: a better
matcher counts from its next start on, and the digest names the list and nothing else.
"""

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from sys import intern

FORMAT = 1
LARGEST_CONTENT = 256 * 1024 * 1024
PERSON, ENTITY, VESSEL, AIRCRAFT, UNKNOWN = "person", "entity", "vessel", "aircraft", "unknown"


class WatchlistError(ValueError):
    """A list that cannot be read, with the reason in words."""


@dataclass(frozen=True, slots=True)
class ListedName:
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


def pack(entries: Sequence[ListedEntry]) -> tuple[str, bytes]:
    """Digest (SHA-256 of the content before compression) and the compressed content."""
    rows = [
        [e.id, e.kind, [[n.text, n.family, n.given, int(n.weak)] for n in e.names], e.programs,
         list(e.countries), [list(span) for span in e.born]]
        for e in sorted(entries, key=lambda entry: entry.id)
    ]  # fmt: skip
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
    # What comes again in thousands of entries is kept once.
    if read["format"] != FORMAT:
        raise WatchlistError(f"The list {digest[:12]} has the unknown format {read['format']}.")
    return [
        ListedEntry(
            id=row[0],
            kind=intern(row[1]),
            names=tuple(ListedName(n[0], n[1], n[2], bool(n[3])) for n in row[2]),
            programs=intern(row[3]),
            countries=tuple(map(intern, row[4])),
            born=tuple((intern(span[0]), intern(span[1])) for span in row[5]),
        )
        for row in read["entries"]
    ]
