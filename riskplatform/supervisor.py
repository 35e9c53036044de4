"""Run the platform's processes as one: start them, restart what dies, stop them all cleanly."""

import logging
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException

from deploy.healthcheck import local_host_header
from riskplatform.alone import tied

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.3
STOP_SECONDS = 12.0
CALM_SECONDS = 30.0
LONGEST_PAUSE = 30.0


@dataclass(slots=True)
class Child:
    """One supervised process. A child that dies soon after its start waits longer each time."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    start_at: float = field(default=0.0)

    def start(self) -> None:
        """Start it in a session of its own: a Ctrl-C in the terminal reaches us alone. It ends
        with this process, however this one ends."""
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(tied(self.command), env=environment, start_new_session=True)
        self.started_at = time.monotonic()

    def look(self) -> None:
        """Start it when it is time; note its death and decide when to start it again."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.start_at:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        self.failures = 1 if now - self.started_at > CALM_SECONDS else self.failures + 1
        self.sweep()
        pause = min(2.0 ** (self.failures - 1), LONGEST_PAUSE)
        logger.error("%s ended with %s; it starts again in %.0f s.", self.name, code, pause)
        self.process, self.start_at = None, now + pause

    def lives(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to its whole group."""
        if self.process is not None and self.lives():
            os.killpg(self.process.pid, number)

    def sweep(self) -> None:
        """Kill what a dead child left behind in its group, such as a server's own workers."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # nothing was left


WEB_ENVIRONMENT: Mapping[str, str] = {
    # Many threads allocate a little: with an arena for each, glibc keeps what they gave back.
    "MALLOC_ARENA_MAX": "2",
    # What is large and short-lived (a batch's body, a bundle's tables) is mapped and given back; by
    # itself glibc takes ever larger pieces from the heap, which then has holes.
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    # The matrices are small; threads of the linear algebra would only wait for each other.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def web_command(host: str, port: int, workers: int) -> list[str]:
    """The web server (riskplatform/web.py): a process has a loop, a thread that scores, some for
    pages."""
    return [
        sys.executable, "-m", "riskplatform.web", "--host", host, "--port", str(port),
        "--workers", str(workers),
    ]  # fmt: skip


def worker_command(threads: int) -> list[str]:
    """Celery with threads: training libraries must never run before a fork."""
    return [
        sys.executable, "-m", "celery", "-A", "riskplatform", "--quiet", "worker",
        "--pool", "threads", "--concurrency", str(threads),
        "--without-gossip", "--without-mingle", "--loglevel", "WARNING",
    ]  # fmt: skip


def beat_command() -> list[str]:
    """Celery beat; its timetable is in the database."""
    return [
        sys.executable, "-m", "celery", "-A", "riskplatform", "--quiet", "beat",
        "--loglevel", "WARNING", "--pidfile", "",
    ]  # fmt: skip


class Supervisor:
    """Runs children until SIGTERM or SIGINT, then stops them within STOP_SECONDS."""

    def __init__(self, children: list[Child]) -> None:
        self.children = children
        self._stopping = False

    def run(self, *, web: Child, ready_url: str, on_ready: Callable[[], None]) -> None:
        """Blocks. `on_ready` is called once, when `ready_url` first answers 200 and `web` lives: an
        answer of somebody else's server says nothing."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        announced = False
        try:
            while not self._stopping:
                for child in self.children:
                    child.look()
                if not announced and self._is_ready(web, ready_url):
                    announced = True
                    on_ready()
                time.sleep(POLL_SECONDS)
        finally:
            self.stop_all()

    @staticmethod
    def _is_ready(web: Child, url: str) -> bool:
        return web.lives() and answers(url, local_host_header()) and web.lives()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def stop_all(self) -> None:
        """SIGTERM to all, SIGKILL to what is still there after STOP_SECONDS."""
        for child in self.children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children:
            if child.process is None:
                continue
            try:
                child.process.wait(timeout=max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                logger.warning("%s did not stop in time and is killed.", child.name)
            child.sweep()


def answers(url: str, host: str = "") -> bool:
    """Whether the address answers 200 within a second, asked as `host` where one is given."""
    headers = {"Host": host} if host else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - our own http URL
    try:
        with urllib.request.urlopen(request, timeout=1.0) as response:  # noqa: S310 - as above
            return bool(response.status == 200)
    except (OSError, HTTPException):
        return False
