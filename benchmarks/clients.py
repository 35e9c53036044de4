"""Clients of the score endpoint: keep-alive connections that send one event after the other."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from time import monotonic, perf_counter_ns

import orjson

from benchmarks.measure import Row, percentiles

LONGEST_SECONDS = 8.0
WARM_UP = 5


@dataclass(slots=True)
class Tally:
    """What the clients of one run saw; the times leave out the warm-up."""

    taken: list[int] = field(default_factory=list)
    answered: int = 0
    refused: int = 0


def send(
    port: int,
    path: str,
    key: str,
    bodies: Sequence[bytes],
    *,
    clients: int,
    each: int = 1,
    warm_up: int = WARM_UP,
) -> Row:
    """Send every body once, shared among `clients`, for LONGEST_SECONDS at most.

    `each` is how many events a body holds. The first few of every client are not counted.
    """
    shared: Iterator[bytes] = iter(bodies)
    lock, tally = threading.Lock(), Tally()
    ready = threading.Barrier(clients + 1)
    threads = [
        threading.Thread(
            target=_client, args=(port, path, key, shared, lock, tally, ready, warm_up), daemon=True
        )
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    ready.wait(timeout=30)
    begun = monotonic()
    for thread in threads:
        thread.join(timeout=LONGEST_SECONDS + 30)
    seconds = monotonic() - begun
    found = percentiles(tally.taken)
    return {
        "clients": clients,
        "events per request": each,
        "requests": len(tally.taken),
        "refused": tally.refused,
        "answered events": tally.answered * each,
        "requests/s": round(len(tally.taken) / seconds, 1),
        "events/s": round(len(tally.taken) * each / seconds, 1),
        "p50 ms": round(found["p50_us"] / 1000, 2),
        "p99 ms": round(found["p99_us"] / 1000, 2),
    }


def _client(
    port: int,
    path: str,
    key: str,
    bodies: Iterator[bytes],
    lock: threading.Lock,
    tally: Tally,
    ready: threading.Barrier,
    warm_up: int,
) -> None:
    taken: list[int] = []
    statuses: list[int] = []
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:

        def ask() -> bool:
            with lock:
                body = next(bodies, None)
            if body is None:
                return False
            begun = perf_counter_ns()
            statuses.append(_post(connection, path, key, body))
            taken.append(perf_counter_ns() - begun)
            return True

        for _ in range(warm_up):
            ask()
        taken.clear()
        ready.wait(timeout=30)
        deadline = monotonic() + LONGEST_SECONDS
        while monotonic() < deadline and ask():
            pass
    with lock:
        tally.taken += taken
        tally.answered += statuses.count(200)
        tally.refused += len(statuses) - statuses.count(200)


def _post(connection: HTTPConnection, path: str, key: str, body: bytes) -> int:
    headers = {"Content-Type": "application/json", "Authorization": f"Token {key}"}
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    answer = response.read()
    if response.status == 200:
        orjson.loads(answer)
    return response.status
