"""Published sanctions lists as they lie in their files: OFAC's SDN list (CSV), the UN's (XML).

OFAC: `sdn.csv` (one row a party), `alt.csv` (aliases), `add.csv` (addresses) and
`sdn_comments.csv` (the rest of remarks that were too long), as the Treasury describes them in
"SDN Data Formats": no header, `-0-` for empty, a closing Ctrl-Z. Dates of birth, nationalities and
weak aliases stand in the remarks. `sdn.xml` has all of it in one file, as sdnEntry elements.
UN: the consolidated list's XML, INDIVIDUAL and ENTITY.
"""

import csv
import io
import re
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from scoring.core.countries import country_code
from scoring.core.watchlist import (
    AIRCRAFT,
    ENTITY,
    PERSON,
    UNKNOWN,
    VESSEL,
    ListedEntry,
    ListedName,
    WatchlistError,
)

OFAC, UN = "ofac_sdn", "un"
TITLES = {OFAC: "OFAC Specially Designated Nationals", UN: "UN Security Council consolidated list"}
SDN, ALIASES = "sdn.csv", "alt.csv"
OFAC_FILES = (SDN, ALIASES, "add.csv", "sdn_comments.csv")
OFAC_WAYS = (
    "OFAC's list is read from sdn.xml, or from sdn.csv with alt.csv, add.csv and sdn_comments.csv"
    " in the same folder or at the same address."
)
LARGEST_FILE = 128 * 1024 * 1024
EMPTY = "-0-"
# Bytes in which a file's first element is looked for.
HEAD = 4096
MOST_NAMES = 2_000_000
_KINDS = {"individual": PERSON, "entity": ENTITY, "vessel": VESSEL, "aircraft": AIRCRAFT}
_WEAK_ALIAS = re.compile(r"\ba\.k\.a\. '([^']+(?:'[^;']+)*)'")
_BELONGS = re.compile(r"^(?:alt\. )?(nationality|citizen|POB) (.+?)\.?$")
_BORN = re.compile(r"^(?:alt\. )?DOB (circa )?(.+?)\.?$")
_BRACKETS = re.compile(r"\s*\([^()]*\)")
CIRCA_YEARS = 2


def parse_ofac(files: Mapping[str, bytes]) -> list[ListedEntry]:
    """Entries of the OFAC files, by file name. Raises WatchlistError; only sdn.csv must be there.

    An alias whose party is missing from sdn.csv is a published name all the same: it is kept, as an
    entry of its own with an unknown kind.
    """
    if SDN not in files:
        raise WatchlistError(f"{SDN}, the file of the OFAC list's primary names, is missing.")
    more = {row[0]: row[1] for row in _rows(files, "sdn_comments.csv", 2)}
    aliases: dict[str, list[ListedName]] = defaultdict(list)
    for row in _rows(files, ALIASES, 4):
        aliases[row[0]].append(_ofac_name(row[3], None))
    places: dict[str, list[str]] = defaultdict(list)
    for row in _rows(files, "add.csv", 5):
        places[row[0]].append(row[4])
    entries = []
    for row in _rows(files, SDN, 12):
        kind = ENTITY if row[2] == EMPTY else _KINDS.get(row[2].lower(), UNKNOWN)
        remarks = row[11] + more.get(row[0], "")
        entries.append(_ofac_entry(row, kind, remarks, aliases.pop(row[0], []), places))
    for number, names in aliases.items():
        entries.append(ListedEntry(id=number, kind=UNKNOWN, names=tuple(names),
                                   countries=_codes(places[number])))  # fmt: skip
    return entries


def _ofac_entry(
    row: list[str], kind: str, remarks: str, aliases: list[ListedName], places: Mapping[str, Any]
) -> ListedEntry:
    said = [part.strip() for part in remarks.split(";")]
    belongs = [found[2] for found in map(_BELONGS.match, said) if found]
    names = [_ofac_name(row[1], kind), *(_as_kind(name, kind) for name in aliases)]
    weak = [ListedName(text, weak=True) for text in _WEAK_ALIAS.findall(remarks)]
    return ListedEntry(
        id=row[0],
        kind=kind,
        names=tuple(names + weak),
        programs="" if row[3] == EMPTY else row[3],
        # A place of birth ends with its country: "Lucerne, Switzerland".
        countries=_codes([*belongs, *(b.rpartition(",")[2] for b in belongs), *places[row[0]]]),
        born=tuple(span for text in said for span in _ofac_born(text)),
    )


