"""The body of a request is waited for before a thread is taken: whoever sends slowly holds up
nobody else.

Threads are few (WEB_THREADS), and pages, batches and health checks share them; to wait for a
body on the server's loop costs nothing. What arrives is kept in memory, a large file on disk.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from django.conf import settings

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
IN_MEMORY: Final = 256 * 1024
PART: Final = 64 * 1024
MULTIPART: Final = b"multipart/form-data"


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
                if message["type"] != "http.request":
                    raise ClientGone
                self._keep(message.get("body", b""))
                more = message.get("more_body", False)
        self._left = self._size
        self._kept.seek(0)

    def _keep(self, part: bytes) -> None:
        is_upload = self._size + len(part) > settings.API_MAX_BODY_BYTES
        if held.bytes + len(part) > (MOST_OF_UPLOADS if is_upload else MOST_HELD):
            raise TooMuchHeld
        try:
            self._kept.write(part)
        except OSError as error:  # No room on the disk.
            raise TooMuchHeld from error
        held.bytes += len(part)
        self._size += len(part)

    async def receive(self) -> Message:
        """What arrived, a part at a time."""
        part = self._kept.read(PART)
        self._left -= len(part)
        return {"type": "http.request", "body": part, "more_body": self._left > 0}

    def close(self) -> None:
        """Forget it."""
        held.bytes -= self._size
        self._size = 0
        self._kept.close()


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
