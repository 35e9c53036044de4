"""One supervisor an installation, whose children end with it and who speaks of its own alone."""

import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread, Timer

import pytest
from django.core.management import CommandError, call_command

from riskplatform import supervisor
from riskplatform.alone import RunsAlready, alone
from riskplatform.supervisor import Child, Supervisor
from tests.e2e.stack import ROOT

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
SUPERVISOR = f"""
import sys, time
from riskplatform.supervisor import Child
child = Child("sleeper", {SLEEP!r})
child.start()
print(child.process.pid, flush=True)
time.sleep(60)
"""
HOLDER = """
import sys, time
from pathlib import Path
from riskplatform.alone import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


class Picky(BaseHTTPRequestHandler):
    """200 for the host that is allowed, 400 for others, and no HTTP at all on /odd."""

    def do_GET(self):
        if self.path == "/odd":
            self.wfile.write(b"what?\r\n\r\n")
            return
        self.send_response(200 if self.headers["Host"] == "risk.example.com" else 400)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def address():
    with HTTPServer(("127.0.0.1", 0), Picky) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def start():
    """`start(code, *arguments)`: a process of that code, and the first line that it printed."""
    processes = []

    def started(code, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield started
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def is_command(pid, command):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[: len(command)] == [
            word.encode() for word in command
        ]
    except OSError:
        return False


def soon(check):
    deadline = time.monotonic() + 20
    while not check() and time.monotonic() < deadline:
        time.sleep(0.05)
    return check()


@pytest.mark.skipif(sys.platform != "linux", reason="about the kernel of Linux")
def test_a_killed_supervisor_takes_its_children_along(start):
    process, child = start(SUPERVISOR)
    assert soon(lambda: is_command(child, SLEEP))
    process.send_signal(signal.SIGKILL)
    assert soon(lambda: not is_command(child, SLEEP))


def test_a_second_supervisor_is_refused_by_name_of_the_first(start, tmp_path, settings):
    process, said = start(HOLDER, str(tmp_path))
    assert said == "held"
    with pytest.raises(RunsAlready, match=f"by process {process.pid}"), alone(tmp_path):
        pass
    settings.VAR_DIR = tmp_path
    for command in ("runplatform", "demo"):
        with pytest.raises(CommandError, match=f"by process {process.pid}"):
            call_command(command)


def test_the_lock_of_a_killed_supervisor_is_gone(start, tmp_path):
    process, _ = start(HOLDER, str(tmp_path))
    process.kill()
    process.wait()
    with alone(tmp_path):
        assert (tmp_path / "runplatform.lock").read_text() == str(os.getpid())


def test_an_answer_counts_while_the_own_web_process_lives(monkeypatch):
    web, announced = Child("web", [sys.executable, "-c", "raise SystemExit(3)"]), []
    platform = Supervisor([web])

    def somebody_answers(url, host):
        web.process.wait()
        return True

    monkeypatch.setattr(supervisor, "answers", somebody_answers)
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(Child, "sweep", lambda child: platform._stop())
    platform.run(web=web, ready_url="http://x", on_ready=lambda: announced.append(True))
    assert announced == []


def test_it_says_that_it_runs_where_one_host_alone_is_allowed(address, monkeypatch):
    monkeypatch.setenv("ALLOWED_HOSTS", "risk.example.com,other.example.com")
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    web, told = Child("web", SLEEP), []
    platform = Supervisor([web])

    def on_ready():
        told.append(address)
        platform._stop()

    give_up = Timer(10, platform._stop)
    give_up.start()
    platform.run(web=web, ready_url=f"{address}/readyz", on_ready=on_ready)
    give_up.cancel()
    assert told == [address]


def test_what_answers_otherwise_is_not_ready(address):
    assert not supervisor.answers(f"{address}/readyz")
    assert not supervisor.answers(f"{address}/odd", "risk.example.com")
    assert not supervisor.answers("http://127.0.0.1:9/")
