"""A list from an address that people gave: https, public, small enough, and never elsewhere."""

import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scoring import downloading
from scoring.downloading import DownloadError, NotThereError, download

DAY = timedelta(days=1)


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
        def __init__(self, host, port, address, deadline):
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


@pytest.fixture
def server(monkeypatch, tmp_path):
    """`server(acts)`: one that answers over TLS, by the name lists.example, as `acts(socket)`."""
    monkeypatch.setattr(downloading, "is_allowed", lambda address: True)
    listening = socket.create_server(("127.0.0.1", 0))
    certificate = self_signed(tmp_path, "lists.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    trusted = partial(ssl.create_default_context, cafile=certificate)
    monkeypatch.setattr(downloading.ssl, "create_default_context", trusted)
    resolve = socket.getaddrinfo

    def there(host, *given, **named):
        return resolve("127.0.0.1", *given, **named)

    monkeypatch.setattr(downloading.socket, "getaddrinfo", there)

    def serve(acts):
        def run():
            with suppress(OSError), context.wrap_socket(listening.accept()[0], True) as met:
                acts(met)

        threading.Thread(target=run, daemon=True).start()
        return f"https://lists.example:{listening.getsockname()[1]}/sdn.csv"

    yield serve
    listening.close()


def self_signed(folder, name):
    """The path of a certificate for that name, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
    now = datetime.now(UTC)
    made = made.serial_number(1).not_valid_before(now - DAY).not_valid_after(now + DAY)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    signed = made.add_extension(names, critical=False).sign(key, SHA256())
    path = folder / "certificate.pem"
    plain = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    path.write_bytes(signed.public_bytes(Encoding.PEM) + key.private_bytes(*plain))
    return path


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


def slowly(met):
    """A tenth of a second apart, a byte at a time, headers that never end."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000:
        met.sendall(bytes([byte]))
        time.sleep(0.1)


def for_ever(met):
    """Answers before the answer (100 Continue), without end."""
    while True:
        met.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("acts", [slowly, for_ever])
def test_a_server_that_comes_to_no_end_holds_nobody_longer_than_the_deadline(server, acts):
    began = time.monotonic()
    with pytest.raises(DownloadError, match="longer"):
        download(server(acts), largest=100, deadline=began + 1)
    assert 1 <= time.monotonic() - began < 3


def test_a_file_is_fetched_over_tls(server):
    def answer(met):
        assert met.recv(1000).startswith(b"GET /sdn.csv HTTP/1.1\r\nHost: lists.example")
        met.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlist")

    assert download(server(answer), largest=100) == b"list"


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "lists..example", ".example"])
def test_a_name_that_no_host_can_have_is_refused(host):
    with pytest.raises(DownloadError, match="no host can have this name"):
        download(f"https://{host}/sdn.csv", largest=100)


@pytest.mark.parametrize("location", ["https://[", "https://lists.example:x/"])
def test_a_redirect_to_what_is_no_address_is_refused(net, location):
    net[1].append(Answer(status=302, location=location))
    with pytest.raises(DownloadError):
        download("https://lists.example/sdn.csv", largest=100)
