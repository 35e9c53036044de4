"""Take in a published sanctions list: read, judged, packed, and swapped in one transaction.

A reading is named by its digest and stays for as long as a decision may be checked; the one in
force is a flag. Who screens by the list gets a new policy, so the next event meets the new list.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from scoring.core.reader import SpecError
from scoring.core.watchlist import ListedEntry, WatchlistError, pack
from scoring.downloading import WHOLE_SECONDS, DownloadError, NotThereError, download
from scoring.models import Detector
from scoring.policies import republish
from scoring.policy_models import Watchlist
from scoring.watchlist_files import (
    ALIASES,
    HEAD,
    LARGEST_FILE,
    OFAC,
    OFAC_FILES,
    OFAC_WAYS,
    SDN,
    TITLES,
    UN,
    is_ofac_xml,
    missing_files,
    parse_ofac,
    parse_ofac_xml,
    parse_un,
)

logger = logging.getLogger(__name__)
LEAST_KEPT = 0.5


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a synchronisation did; `previous` counts are of the reading that it replaced.

    `missing`: files of the list that were not there, or empty.
    """

    name: str
    digest: str
    entries: int
    names: int
    previous_entries: int
    previous_names: int
    changed: bool
    republished: tuple[str, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reading:
    name: str
    source: str
    entries: list[ListedEntry]
    missing: tuple[str, ...]

    def count_names(self) -> int:
        return sum(len(entry.names) for entry in self.entries)


def sync_watchlist(
    source: str, *, name: str = "", force: bool = False, actor: User | None = None
) -> SyncReport:
    """Read the list at `source` (a file, a folder, or an https address) and put it into force.

    `name` is the list's (`ofac_sdn` or `un`), told from the source where it is left out. Raises
    WatchlistError, and changes nothing, when the list cannot be read, is empty, has lost more than
    half of its entries or of its names, or is OFAC's without the aliases; `force` lets such a
    shrunken one pass, an empty one never.
    """
    files = read_source(source)
    name = name or guess_name(files)
    entries = parse_files(name, files)
    missing = missing_files(_as_ofac(files)) if name == OFAC and _xml_of(files) is None else ()
    return _swap(_Reading(name, source[:500], entries, missing), force=force, actor=actor)


@transaction.atomic
def _swap(reading: _Reading, *, force: bool, actor: User | None) -> SyncReport:
    name, now = reading.name, timezone.now()
    digest, content = pack(reading.entries)
    # Whoever synchronises the same list at the same time waits here.
    active = Watchlist.objects.select_for_update().filter(name=name, active=True).first()
    counts = {"entries": len(reading.entries), "names": reading.count_names()}
    before = {"entries": active.entries, "names": active.names} if active else {}
    _judge(reading, counts, before, force)
    if active and active.digest == digest:
        Watchlist.objects.filter(pk=digest).update(synced_at=now)
    else:
        Watchlist.objects.filter(name=name, active=True).update(active=False)
        Watchlist.objects.update_or_create(
            digest=digest,
            defaults=counts | {
                "name": name, "title": TITLES[name], "source": reading.source, "content": content,
                "active": True, "synced_at": now,
            },
        )  # fmt: skip
    changed = active is None or active.digest != digest
    republished = _republish(name) if changed else ()
    previous = {f"previous_{what}": before.get(what, 0) for what in counts}
    record_audit(
        actor=actor,
        action="watchlist.synced",
        subject=Watchlist.objects.defer("content").get(pk=digest),
        detail=counts | previous | {
            "list": name, "digest": digest, "previous": active.digest if active else "",
            "changed": changed, "forced": force, "source": reading.source,
            "missing": list(reading.missing), "detectors": list(republished),
        },
    )  # fmt: skip
    return SyncReport(
        name=name, digest=digest, changed=changed, republished=republished,
        missing=reading.missing, **counts, **previous,
    )  # fmt: skip


def _judge(
    reading: _Reading, counts: Mapping[str, int], before: Mapping[str, int], force: bool
) -> None:
    if not reading.entries:
        raise WatchlistError("The list is empty. It was not taken in.")
    if force:
        return
    if ALIASES in reading.missing:
        raise WatchlistError(
            f"{ALIASES}, OFAC's file of aliases, is missing or empty: more than half of the names"
            f" are in it. The list was not taken in. {OFAC_WAYS} It is taken in without aliases"
            " with --force."
        )
    for what, count in counts.items():
        if count < before.get(what, 0) * LEAST_KEPT:
            raise WatchlistError(
                f"The list has {count:,} {what} and had {before[what]:,}: more than half are gone."
                " It was not taken in; if it is right, say so with --force."
            )


def _republish(name: str) -> tuple[str, ...]:
    """New policies for the detectors that screen by the list."""
    slugs = []
    for detector in Detector.objects.order_by("pk"):
        try:
            screening = detector.spec().screening
        except SpecError:
            # It serves nothing; the others must not go on with the old list because of it.
            logger.exception("%s: its declaration cannot be read", detector.slug)
            continue
        if screening is not None and name in screening.lists:
            republish(detector)
            slugs.append(detector.slug)
    return tuple(slugs)


def read_source(source: str) -> dict[str, bytes]:
    """Contents by file name, lower case. Raises WatchlistError.

    One of OFAC's CSV files stands for all of them: those beside it are read too.
    """
    if "://" in source:
        return _fetch(source)
    path = Path(source)
    try:
        if path.is_dir():
            wanted = _ofac_files(path)
            if not wanted:
                raise WatchlistError(f"{path} has none of {', '.join(OFAC_FILES)}.")
        else:
            wanted = [path]
            if path.name.lower() in OFAC_FILES:
                wanted = [*_ofac_files(path.parent), path]
        return {entry.name.lower(): _content(entry) for entry in wanted}
    except OSError as error:
        raise WatchlistError(f"{error.filename}: {error.strerror}") from error


def _ofac_files(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if entry.name.lower() in OFAC_FILES]


def _content(path: Path) -> bytes:
    if path.stat().st_size > LARGEST_FILE:
        raise WatchlistError(f"{path} is larger than {LARGEST_FILE:,} bytes.")
    return path.read_bytes()


def _fetch(url: str) -> dict[str, bytes]:
    """What is behind an address; all of it has to come within the bounds of one file."""
    asked = _file_of(url)
    urls = {asked: url}
    if asked in OFAC_FILES:
        urls |= {name: _beside(url, name) for name in OFAC_FILES if name != asked}
    deadline = time.monotonic() + WHOLE_SECONDS
    found: dict[str, bytes] = {}
    for name, address in urls.items():
        left = LARGEST_FILE - sum(map(len, found.values()))
        try:
            found[name] = download(address, largest=left, deadline=deadline)
        except DownloadError as error:
            # What lacks is told by name when the reading is judged.
            if name == asked or not isinstance(error, NotThereError):
                raise WatchlistError(f"{name}: {error}" if name else str(error)) from error
    return found


def _file_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2].lower()


