"""A whole platform of real processes for one test: SQLite, or PostgreSQL and Redis."""

import atexit
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from riskplatform.supervisor import answers, beat_command, web_command, worker_command

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "a-test-password-71"
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

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environ(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        kept.pop("DJANGO_SETTINGS_MODULE", None)
        return {**kept, "RISK_VAR_DIR": str(self.var), **self.env}

    def manage(self, *arguments: str) -> str:
        """Run a management command and give what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environ(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

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
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)

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


PEOPLE = """
from riskplatform.demo import make_people
make_people({password!r})
"""


@contextmanager
def running_stack(
    var: Path, env: dict[str, str], *names: str, like: Path | None = None
) -> Iterator[Stack]:
    """A prepared installation with the demo's people, its processes started; on SQLite a copy of
    `like`, the folder of another that no process uses."""
    stack = Stack(var, env)
    try:
        if "DATABASE_URL" in env:
            _prepare(stack)
        else:
            shutil.copytree(like or _prepared(), var, dirs_exist_ok=True)
        for name in names:
            stack.start(name)
        yield stack
    finally:
        stack.stop()


def _prepare(stack: Stack) -> None:
    stack.manage("prepare")
    stack.manage("shell", "-v", "0", "-c", PEOPLE.format(password=PASSWORD))


@cache
def _prepared() -> Path:
    """The folder of an installation on SQLite that no process uses. Its migrations take a quarter
    of a minute: a test process runs them once and copies what they left."""
    folder = Path(tempfile.mkdtemp(prefix="risk-prepared."))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _prepare(Stack(folder, {}))
    return folder


def production_environ(database_url: str, redis_url: str) -> dict[str, str]:
    """What a production installation sets."""
    key = "dGVzdC1vbmx5LWtleS10aGF0LWhhcy0zMi1ieXRlcyE="
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": secrets.token_hex(32),
        "ALLOWED_HOSTS": "127.0.0.1",
        "RISK_PII_KEYS": f"test:{key}",
    }
