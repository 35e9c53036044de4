"""A list from an address that people gave: https, public, small enough, and never elsewhere."""

import socket
import time

import pytest

from scoring import downloading
from scoring.downloading import DownloadError, NotThereError, download


class Answer:
    """What a server says: status, headers, body; `cut`: bytes of it that never come."""

    def __init__(self, status=200, body=b"", location="", cut=0):
        self.length = cut
        self.status, self.reason, self._body, self._location = status, "said so", body, location

    def getheader(self, name, default=""):
        return self._location or default

    def read1(self, size):
        part, self._body = self._body[:size], self._body[size:]
        return part


@pytest.fixture
def net(monkeypatch):
    """Hosts with their addresses, the answers to come, and the addresses that were connected to."""
    hosts = {"lists.example": ["93.184.216.34"]}
    answers, met = [], []

    class Connection:
        def __init__(self, host, port, address):
            met.append((host, address))

        def request(self, *_, **__):
            """Nothing goes out."""

        def getresponse(self):
            return answers.pop(0)

        def close(self):
            """Nothing was opened."""

    def resolve(host, port, **_):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in hosts.get(host, [host])
        ]

    monkeypatch.setattr(downloading, "_Connection", Connection)
    monkeypatch.setattr(downloading.socket, "getaddrinfo", resolve)
    return hosts, answers, met


def test_a_file_is_fetched_from_the_address_that_was_checked(net):
    _, answers, met = net
    answers.append(Answer(body=b"content"))
    assert download("https://lists.example/sdn.csv", largest=100) == b"content"
    assert met == [("lists.example", "93.184.216.34")]


@pytest.mark.parametrize(
    "url",
    [
        "http://lists.example/sdn.csv",
        "ftp://lists.example/sdn.csv",
        "file:///etc/passwd",
        "https://user:secret@lists.example/",
        "https:///nothing",
        "https://lists.example:none/",
    ],
)
def test_other_schemes_and_passwords_are_refused(net, url):
    with pytest.raises(DownloadError):
        download(url, largest=100)
    assert net[2] == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.9", "169.254.169.254", "::1", "fe80::1%eth0", "224.0.0.1",
     "::ffff:127.0.0.1", "0.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "::10.0.0.1", "fec0::1"],
)  # fmt: skip
def test_private_addresses_are_refused_even_beside_a_public_one(net, address):
    hosts, _, met = net
    hosts["lists.example"] = ["93.184.216.34", address]
    with pytest.raises(DownloadError, match="public internet"):
        download("https://lists.example/sdn.csv", largest=100)
    assert met == []


def test_a_redirect_is_checked_like_the_first_address(net):
    hosts, answers, met = net
    hosts["inside.example"] = ["10.0.0.1"]
    answers.append(Answer(status=302, location="https://inside.example/sdn.csv"))
    with pytest.raises(DownloadError, match="public internet"):
        download("https://lists.example/sdn.csv", largest=100)
    assert len(met) == 1


@pytest.mark.parametrize("location", ["http://lists.example/", "file:///etc/passwd"])
def test_a_redirect_may_not_leave_https(net, location):
    net[1].append(Answer(status=301, location=location))
    with pytest.raises(DownloadError, match="https only"):
        download("https://lists.example/sdn.csv", largest=100)


def test_redirects_end(net):
    net[1].extend(Answer(status=302, location="/again") for _ in range(9))
    with pytest.raises(DownloadError, match="redirects"):
        download("https://lists.example/sdn.csv", largest=100)


def test_a_large_file_is_given_up(net):
    net[1].append(Answer(body=b"x" * 200_000))
    with pytest.raises(DownloadError, match="larger"):
        download("https://lists.example/sdn.csv", largest=100_000)


def test_a_slow_file_is_given_up(net, monkeypatch):
    monkeypatch.setattr(downloading, "WHOLE_SECONDS", -1.0)
    net[1].append(Answer(body=b"x"))
    with pytest.raises(DownloadError, match="longer"):
        download("https://lists.example/sdn.csv", largest=100)


def test_a_file_that_breaks_off_is_given_up(net):
    net[1].append(Answer(body=b"half of it", cut=10))
    with pytest.raises(DownloadError, match="broke off 10 bytes"):
        download("https://lists.example/sdn.csv", largest=100)


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_the_server_has_not_is_told_apart(net, status):
    net[1].append(Answer(status=status))
    with pytest.raises(NotThereError, match=str(status)):
        download("https://lists.example/alt.csv", largest=100)


def test_files_that_share_a_deadline_share_it_before_they_connect(net):
    with pytest.raises(DownloadError, match="longer"):
        download("https://lists.example/alt.csv", largest=100, deadline=time.monotonic() - 1)
    assert net[2] == []


def test_an_error_page_is_no_list(net):
    net[1].append(Answer(status=404, body=b"<html>"))
    with pytest.raises(DownloadError, match="404"):
        download("https://lists.example/sdn.csv", largest=100)