def _beside(url: str, name: str) -> str:
    """The address of another file in the same place, in capitals where this one is."""
    path, mark, query = url.partition("?")
    place, slash, file = path.rpartition("/")
    return place + slash + (name.upper() if file.isupper() else name) + mark + query


def guess_name(files: Mapping[str, bytes]) -> str:
    """Which list these files are. Raises WatchlistError when they do not say."""
    if not files.keys().isdisjoint(OFAC_FILES) or any(map(is_ofac_xml, files.values())):
        return OFAC
    if any(b"<CONSOLIDATED_LIST" in content[:HEAD] for content in files.values()):
        return UN
    raise WatchlistError(
        f"This does not look like a list that is read. {OFAC_WAYS} The UN's is read from its"
        " consolidated XML. Where a file has another name, say which list it is:"
        f" --list {OFAC} or --list {UN}."
    )


def parse_files(name: str, files: Mapping[str, bytes]) -> list[ListedEntry]:
    """The entries of one list's files. Raises WatchlistError."""
    if name not in TITLES:
        raise WatchlistError(f"There is no list '{name}'; there are {', '.join(TITLES)}.")
    if name == UN:
        return parse_un(next(iter(files.values())))
    xml = _xml_of(files)
    if xml is not None:
        return parse_ofac_xml(xml)
    try:
        return parse_ofac(_as_ofac(files))
    except WatchlistError as error:
        raise WatchlistError(f"{error} {OFAC_WAYS}") from error


def _xml_of(files: Mapping[str, bytes]) -> bytes | None:
    """The content of a single file of XML, whatever its name; None for all else."""
    first = next(iter(files.values()))
    starts = first[:HEAD].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")
    return first if len(files) == 1 and starts else None


def _as_ofac(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """A single file under another name, as an address may have it, is sdn.csv."""
    if len(files) == 1 and files.keys().isdisjoint(OFAC_FILES):
        return {SDN: next(iter(files.values()))}
    return files
