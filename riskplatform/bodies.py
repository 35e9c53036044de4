"""The body of a request is waited for before a thread is taken: whoever sends slowly holds up
nobody else.

Threads are few (WEB_THREADS), and pages, batches and health checks share them; to wait for a
body on the server's loop costs nothing. What arrives is kept in memory, a large file on disk.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing, suppress
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from django.conf import settings

from accounts.seldom import Seldom

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
PATIENCE = 30.0
"""Seconds without a byte after which a client is no longer waited for."""
DEADLINE = 600.0
"""Seconds after which a body that still comes is no longer waited for: 65 MB at a megabit a second
take as long."""
MOST_HELD: Final = 512 * 1024 * 1024
"""Bytes of all bodies that a process holds at a time; whoever brings more is told to come again."""
MOST_OF_UPLOADS: Final = MOST_HELD // 2
"""Of these, what bodies larger than API_MAX_BODY_BYTES may take: they keep nobody else out."""
MOST_ON_DISK: Final = MOST_HELD * 3 // 4
"""Of these, what bodies larger than IN_MEMORY may take: log-ins are small."""
IN_MEMORY: Final = 256 * 1024
PART: Final = 64 * 1024
MULTIPART: Final = b"multipart/form-data"


_told = Seldom(logging.getLogger(__name__))


class ClientGone(Exception):
    """Nobody is there to be answered."""


class TooMuchHeld(Exception):
    """There is no room for a body: others' take it, or the disk is full."""


@dataclass
class Held:
    """How many bytes of bodies there are; asked on the server's loop alone."""

    bytes: int = 0


held = Held()


class Body:
    """A body, or as much of it as may be read; `receive` tells it as the server would, and then
    that there is no more: no thread ever waits for a client."""

    def __init__(self, receive: Receive) -> None:
        self._server = receive
        # Closed by `close`.
        self._kept: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        self._size = self._left = 0

    async def wait(self, most: int) -> None:
        """Until all is here, or more than `most`. Raises ClientGone, TooMuchHeld, TimeoutError."""
        more = True
        async with asyncio.timeout(DEADLINE):
            while more and self._size <= most:
                async with asyncio.timeout(PATIENCE):
                    message = await self._server()
                more = self.keep(message)
        self._left = self._size
        self._kept.seek(0)

    def keep(self, message: Message) -> bool:
        """One more message; whether more are to come. Raises ClientGone, TooMuchHeld."""
        if message["type"] != "http.request":
            raise ClientGone
        part = message.get("body", b"")
        if held.bytes + len(part) > _room_for(self._size + len(part)):
            raise TooMuchHeld
        try:
            self._kept.write(part)
            self._kept.flush()
        except OSError as error:
            _told.warning("A body was refused with 503, as it could not be kept: %s", error)
            raise TooMuchHeld from error
        held.bytes += len(part)
        self._size += len(part)
        return bool(message.get("more_body", False))

    def read(self) -> bytes:
        """All that arrived."""
        return self._kept.read()

    async def receive(self) -> Message:
        """What arrived, a part at a time."""
        part = self._kept.read(PART)
        self._left -= len(part)
        return {"type": "http.request", "body": part, "more_body": self._left > 0}

    def close(self) -> None:
        """Forget it."""
        held.bytes -= self._size
        self._size = 0
        with suppress(OSError):  # What a full disk did not take is written again.
            self._kept.close()


def _room_for(size: int) -> int:
    """How many bytes of bodies there may be with one that has so many."""
    if size > settings.API_MAX_BODY_BYTES:
        return MOST_OF_UPLOADS
    return MOST_ON_DISK if size > IN_MEMORY else MOST_HELD


async def whole_body(receive: Receive, most: int) -> bytes:
    """The body, or so much of a larger one that it is seen to have more than `most`.

    Raises ClientGone, TooMuchHeld, TimeoutError.
    """
    async with asyncio.timeout(PATIENCE):
        message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        part: bytes = message.get("body", b"")
        return part
    with closing(Body(receive)) as body:
        body.keep(message)
        await body.wait(most)
        return body.read()


def most_waited_for(scope: MutableMapping[str, Any]) -> int:
    """How much of the body of a request to wait for; 0 where more is announced than may come, which
    is refused unread."""
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    is_upload = any(MULTIPART in kind.lower() for kind in kinds)
    most = settings.UPLOAD_MAX_BYTES if is_upload else settings.API_MAX_BODY_BYTES
    announced = dict(scope["headers"]).get(b"content-length", b"")
    if announced.isdigit():
        return most if int(announced) <= most else 0
    return settings.API_MAX_BODY_BYTES
