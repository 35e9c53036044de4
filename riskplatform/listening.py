"""Where a server is to listen: checked before one starts."""

import errno
import socket
from argparse import ArgumentTypeError
from typing import Any


class CannotListen(Exception):
    """No server can listen there; the message says why and what to do."""


def host_name(text: str) -> str:
    """A host as an option of a command. An empty one is refused: it would mean every address."""
    if not text.strip():
        raise ArgumentTypeError("the host is empty; 0.0.0.0 listens on every address.")
    return text.strip()


def url_host(host: str) -> str:
    """How a browser on this machine names a host that a server listens on."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not listened on
    shown = everywhere.get(host, host)
    return f"[{shown}]" if ":" in shown else shown


def refuse_taken(host: str, port: int) -> None:
    """Raises `CannotListen` where another program listens there, or nobody can."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotListen(f"HOST: {host} is no address of this machine.") from error
    problems = [_problem(family, address) for family, _, _, _, address in found]
    # One of a name's addresses may be missing here, as ::1 is without IPv6.
    missing = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    real = [problem for problem in problems if problem and problem.errno not in missing]
    if None not in problems:
        real += filter(None, problems)
    if real:
        raise CannotListen(
            f"Nothing can listen on {host}, port {port}: {real[0].strerror}. Stop what listens"
            " there, or choose others with HOST and PORT."
        ) from real[0]


def _problem(family: int, address: Any) -> OSError | None:
    """What keeps a server from an address."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the server does: connections that are still closing do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None
