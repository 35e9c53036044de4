"""Truths of simulated events that are not known yet, kept in a file for who simulates next."""

import fcntl
import heapq
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

MOST_AT_ONCE: Final = 1000
SPARE_LINES: Final = 10_000
"""A file is written anew when it has so many lines more than truths, and twice as many."""
Truths = Mapping[str, tuple[bool, datetime]]


class Truth(NamedTuple):
    """What will be known of an event, and when."""

    known: datetime
    slug: str
    external_id: str
    is_fraud: bool


class DueTruths:
    """Truths in the order in which they become known. Use as a context manager.

    Each process has a file of its own in `folder`, which it keeps locked; what processes that are
    gone have left there is taken over. A truth may be told twice, never not at all.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        left = list(_left(folder))
        self._waiting = [truth for file in left for truth in _read(file)]
        heapq.heapify(self._waiting)
        self._lines = 0
        self._file, self._path = self._write()
        for file in left:
            Path(file.name).unlink()
            file.close()

    def __enter__(self) -> "DueTruths":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:  # Else what was taken last may not have been recorded: it stays there.
            self._write_anew()
        self._file.close()

    def add(self, truth: Truth) -> None:
        """Keep it, in the file as well."""
        self._file.write(_line(truth))
        self._lines += 1
        heapq.heappush(self._waiting, truth)
        if self._lines > 2 * len(self._waiting) + SPARE_LINES:
            self._write_anew()

    @property
    def waiting(self) -> Sequence[Truth]:
        """All that is not known yet."""
        return tuple(self._waiting)

    def take(self, now: datetime) -> Iterator[tuple[str, Truths]]:
        """(detector's slug, its truths by external id) of what is known by `now`, in parts."""
        while self._waiting and self._waiting[0].known <= now:
            found: dict[str, dict[str, tuple[bool, datetime]]] = defaultdict(dict)
            for _ in range(MOST_AT_ONCE):
                if not self._waiting or self._waiting[0].known > now:
                    break
                truth = heapq.heappop(self._waiting)
                found[truth.slug][truth.external_id] = (truth.is_fraud, truth.known)
            yield from found.items()

    def _write_anew(self) -> None:
        file, path = self._file, self._path
        self._file, self._path = self._write()
        path.unlink()
        file.close()

    def _write(self) -> tuple[IO[str], Path]:
        """A new file of all that waits, ours alone. It has its name once it is locked and whole."""
        path = self._folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
        beside = path.with_suffix(".new")
        file = beside.open("w", encoding="utf-8", buffering=1)
        fcntl.flock(file, fcntl.LOCK_EX)
        file.writelines(map(_line, self._waiting))
        file.flush()
        beside.rename(path)
        self._lines = len(self._waiting)
        return file, path


def _left(folder: Path) -> Iterator[IO[str]]:
    """The files of processes that are gone, locked."""
    for path in sorted(folder.glob("*.jsonl")):
        try:
            file = path.open(encoding="utf-8")
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        if path.exists():  # Else somebody took it over before we had the lock.
            yield file
        else:
            file.close()


def _read(file: IO[str]) -> Iterator[Truth]:
    for line in file:
        try:
            known, slug, external_id, is_fraud = json.loads(line)
        except ValueError:
            continue  # The last line of a process that was killed while it wrote.
        yield Truth(datetime.fromisoformat(known), slug, external_id, is_fraud)


def _line(truth: Truth) -> str:
    kept: list[Any] = [truth.known.isoformat(), truth.slug, truth.external_id, truth.is_fraud]
    return json.dumps(kept) + "\n"
