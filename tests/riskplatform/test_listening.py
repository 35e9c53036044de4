"""Where a server may listen, said before one starts."""

import socket
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from riskplatform.listening import CannotListen, refuse_taken, url_host
from tests.e2e.stack import ROOT, free_port

EVERYWHERE = "0.0.0.0"  # noqa: S104 - asked about, not listened on


@pytest.fixture
def taken():
    """A port of 127.0.0.1 at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", EVERYWHERE, "localhost"])
def test_a_taken_port_is_refused(taken, host):
    with pytest.raises(CannotListen, match=f"port {taken}: Address already in use"):
        refuse_taken(host, taken)


@pytest.mark.parametrize("host", ["127.0.0.1", EVERYWHERE, "localhost"])
def test_a_free_port_is_taken(host):
    refuse_taken(host, free_port())


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_refused(host):
    with pytest.raises(CannotListen, match=host):
        refuse_taken(host, free_port())


def test_nothing_is_started_where_somebody_else_listens(taken):
    with pytest.raises(CommandError, match=f"Nothing can listen on 127.0.0.1, port {taken}"):
        call_command("runplatform", port=taken, prepared=True)


@pytest.mark.parametrize("command", [["manage.py", "runplatform"], ["-m", "riskplatform.web"]])
def test_an_empty_host_does_not_mean_every_address(command):
    done = subprocess.run(
        [sys.executable, *command, "--host", "", "--port", str(free_port())],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "the host is empty" in done.stderr


@pytest.mark.parametrize(
    "option", ["--port=0", "--port=65536", "--workers=0", "--threads=-1", "--live=-1", "--live=nan"]
)
def test_senseless_numbers_are_refused(option):
    name, _, value = option.partition("=")
    with pytest.raises(CommandError, match=f"argument {name}: '{value}' is no (whole )?number"):
        call_command("runplatform", option, "--prepared")


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        (EVERYWHERE, "127.0.0.1"),
        ("::", "[::1]"),
        ("fd00::7", "[fd00::7]"),
        ("risk.internal", "risk.internal"),
    ],
)
def test_a_host_as_a_browser_writes_it(host, shown):
    assert url_host(host) == shown
