"""A client that costs next to nothing: one process, prepared requests, N keep-alive connections.

    python -m benchmarks.load --port 8000 --path /x --key rp_... --bodies FILE --clients 8

Reads one body a line, sends each once, and prints JSON. It shares the machine with the server, so
every microsecond here would be taken from there: plain sockets, one selector, no library.
"""

import argparse
import json
import selectors
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, perf_counter_ns

CHUNK = 1 << 18


class Connection:
    """One client: sends a request, waits for the whole answer, sends the next."""

    __slots__ = ("begun", "received", "sock", "wanted")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = 0
        self.received = b""
        self.wanted = 0

    def send(self, request: bytes) -> None:
        self.received, self.wanted = b"", 0
        self.begun = perf_counter_ns()
        self.sock.sendall(request)

    def read(self) -> int:
        """The answer's status when it is complete, else 0. Raises ConnectionError when closed."""
        data = self.sock.recv(CHUNK)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.received = self.received + data if self.received else data
        if not self.wanted:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return 0
            self.wanted = end + 4 + _length(self.received[:end])
        return int(self.received[9:12]) if len(self.received) >= self.wanted else 0


def _length(head: bytes) -> int:
    place = head.lower().find(b"content-length:")
    if place < 0:
        raise ValueError("an answer without a Content-Length")
    return int(head[place + 15 :].split(b"\r\n", 1)[0])


def requests(path: str, key: str, bodies: Path) -> Iterator[bytes]:
    """One HTTP request for every line of the file, made before the clock starts."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {key}\r\n"
        f"X-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: "
    ).encode()
    for body in bodies.read_bytes().splitlines():
        yield b"%s%d\r\n\r\n%s" % (head, len(body), body)


def run(port: int, waiting: list[bytes], *, clients: int, warm_up: int, seconds: float) -> dict:
    """Send what `waiting` holds; the first `warm_up` answers are not timed."""
    waiting.reverse()
    taken: list[int] = []
    statuses: dict[int, int] = {}
    selector = selectors.DefaultSelector()
    open_now = 0
    for _ in range(min(clients, len(waiting))):
        connection = Connection(port)
        selector.register(connection.sock, selectors.EVENT_READ, connection)
        connection.send(waiting.pop())
        open_now += 1
    done = 0
    began = monotonic()
    deadline = began + seconds + 60
    while open_now:
        for event, _ in selector.select():
            connection = event.data
            status = connection.read()
            if not status:
                continue
            now = perf_counter_ns()
            done += 1
            statuses[status] = statuses.get(status, 0) + 1
            if done > warm_up:
                taken.append(now - connection.begun)
            elif done == warm_up:
                began = monotonic()
                deadline = began + seconds
            if waiting and monotonic() < deadline:
                connection.send(waiting.pop())
            else:
                selector.unregister(connection.sock)
                connection.sock.close()
                open_now -= 1
    return {
        "seconds": monotonic() - began,
        "requests": len(taken),
        "statuses": statuses,
        "taken_ns": taken,
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--bodies", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--warm-up", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    waiting = list(requests(options.path, options.key, options.bodies))
    found = run(
        options.port,
        waiting,
        clients=options.clients,
        warm_up=options.warm_up,
        seconds=options.seconds,
    )
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
