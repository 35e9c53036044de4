"""Take in a published sanctions list: read, judged, packed, and swapped in one transaction.

A reading is named by its digest and stays for as long as a decision may be checked; the one in
force is a flag. Who screens by the list gets a new policy, so the next event meets the new list.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from scoring.core.reader import SpecError
from scoring.core.watchlist import ListedEntry, WatchlistError, pack
from scoring.downloading import DownloadError, download
from scoring.models import Detector
from scoring.policies import republish
from scoring.policy_models import Watchlist
from scoring.watchlist_files import (
    LARGEST_FILE,
    OFAC,
    OFAC_FILES,
    TITLES,
    UN,
    parse_ofac,
    parse_un,
)

logger = logging.getLogger(__name__)
LEAST_KEPT = 0.5


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a synchronisation did; `previous` counts are of the reading that it replaced."""

    name: str
    digest: str
    entries: int
    names: int
    previous_entries: int
    changed: bool
    republished: tuple[str, ...]


def sync_watchlist(
    source: str, *, name: str = "", force: bool = False, actor: User | None = None
) -> SyncReport:
    """Read the list at `source` (a file, a folder, or an https address) and put it into force.

    `name` is the list's (`ofac_sdn` or `un`), told from the source where it is left out. Raises
    WatchlistError, and changes nothing, when the list cannot be read, is empty, or has lost more
    than half of its entries; `force` lets such a shrunken one pass, an empty one never.
    """
    files = read_source(source)
    name = name or guess_name(files)
    entries = parse_files(name, files)
    digest, content = pack(entries)
    return _swap(name, digest, content, entries, source=source, force=force, actor=actor)


@transaction.atomic
def _swap(
    name: str, digest: str, content: bytes, entries: list[ListedEntry], *,
    source: str, force: bool, actor: User | None,
) -> SyncReport:  # fmt: skip
    now = timezone.now()
    # Whoever synchronises the same list at the same time waits here.
    active = Watchlist.objects.select_for_update().filter(name=name, active=True).first()
    before = active.entries if active else 0
    _judge(len(entries), before, force)
    names = sum(len(entry.names) for entry in entries)
    if active and active.digest == digest:
        Watchlist.objects.filter(pk=digest).update(synced_at=now)
    else:
        Watchlist.objects.filter(name=name, active=True).update(active=False)
        Watchlist.objects.update_or_create(
            digest=digest,
            defaults={
                "name": name, "title": TITLES[name], "source": source[:500], "content": content,
                "entries": len(entries), "names": names, "active": True, "synced_at": now,
            },
        )  # fmt: skip
    changed = active is None or active.digest != digest
    republished = _republish(name) if changed else ()
    record_audit(
        actor=actor,
        action="watchlist.synced",
        subject=Watchlist.objects.defer("content").get(pk=digest),
        detail={
            "list": name, "digest": digest, "entries": len(entries), "names": names,
            "previous": active.digest if active else "", "previous_entries": before,
            "changed": changed, "forced": force, "source": source[:500],
            "detectors": list(republished),
        },
    )  # fmt: skip
    return SyncReport(name, digest, len(entries), names, before, changed, republished)


def _judge(entries: int, before: int, force: bool) -> None:
    if not entries:
        raise WatchlistError("The list is empty. It was not taken in.")
    if entries < before * LEAST_KEPT and not force:
        raise WatchlistError(
            f"The list has {entries:,} entries and had {before:,}: more than half are gone. It was"
            " not taken in; if it is right, say so with --force."
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
    """Contents by file name, lower case. Raises WatchlistError."""
    if "://" in source:
        try:
            return {_file_of(source): download(source, largest=LARGEST_FILE)}
        except DownloadError as error:
            raise WatchlistError(str(error)) from error
    path = Path(source)
    if path.is_dir():
        wanted = [entry for entry in sorted(path.iterdir()) if entry.name.lower() in OFAC_FILES]
        if not wanted:
            raise WatchlistError(f"{path} has none of {', '.join(OFAC_FILES)}.")
    else:
        wanted = [path]
    try:
        return {entry.name.lower(): _content(entry) for entry in wanted}
    except OSError as error:
        raise WatchlistError(f"{error.filename}: {error.strerror}") from error


def _content(path: Path) -> bytes:
    if path.stat().st_size > LARGEST_FILE:
        raise WatchlistError(f"{path} is larger than {LARGEST_FILE:,} bytes.")
    return path.read_bytes()


def _file_of(url: str) -> str:
    return url.partition("?")[0].rstrip("/").rpartition("/")[2].lower()


def guess_name(files: Mapping[str, bytes]) -> str:
    """Which list these files are. Raises WatchlistError when they do not say."""
    if "sdn.csv" in files:
        return OFAC
    if any(b"<CONSOLIDATED_LIST" in content[:4096] for content in files.values()):
        return UN
    raise WatchlistError(f"Say which list it is: --list {OFAC} or --list {UN}.")


def parse_files(name: str, files: Mapping[str, bytes]) -> list[ListedEntry]:
    """The entries of one list's files. Raises WatchlistError."""
    if name not in TITLES:
        raise WatchlistError(f"There is no list '{name}'; there are {', '.join(TITLES)}.")
    if name == UN:
        return parse_un(next(iter(files.values())))
    if len(files) == 1 and "sdn.csv" not in files:
        # Under another name, as an address may have it.
        return parse_ofac({"sdn.csv": next(iter(files.values()))})
    return parse_ofac(files)
