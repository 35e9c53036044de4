"""A whole platform of real processes for one test: SQLite, or PostgreSQL and Redis."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from riskplatform.supervisor import answers, beat_command, web_command, worker_command
from tests.e2e.prepared import (
    PASSWORD,
    PRODUCTION,
    ROOT,
    copy_database,
    environ,
    prepared,
    prepared_on_postgres,
)
from tests.e2e.shell import Shell

PATIENCE = 60.0


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Answer:
    """Status and body of an HTTP answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Stack:
    """Processes of one installation in `var`, with extra environment `env`."""

    var: Path
    env: dict[str, str]
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    shell: Shell = field(init=False)

    def __post_init__(self) -> None:
        self.shell = Shell(self.environ())

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environ(self) -> dict[str, str]:
        return environ(self.var, self.env)

    def manage(self, *arguments: str) -> str:
        """Run a management command and give what it printed."""
        return self.run(
            f"from django.core.management import call_command; call_command(*{arguments!r})"
        )

    def run(self, code: str) -> str:
        """Run Python in a process of the installation and give what it printed."""
        return self.shell.run(code)

    def start(self, name: str) -> None:
        """Start web, worker or beat and, for web, wait until it answers."""
        command = {
            "web": lambda: web_command("127.0.0.1", self.port, 2),
            "worker": lambda: worker_command(2),
            "beat": beat_command,
        }[name]()
        log = (self.var / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, cwd=ROOT, env=self.environ(), stdout=log, stderr=log, start_new_session=True
        )
        if name == "web":
            self.wait_for(lambda: answers(f"{self.address}/readyz"), "the web process")

    def stop(self) -> None:
        """End all at once: a worker takes 5 s to end in order (test_demo sees to that)."""
        self.shell.stop()
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait_for(self, check: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """Ask until the answer is truthy; fail with the processes' logs after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = check()
            if found:
                return found
            time.sleep(0.2)
        logs = "\n".join(f"{p.name}:\n{p.read_text()[-3000:]}" for p in self.var.glob("*.log"))
        raise AssertionError(f"Waited {seconds:.0f} s in vain for {what}.\n{logs}")

    def call(self, method: str, path: str, *, key: str, body: object | None = None) -> Answer:
        """One request of an API client."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as found:
                return Answer(found.status, found.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())


class Browserless:
    """A person without scripts: cookies, forms, CSRF."""

    def __init__(self, stack: Stack, username: str) -> None:
        self.stack = stack
        self.cookies = CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.get("/accounts/login/")
        answer = self.post("/accounts/login/", username=username, password=PASSWORD)
        assert answer.status == 200, answer.body

    def get(self, path: str) -> Answer:
        return self._open(urllib.request.Request(self.stack.address + path))

    def post(self, path: str, **fields: str) -> Answer:
        token = next(c.value for c in self.cookies if c.name == "csrftoken")
        data = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token or ""}).encode()
        headers = {"Referer": self.stack.address}
        return self._open(urllib.request.Request(self.stack.address + path, data, headers))

    def _open(self, request: urllib.request.Request) -> Answer:
        try:
            with self.opener.open(request, timeout=60) as found:
                return Answer(found.status, found.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())


@contextmanager
def running_stack(
    var: Path, env: dict[str, str], *names: str, like: Path | None = None
) -> Iterator[Stack]:
    """A prepared installation with the demo's people, its processes started: a copy of one that
    no process uses; on SQLite of `like`, its folder, where that is given."""
    stack = Stack(var, env)
    try:
        if "DATABASE_URL" in env:
            template, like = prepared_on_postgres()
            copy_database(template, env["DATABASE_URL"].rpartition("/")[2])
        shutil.copytree(like or prepared(), var, dirs_exist_ok=True)
        for name in names:
            stack.start(name)
        yield stack
    finally:
        stack.stop()


def production_environ(database_url: str, redis_url: str) -> dict[str, str]:
    """What a production installation sets."""
    own = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    return PRODUCTION | own | {"SECRET_KEY": secrets.token_hex(32)}
