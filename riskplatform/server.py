"""How requests reach the views: quick scoring requests on the lane, everything else on threads.

The lane (scoring/lane.py) takes requests of the short way (riskplatform/quick.py), many at once on
one thread. Pages, batches and whoever brings no key go through Django as usual, on threads, once
their body is here (riskplatform/bodies.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.db import close_old_connections

from riskplatform.bodies import Body, ClientGone, TooMuchHeld, most_waited_for, whole_body
from riskplatform.json_api import render_json
from riskplatform.middleware import HEADERS
from riskplatform.quick import QuickRequest, Response, quick_request, respond
from scoring.announcing import announcements_wait, send_announcements
from scoring.lane import Job, Lane
from scoring.services import MOST_IN_A_GROUP, score_calls
from scoring.source_tallies import write_gathered

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
LATE = "The rest of the body did not come in time."
NO_ROOM = "There is no room for this body at the moment. Try again shortly."
ANNOUNCE_AFTER = 0.02
"""Seconds in which predictions that need a human are gathered into one message."""


class Application:
    """ASGI (HTTP and lifespan) around Django's WSGI application."""

    def __init__(self, django: Any) -> None:
        self._threads: Any = WSGIMiddleware(django, workers=settings.WEB_THREADS)
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
            request = quick_request(scope)
            if request is not None:
                await self._answer(request, receive, send)
                return
            await self._hand_over(scope, receive, send)
            return
        await self._threads(scope, receive, send)

    async def _hand_over(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request to a thread, once its body is here."""
        with closing(Body(receive)) as body:
            try:
                if most := most_waited_for(scope):
                    await body.wait(most)
            except (ClientGone, TimeoutError, TooMuchHeld) as problem:
                await _refuse(send, problem)
                return
            await self._threads(scope, body.receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """At the server's end answer what has entered, announce what was found, count what came."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
                continue
            if self._lane is not None:
                await asyncio.to_thread(self._lane.stop)
            await asyncio.to_thread(send_announcements)
            await asyncio.to_thread(write_gathered)
            self._announcer.shutdown()
            await send({"type": "lifespan.shutdown.complete"})
            return

    async def _answer(self, request: QuickRequest, receive: Receive, send: Send) -> None:
        """One quick request, by way of the lane."""
        body = b""
        if not request.refuses_body():
            try:
                body = await whole_body(receive, settings.API_MAX_BODY_BYTES)
            except (ClientGone, TimeoutError, TooMuchHeld) as problem:
                await _refuse(send, problem)
                return
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Response] = loop.create_future()

        def deliver(found: Response | BaseException) -> None:
            if answered.done():
                return  # The client has gone.
            if isinstance(found, BaseException):
                answered.set_exception(found)
            else:
                answered.set_result(found)

        if not self._entering:
            loop.call_soon(self._enter, loop)  # With all that this turn of the loop brings.
        self._entering.append(Job(lambda: respond(request, body), deliver))
        status, headers, content = await answered
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._lane is None:
            self._lane = Lane(
                score_calls,
                most=MOST_IN_A_GROUP,
                # Django does that with every request; here there is none.
                prepare=close_old_connections,
                hand_over=lambda ready: loop.call_soon_threadsafe(self._deliver, loop, ready),
            )
        jobs, self._entering = self._entering, []
        self._lane.enter(jobs)

    def _deliver(
        self, loop: asyncio.AbstractEventLoop, ready: Sequence[tuple[Job, Response]]
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


async def _refuse(send: Send, problem: ClientGone | TimeoutError | TooMuchHeld) -> None:
    """Answer whose body did not come, or had no room, if anybody is there."""
    if isinstance(problem, ClientGone):
        return
    late = isinstance(problem, TimeoutError)
    content = render_json({"detail": LATE if late else NO_ROOM})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(content)),
        (b"connection", b"close"),
        (b"x-content-type-options", b"nosniff"),
        *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
    ]
    if not late:
        headers.append((b"retry-after", b"10"))
    await send({"type": "http.response.start", "status": 408 if late else 503, "headers": headers})
    await send({"type": "http.response.body", "body": content})
