"""Celery's messages as files, for installations without Redis: whole before anybody can see them.

Kombu's own transport gives a file its name and writes it then. Who looks between the two reads
nothing, deletes it, and the message is lost; so with the table of an exchange that is just made.
"""

import os
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.transport import filesystem
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Kombu's, but for how files come into being."""

    # Kombu's own class names the message otherwise than its base does.
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{round(monotonic() * 1000)}_{uuid4()}"
        # Messages end in the queue's name and .msg: this one is nobody's yet.
        beside = folder / f"{name}.part"
        beside.write_bytes(str_to_bytes(dumps(payload)))
        beside.rename(folder / f"{name}.{queue}.msg")

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        file = self._exchange_file(exchange)
        if not file.exists():
            self.control_folder.mkdir(exist_ok=True)
            beside = file.with_name(f"{file.name}.{uuid4()}")
            beside.write_bytes(b"[]")
            try:
                os.link(beside, file)
            except FileExistsError:
                pass  # another process was faster, and may have written into it
            finally:
                beside.unlink()
        super()._queue_bind(exchange, routing_key, pattern, queue)


class Transport(filesystem.Transport):
    """To be named as Celery's `broker_transport`."""

    Channel = Channel
