"""Fetch a published file over https, from the public internet only.

The address is given by people, so it must not become a way into the network behind the platform
(SSRF): https alone, every address that the name stands for must be public, the connection goes to
one of the addresses that were checked (a second answer of the resolver counts for nothing), and
redirects, at most three, pass through the same checks. Nor may a server hold the thread that asks:
whatever it sends, and however slowly, everything ends at one deadline.
"""

import http.client
import ipaddress
import math
import socket
import ssl
import time
from typing import Any, cast
from urllib.parse import SplitResult, urljoin, urlsplit

from accounts.addresses import is_allowed

CONNECT_SECONDS = 10.0
WHOLE_SECONDS = 120.0
MOST_REDIRECTS = 3
MOST_SHOWN = 100
"""Characters of a name that is none."""
CHUNK = 64 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NOT_THERE = frozenset({http.client.NOT_FOUND, http.client.GONE})


class DownloadError(ValueError):
    """A file that was not fetched, with the reason in words."""


class NotThereError(DownloadError):
    """The server says that it does not have this file."""


class _Socket(ssl.SSLSocket):
    """Is read until its deadline: a timeout alone begins anew with every byte, and headers may come
    one byte at a time."""

    deadline = math.inf

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("The time is up.")
        self.settimeout(min(left, CONNECT_SECONDS))
        return super().recv_into(buffer, nbytes, flags)


class _Connection(http.client.HTTPSConnection):
    """Connects to an address that was checked, with the certificate of the name."""

    def __init__(self, host: str, port: int, address: str, deadline: float) -> None:
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _Socket
        super().__init__(host, port, timeout=CONNECT_SECONDS, context=self._tls)
        self._address, self._deadline = address, deadline

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), CONNECT_SECONDS)
        secured = cast(_Socket, self._tls.wrap_socket(plain, server_hostname=self.host))
        secured.deadline = self._deadline
        self.sock = secured


def download(url: str, *, largest: int, deadline: float | None = None) -> bytes:
    """The content behind `url`, at most `largest` bytes. Raises DownloadError.

    `deadline` is a moment of the monotonic clock, by default WHOLE_SECONDS from now: several files
    may share one.
    """
    if deadline is None:
        deadline = time.monotonic() + WHOLE_SECONDS
    for _ in range(MOST_REDIRECTS + 1):
        _check_time(deadline)
        parts = _checked(url)
        address = _public_address(parts)
        connection = _Connection(parts.hostname or "", parts.port or 443, address, deadline)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"User-Agent": "risk-platform"})
            response = connection.getresponse()
            if response.status not in REDIRECTS:
                return _body(response, largest, deadline)
            url = urljoin(url, response.getheader("Location", ""))
        except DownloadError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            # What no header can hold, and a redirect to what is no address, are ValueErrors.
            _check_time(deadline)
            raise DownloadError(f"{parts.hostname}: {error}") from error
        finally:
            connection.close()
    raise DownloadError(f"{urlsplit(url).hostname}: more than {MOST_REDIRECTS} redirects.")


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError as error:
        raise DownloadError(f"Not an address: {error}") from error
    if parts.scheme != "https" or not parts.hostname:
        raise DownloadError("Lists are fetched over https only.")
    if parts.username or parts.password:
        raise DownloadError("An address with a password in it is not fetched.")
    return parts


def _public_address(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise DownloadError(f"{host[:MOST_SHOWN]}: no host can have this name.") from error
    except OSError as error:
        raise DownloadError(f"{host}: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not is_allowed(ipaddress.ip_address(address.partition("%")[0])):
            raise DownloadError(f"{host} is not on the public internet.")
    return addresses[0]


def _check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise DownloadError(f"Fetching took longer than {WHOLE_SECONDS:.0f} s.")


def _body(response: http.client.HTTPResponse, largest: int, deadline: float) -> bytes:
    if response.status in NOT_THERE:
        raise NotThereError(f"The server answered {response.status} {response.reason}.")
    if response.status != http.client.OK:
        raise DownloadError(f"The server answered {response.status} {response.reason}.")
    parts: list[bytes] = []
    size = 0
    while chunk := response.read1(CHUNK):
        size += len(chunk)
        if size > largest:
            raise DownloadError(f"The file is larger than {largest:,} bytes.")
        _check_time(deadline)
        parts.append(chunk)
    # A connection that breaks looks like the end; what is then left of Content-Length tells.
    if response.length:
        raise DownloadError(f"The file broke off {response.length:,} bytes before its end.")
    return b"".join(parts)
