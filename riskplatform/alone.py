"""One supervisor an installation: a lock in its folder, and children that end with it."""

import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""Of prctl(2), Linux."""


class RunsAlready(Exception):
    """Another process runs this installation; the message says which."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the one that runs the installation in `folder`, until the block or this process ends.

    The kernel lets go of the lock however the process ends. Raises `RunsAlready`.
    """
    path = folder / "runplatform.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise RunsAlready(
                f"The installation in {folder} runs already, by process {lock.read().strip()}:"
                " stop that one, or give this one a folder of its own by RISK_VAR_DIR."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def tied(command: Sequence[str]) -> list[str]:
    """The command, to be started from the main thread: on Linux it is told to stop (SIGTERM) when
    this process ends, even by SIGKILL. Elsewhere it is left as it is.

    A step of its own between fork and exec, since code of ours in a fork of a process with threads
    could wait for a lock that nobody holds there. The kernel asks for the thread that forked.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-m", "riskplatform.alone", str(os.getpid()), *command]


def main(arguments: Sequence[str]) -> None:
    """Become the command, tied to the process that started it."""
    parent, *command = arguments
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != int(parent):
        sys.exit("The process that started this one has ended.")
    os.execvp(command[0], command)  # noqa: S606 - what the supervisor was to start


if __name__ == "__main__":
    main(sys.argv[1:])