def _rows(files: Mapping[str, bytes], name: str, least: int) -> Iterator[list[str]]:
    """Rows of a file, stripped, empty fields as EMPTY. The Ctrl-Z at the end is none."""
    if name not in files:
        return
    text = _decoded(files[name])
    try:
        for row in csv.reader(io.StringIO(text)):
            if len(row) < least:
                if not row or row == ["\x1a"]:
                    continue
                raise WatchlistError(f"{name}: a row has {len(row)} fields instead of {least}.")
            if not row[0].strip().isdigit():
                raise WatchlistError(f"{name}: '{row[0][:20]}' is not an entry's number.")
            yield [" ".join(field.split()) for field in row]
    except csv.Error as error:
        raise WatchlistError(f"{name}: {error}") from error


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # The Treasury's older files.
        return content.decode("latin-1")


def _ofac_name(text: str, kind: str | None) -> ListedName:
    """LAST, First for a person. An alias's kind is that of its party, known later."""
    if kind not in (PERSON, None) or ", " not in text:
        return ListedName(text)
    family, _, given = text.partition(", ")
    return ListedName(text, family, given)


def _as_kind(name: ListedName, kind: str) -> ListedName:
    return name if kind in (PERSON, UNKNOWN) else ListedName(name.text)


def _codes(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({code for code in map(country_code, texts) if code}))


def _ofac_born(text: str) -> list[tuple[str, str]]:
    found = _BORN.match(text)
    if found is None:
        return []
    first, _, last = found[2].partition(" to ")
    span = _span(first), _span(last or first)
    if span[0] is None or span[1] is None:
        return []
    return [_widened(span[0][0], span[1][1], CIRCA_YEARS if found[1] else 0)]


def _span(text: str) -> tuple[date, date] | None:
    """First and last day of `10 Dec 1948`, `Dec 1948`, `1948` or `1948-12-10`."""
    text = text.strip()
    if re.fullmatch(r"\d{4}", text) and int(text) >= date.min.year:
        return date(int(text), 1, 1), date(int(text), 12, 31)
    for form in ("%d %b %Y", "%Y-%m-%d"):
        try:
            day = datetime.strptime(text, form).date()
        except ValueError:
            continue
        return day, day
    try:
        month = datetime.strptime(text, "%b %Y").date()
    except ValueError:
        return None
    return month, month.replace(day=monthrange(month.year, month.month)[1])


def _widened(first: date, last: date, years: int) -> tuple[str, str]:
    if years:
        first = date(max(first.year - years, date.min.year), 1, 1)
        last = date(min(last.year + years, date.max.year), 12, 31)
    return first.isoformat(), last.isoformat()


