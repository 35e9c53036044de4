"""The body of a request is waited for before a thread is taken: whoever sends slowly holds up
nobody else.

Threads are few (WEB_THREADS), and pages, batches and health checks share them; to wait for a
body on the server's loop costs nothing. What arrives is kept in memory, a large file on disk.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from django.conf import settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
PATIENCE = 30.0
"""Seconds without a byte after which a client is no longer waited for."""
IN_MEMORY: Final = 256 * 1024
PART: Final = 64 * 1024
MULTIPART: Final = b"multipart/form-data"


class ClientGone(Exception):
    """Nobody is there to be answered."""


class Body:
    """A body, or as much of it as may be read; `receive` tells it as the server would."""

    def __init__(self, receive: Receive) -> None:
        self._server = receive
        # Closed by `close`.
        self._held: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        self._left = 0
        self._more = True

    async def wait(self, most: int) -> None:
        """Until all is here, or more than `most`. Raises ClientGone, and TimeoutError."""
        while self._more and self._left <= most:
            message = await asyncio.wait_for(self._server(), PATIENCE)
            if message["type"] != "http.request":
                raise ClientGone
            self._left += self._held.write(message.get("body", b""))
            self._more = message.get("more_body", False)
        self._held.seek(0)

    async def receive(self) -> Message:
        """What arrived, a part at a time; then the server's own messages, if there are more."""
        if self._more and not self._left:
            return await self._server()
        part = self._held.read(PART)
        self._left -= len(part)
        return {
            "type": "http.request",
            "body": part,
            "more_body": self._more or self._left > 0,
        }

    def close(self) -> None:
        """Forget it."""
        self._held.close()


def most_waited_for(scope: MutableMapping[str, Any]) -> int:
    """How much of the body of a request to wait for; 0 where there is none, or where more is
    announced than may come, which is refused unread."""
    headers = dict(scope["headers"])
    upload = headers.get(b"content-type", b"").lower().startswith(MULTIPART)
    most = settings.UPLOAD_MAX_BYTES if upload else settings.API_MAX_BODY_BYTES
    announced = headers.get(b"content-length", b"")
    if announced.isdigit():
        return most if 0 < int(announced) <= most else 0
    return settings.API_MAX_BODY_BYTES if b"transfer-encoding" in headers else 0
