"""Whose turn it is to write into an SQLite file, among all threads of all processes.

SQLite itself keeps no queue. Who finds the file locked looks again, with pauses that grow to a
tenth of a second; who has just written is back long before that. So a worker that writes one short
transaction after another locked everybody else out, until they gave up after 20 seconds with
"database is locked". Here nobody takes a second turn while another process waits for its first.

The lock file holds two bytes: its `TURN`, and the `PLACE` in front of it, which who waits for the
turn holds meanwhile. Locks of POSIX end with their process, also when it is killed.
"""

import errno
import fcntl
import os
import threading
import time

PLACE, TURN = 0, 1
FIRST_PAUSE, LONGEST_PAUSE = 0.0002, 0.004
"""Seconds between two looks at a lock that another process holds."""
_HELD = (errno.EACCES, errno.EAGAIN)


class Turns:
    """The turns at one file. They order writers and protect nothing: SQLite does that."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        # Locks of POSIX are a process's: between its threads this one counts.
        self._thread = threading.Lock()

    def take(self, seconds: float) -> bool:
        """Wait for a turn; False where none came in time, or there can be no lock file."""
        end = time.monotonic() + seconds
        if not self._thread.acquire(timeout=seconds):
            return False
        taken = False
        try:
            taken = self._take_from_others(end)
        finally:
            if not taken:
                self._thread.release()
        return taken

    def give(self) -> None:
        """End the turn that `take` gave, in whichever thread."""
        try:
            if self._descriptor is not None:
                _unlock(self._descriptor, TURN)
        finally:
            self._thread.release()

    def _take_from_others(self, end: float) -> bool:
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not _wait(self._descriptor, PLACE, end):
                return False
            try:
                return _wait(self._descriptor, TURN, end)
            finally:
                _unlock(self._descriptor, PLACE)
        except OSError:  # A full disk, a folder of somebody else's: SQLite goes on without turns.
            return False


def _wait(descriptor: int, byte: int, end: float) -> bool:
    pause = FIRST_PAUSE
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            return True
        except OSError as error:
            if error.errno not in _HELD:
                raise
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _unlock(descriptor: int, byte: int) -> None:
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)


_by_path: dict[str, Turns] = {}
_finding = threading.Lock()


def turns_at(path: str) -> Turns:
    """The turns at a lock file, the same for all threads: closing a second descriptor of the file
    would end the locks of the first."""
    with _finding:
        return _by_path.setdefault(path, Turns(path))


def _forget() -> None:
    """In a child that was forked, whose locks are its own and whose other threads are gone."""
    global _finding
    _finding = threading.Lock()
    _by_path.clear()


os.register_at_fork(after_in_child=_forget)