def missing_files(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """The CSV files of the OFAC list that are not among `files`, or without a row."""
    return tuple(name for name in OFAC_FILES if not files.get(name, b"").strip(b"\x1a\r\n\t "))


def is_ofac_xml(content: bytes) -> bool:
    """Whether this is `sdn.xml`, by its first element."""
    return b"<sdnList" in content[:HEAD]


def parse_ofac_xml(content: bytes) -> list[ListedEntry]:
    """Entries of `sdn.xml`. Raises WatchlistError; a document type or entities are refused."""
    entries = []
    root = None
    try:
        events = ElementTree.iterparse(io.BytesIO(content), ("start", "end"), forbid_dtd=True)
        for event, node in events:
            # Its namespace is an address, and has moved before.
            tag = node.tag = node.tag.rpartition("}")[2]
            if root is None:
                root = tag
                if root != "sdnList":
                    raise WatchlistError(f"The XML's root is {root[:40]}, not sdnList. {OFAC_WAYS}")
            if event == "end" and tag == "sdnEntry":
                entries.append(_xml_entry(node))
                node.clear()
    except (ElementTree.ParseError, DefusedXmlException) as error:
        raise WatchlistError(f"Not OFAC's sdn.xml: {error!r}. {OFAC_WAYS}") from error
    return entries


def _xml_entry(node: Any) -> ListedEntry:
    number, kind = _text(node, "uid"), _KINDS.get(_text(node, "sdnType").lower(), UNKNOWN)
    if not number.isdigit():
        raise WatchlistError(f"sdn.xml: '{number[:20]}' is not an entry's number.")
    names = [_xml_name(node, kind)]
    names += [_xml_name(alias, kind) for alias in node.iterfind("akaList/aka")]
    if not names[0].text:
        raise WatchlistError(f"sdn.xml: entry {number} has no name.")
    births = _texts(node, "placeOfBirthList/placeOfBirthItem/placeOfBirth")
    places = [*births, *(birth.rpartition(",")[2] for birth in births)]
    for place in ("nationality", "citizenship", "address"):
        places += _texts(node, f"{place}List/{place}/country")
    born = _texts(node, "dateOfBirthList/dateOfBirthItem/dateOfBirth")
    return ListedEntry(
        id=number,
        kind=kind,
        names=tuple(name for name in names if name.text),
        # As sdn.csv has several.
        programs="] [".join(_texts(node, "programList/program")),
        countries=_codes(places),
        born=tuple(span for text in born for span in _ofac_born(f"DOB {text}")),
    )


def _xml_name(node: Any, kind: str) -> ListedName:
    """The name of an entry or of one of its aliases, written as sdn.csv writes it."""
    family, given = _text(node, "lastName"), _text(node, "firstName")
    weak = _text(node, "category").lower() == "weak"
    if kind in (PERSON, UNKNOWN) and family and given:
        return ListedName(f"{family}, {given}", family, given, weak)
    return ListedName(f"{given} {family}".strip(), weak=weak)


def parse_un(content: bytes) -> list[ListedEntry]:
    """Entries of the UN's XML. Raises WatchlistError; a document type or entities are refused."""
    try:
        root = ElementTree.fromstring(content, forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        raise WatchlistError(f"Not the UN's XML: {error!r}") from error
    if root.tag != "CONSOLIDATED_LIST":
        tag = root.tag.rpartition("}")[2]
        raise WatchlistError(f"The XML's root is {tag[:40]}, not CONSOLIDATED_LIST.")
    people = [_un_entry(node, PERSON) for node in root.iterfind("INDIVIDUALS/INDIVIDUAL")]
    return people + [_un_entry(node, ENTITY) for node in root.iterfind("ENTITIES/ENTITY")]


def _un_entry(node: Any, kind: str) -> ListedEntry:
    parts = [_text(node, f"{n}_NAME") for n in ("FIRST", "SECOND", "THIRD", "FOURTH")]
    parts = [part for part in parts if part]
    main = ListedName(" ".join(parts))
    if kind == PERSON and len(parts) > 1:
        main = ListedName(" ".join(parts), family=parts[-1], given=" ".join(parts[:-1]))
    names = [main, *map(ListedName, _split(_text(node, "NAME_ORIGINAL_SCRIPT")))]
    word = "INDIVIDUAL" if kind == PERSON else "ENTITY"
    for alias in node.iterfind(f"{word}_ALIAS"):
        weak = _text(alias, "QUALITY") == "Low"
        names += [ListedName(t, weak=weak) for t in _split(_text(alias, "ALIAS_NAME"))]
    # "Foundation (Afghanistan)" is also found without what stands in brackets.
    names += [n._replace(text=bare) for n in names if not n.family
              and 4 <= len(bare := _BRACKETS.sub("", n.text).strip()) < len(n.text)]  # fmt: skip
    places = [v.text or "" for v in node.iterfind("NATIONALITY/VALUE")]
    places += [_text(place, "COUNTRY") for tag in ("ADDRESS", "PLACE_OF_BIRTH")
               for place in node.iterfind(f"{word}_{tag}")]  # fmt: skip
    return ListedEntry(
        id=_text(node, "REFERENCE_NUMBER") or _text(node, "DATAID"),
        kind=kind,
        names=tuple(name for name in names if name.text),
        programs=_text(node, "UN_LIST_TYPE"),
        countries=_codes(places),
        born=tuple(s for d in node.iterfind("INDIVIDUAL_DATE_OF_BIRTH") for s in _un_born(d)),
    )


def _text(node: Any, tag: str) -> str:
    return " ".join((node.findtext(tag) or "").split())


def _texts(node: Any, path: str) -> list[str]:
    return [text for found in node.iterfind(path) if (text := " ".join((found.text or "").split()))]


def _split(text: str) -> list[str]:
    return [part.strip() for part in re.split("[;؛]", text) if part.strip()]


def _un_born(node: Any) -> list[tuple[str, str]]:
    first = _text(node, "DATE") or _text(node, "YEAR") or _text(node, "FROM_YEAR")
    begin, end = _span(first), _span(_text(node, "TO_YEAR") or first)
    if begin is None or end is None:
        return []
    about = _text(node, "TYPE_OF_DATE") == "APPROXIMATELY"
    return [_widened(begin[0], end[1], CIRCA_YEARS if about else 0)]
