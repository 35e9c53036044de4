"""POST to an address that somebody typed in, without becoming a way into our own network.

The name is resolved once, every address that it has must be public, and the connection goes to the
address that was looked at, with the name in Host and SNI: a name that answers differently the next
time (DNS rebinding) gains nothing. No redirect is followed, no proxy asked, only some ports are
open, the whole exchange has a deadline, and of the answer the status alone is read: a body could be
endless, and showing it would make this a way to read what stands inside.

What a `Fault` says never contains the address or anything that came back: it is logged and shown.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from accounts.addresses import Network, is_allowed, is_in

CONNECT_SECONDS = 5.0
DEADLINE_SECONDS = 10.0
LONGEST_URL = 2000
_RETRIED = frozenset({408, 425, 429}) | frozenset(range(500, 600))


class Fault(Exception):
    """Nothing was delivered. `lasting`: trying again without a change is of no use; `shared`: what
    else waits for the same receiver would fare no better now."""

    def __init__(
        self,
        text: str,
        *,
        lasting: bool = False,
        shared: bool = True,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(text)
        self.lasting = lasting
        self.shared = shared and not lasting
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be reached: `networks` besides the public ones (plain http there too), `ports`."""

    networks: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset({443})
    deadline: float = DEADLINE_SECONDS


def check_url(url: str, limits: Limits) -> SplitResult:
    """The parts of `url`, as far as can be said without asking anybody. Raises Fault."""
    if len(url) > LONGEST_URL or any(ord(sign) <= 32 or ord(sign) >= 127 for sign in url):
        raise Fault("The address has signs that do not belong into one.", lasting=True)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Fault("This is no web address.", lasting=True) from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Fault("The address has to begin with https://.", lasting=True)
    if parts.username is not None or parts.password is not None:
        raise Fault("The address may not contain a user name or password.", lasting=True)
    if parts.scheme == "http" and not limits.networks:
        raise Fault("The address has to begin with https://.", lasting=True)
    if (port or _default_port(parts)) not in limits.ports:
        shown = ", ".join(str(known) for known in sorted(limits.ports))
        raise Fault(f"Only these ports may be used: {shown}.", lasting=True)
    return parts


def post(url: str, body: bytes, headers: Mapping[str, str], limits: Limits) -> int:
    """Send `body`; the status of the answer, always 2xx. Raises Fault for everything else."""
    parts = check_url(url, limits)
    address = _resolve(parts, limits)
    connection = _connection(parts, address)
    # The socket's own timeout starts anew with each byte; this one does not.
    watchdog = threading.Timer(limits.deadline, connection.abort)
    watchdog.daemon = True
    watchdog.start()
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body=body, headers=dict(headers))
        answer = connection.getresponse()
        status, after = answer.status, answer.headers.get("Retry-After", "")
        if connection.aborted:
            raise TimeoutError  # What was cut off looks like a header that is over.
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _said(error, aborted=connection.aborted) from None
    finally:
        watchdog.cancel()
        connection.close()
    return _judged(status, after)


def _default_port(parts: SplitResult) -> int:
    return 443 if parts.scheme == "https" else 80


def _resolve(parts: SplitResult, limits: Limits) -> str:
    """One address of the host, all of which may be reached."""
    try:
        found = socket.getaddrinfo(
            parts.hostname, parts.port or _default_port(parts), type=socket.SOCK_STREAM
        )
        # Without the zone of a link-local one, "fe80::1%eth0".
        addresses = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found]
    except (OSError, ValueError):
        raise Fault("The name of the host was not found.") from None
    if not addresses or not all(is_allowed(one, limits.networks) for one in addresses):
        raise Fault(
            "The host is inside our own network, where nothing is sent unless"
            " RISK_NOTIFY_NETWORKS allows it.",
            lasting=True,
        )
    internal = all(is_in(one, limits.networks) for one in addresses)
    if parts.scheme == "http" and not internal:
        raise Fault("Outside of our own network only https:// is used.", lasting=True)
    return str(addresses[0])


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was looked at, whatever the name says by now."""

    def __init__(self, host: str, port: int, *, address: str, tls: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=CONNECT_SECONDS)
        self._address = address
        self._tls = tls
        self.aborted = False
        # `http.client` leaves a port of 443 away for its own https class alone.
        self.default_port = 443 if tls else 80

    def connect(self) -> None:
        raw = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = raw
        if self._tls is not None:
            # In two steps, so that the watchdog holds a socket that it can shut in between.
            secured = self._tls.wrap_socket(
                raw, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock = secured
            secured.do_handshake()
        if self.aborted:
            raise TimeoutError

    def abort(self) -> None:
        self.aborted = True
        held = self.sock
        if held is not None:
            try:
                held.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # It is closed already.


def _connection(parts: SplitResult, address: str) -> _Pinned:
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or _default_port(parts)
    return _Pinned(str(parts.hostname), port, address=address, tls=tls)


def _judged(status: int, after: str) -> int:
    if 200 <= status < 300:
        return status
    if 300 <= status < 400:
        raise Fault(
            f"The receiver answered {status}, a redirect. Redirects are not followed:"
            " enter the address that it leads to.",
            lasting=True,
        )
    wait = float(after) if after.isdecimal() and len(after) < 6 else 0.0
    raise Fault(
        f"The receiver answered {status}.", lasting=status not in _RETRIED, retry_after=wait
    )


def _said(error: Exception, *, aborted: bool) -> Fault:
    """What went wrong in words of our own: those of the error may repeat what is secret."""
    if aborted or isinstance(error, TimeoutError):
        return Fault("The receiver did not answer in time.")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault("The certificate of the receiver is not valid for its name.")
    if isinstance(error, ssl.SSLError):
        return Fault("No secure connection could be made.")
    if isinstance(error, ConnectionRefusedError):
        return Fault("The receiver refused the connection.")
    if isinstance(error, UnicodeError):
        return Fault("The name of the host is none.", lasting=True)
    return Fault("The connection broke off.")
