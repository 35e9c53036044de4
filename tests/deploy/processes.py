"""Start the commands of docker-compose.yml as plain processes of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.compose import ROOT


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def machine_environment(service_environment: dict[str, str]) -> dict[str, str]:
    """What a container would see, plus the PATH that finds this environment's programs."""
    kept = {name: os.environ[name] for name in ("HOME", "LD_LIBRARY_PATH") if name in os.environ}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1"} | service_environment


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def started(command: list[str], environment: dict[str, str], log: Path) -> Iterator[Callable]:
    """Run `command` until the block ends, then SIGTERM; yields a function that reads its log.

    A process that ignores SIGTERM for 30 s is killed and fails the test, as `docker stop` would.
    """
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield log.read_text
        assert process.poll() is None, f"it ended on its own:\n{log.read_text()}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


def wait_for(what: Callable[[], bool], read_log: Callable[[], str], seconds: float = 60) -> None:
    """Ask until it is so; the failure shows the process's log."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, read_log()[-4000:]
        time.sleep(0.25)
