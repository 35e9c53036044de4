"""The web server: `python -m riskplatform.web --host 127.0.0.1 --port 8000 --workers 2`.

Uvicorn (uvloop, httptools) with one thing of ours: head and body of an answer leave together.
"""

import argparse
import asyncio
import os
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from riskplatform.listening import host_name
from riskplatform.measurement_files import forget_gone_measurements

GRACE_SECONDS = 10
"""What a request that is under way has left at the end; docker-compose.yml waits longer."""


class Protocol(HttpToolsProtocol):
    """Uvicorn's protocol, writing through `_Gathering`."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]


class _Gathering:
    """A transport that sends what one turn of the loop writes as one.

    Uvicorn writes the head, then the body; each write is a system call here and a wake-up at the
    other end, which cost as much as a good part of scoring an event.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m riskplatform.web", description=__doc__)
    parser.add_argument("--host", type=host_name, default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "riskplatform.settings")
    forget_gone_measurements()
    uvicorn.run(
        "riskplatform.asgi:application",
        host=options.host,
        port=options.port,
        workers=options.workers,
        http=Protocol,
        backlog=1024,
        access_log=False,
        server_header=False,
        # Who asks is told by SECURE_PROXY and the header that the proxy writes, not by uvicorn.
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
