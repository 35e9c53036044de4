"""How requests reach Django: quick scoring requests on the lane, everything else on threads.

Both ways lead through the same middleware and views; which way a request takes, its view says
(`ScoringView.on_the_lane`).
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.urls import Resolver404

from riskplatform.middleware import match_url
from scoring.lane import Job, Lane
from scoring.services import (
    MOST_IN_A_GROUP,
    announcements_wait,
    score_calls,
    send_announcements,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Response = tuple[int, list[tuple[bytes, bytes]], bytes]
THREADS = int(os.environ.get("WEB_THREADS", "8"))
ANNOUNCE_AFTER = 0.02
"""Seconds in which predictions that need a human are gathered into one message."""
FAILED: Response = (500, [(b"content-type", b"application/json")], b'{"detail":"Internal error."}')


class Application:
    """ASGI (HTTP and lifespan) around Django's WSGI application."""

    def __init__(self, django: Any) -> None:
        self._django = django
        self._threads: Any = WSGIMiddleware(django, workers=THREADS)
        self._lane: Lane | None = None
        self._entering: list[Job] = []
        self._announcer = ThreadPoolExecutor(1, "announcer")
        self._announces = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] == "http":
            # In WSGI `X_Forwarded_Proto` would pass for `X-Forwarded-Proto`.
            scope["headers"] = [pair for pair in scope["headers"] if b"_" not in pair[0]]
            if scope["method"] == "POST" and _is_quick(scope["path"]):
                await self._answer(scope, receive, send)
                return
        await self._threads(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """At the server's end answer what has entered, and announce what was found."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
                continue
            if self._lane is not None:
                await asyncio.to_thread(self._lane.stop)
            await asyncio.to_thread(send_announcements)
            self._announcer.shutdown()
            await send({"type": "lifespan.shutdown.complete"})
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One quick request, by way of the lane."""
        environ = _environ(scope, await _read(receive))
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Response | None] = loop.create_future()

        def deliver(response: Response | None) -> None:
            if not answered.done():  # Else the client has gone.
                answered.set_result(response)

        if not self._entering:
            loop.call_soon(self._enter, loop)  # With all that this turn of the loop brings.
        self._entering.append(Job(lambda: _respond(self._django, environ), deliver))
        status, headers, content = await answered or FAILED
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._lane is None:
            self._lane = Lane(
                score_calls,
                most=MOST_IN_A_GROUP,
                hand_over=lambda ready: loop.call_soon_threadsafe(self._deliver, loop, ready),
            )
        jobs, self._entering = self._entering, []
        self._lane.enter(jobs)

    def _deliver(
        self, loop: asyncio.AbstractEventLoop, ready: Sequence[tuple[Job, Response | None]]
    ) -> None:
        for job, response in ready:
            job.deliver(response)
        if announcements_wait() and not self._announces:
            self._announces = True
            loop.call_later(ANNOUNCE_AFTER, self._announce, loop)

    def _announce(self, loop: asyncio.AbstractEventLoop) -> None:
        """What the last groups found, in one message; a broker is slower than clients like."""
        self._announces = False
        loop.run_in_executor(self._announcer, send_announcements)


def _is_quick(path: str) -> bool:
    """Whether the view of this address answers on the lane."""
    try:
        view = match_url(path, settings.ROOT_URLCONF).func
    except Resolver404:
        return False
    return bool(getattr(getattr(view, "cls", None), "on_the_lane", False))


async def _read(receive: Receive) -> bytes:
    """The body; of one that is too large only as much as it takes to refuse it (413)."""
    parts, size, more = [], 0, True
    while more and size <= settings.API_MAX_BODY_BYTES:
        message = await receive()
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """The request as WSGI (PEP 3333) has it; its body is read already."""
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    announced = environ.pop("HTTP_CONTENT_LENGTH", None)
    environ["CONTENT_LENGTH"] = announced or str(len(body))
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    return environ


def _respond(django: Any, environ: dict[str, Any]) -> Response:
    """Django's answer to one request."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    answer = django(environ, lambda status, headers, *_: begun.append((status, headers)))
    try:
        content = b"".join(answer)
    finally:
        answer.close()
    [(status, headers)] = begun
    return (
        int(status[:3]),
        [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        content,
    )
