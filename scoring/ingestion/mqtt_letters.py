"""Alerts and dead letters in packets that an MQTT broker takes: what is too large goes in parts.

A message that is acknowledged is gone at the broker, so its dead letter, which is larger by the
reason and the problems, may lose nothing.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from paho.mqtt.client import Client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from scoring.ingestion.stream import NotPublished

LONGEST_PROBLEMS = 10_000
"""Bytes; a user property has 65,535 at most."""
HEADER = 5 + 2 + 2
"""Bytes of a packet at most: type and length, length of the topic, number of the packet."""
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Packet:
    """One publication and its size in bytes on the wire."""

    topic: str
    value: bytes
    about: Properties
    size: int


class Outbox:
    """What one batch has to say, each packet published once, however often it is tried.

    Anew is published what the broker refused, and what it took over a connection that is gone: one
    that crashed may not have it any more. What it has not answered the client sends again itself.
    """

    def __init__(self) -> None:
        self._heard = threading.Condition()
        self._answers: dict[int, tuple[ReasonCode, int]] = {}
        self.forget()

    def forget(self) -> None:
        """Before a batch."""
        self.is_begun = False
        self._unsent: list[Packet] = []
        self._asked: dict[int, Packet] = {}
        self._answers.clear()

    def begin(self, packets: Iterable[Packet]) -> None:
        """This is to be sent."""
        self._unsent, self.is_begun = list(packets), True

    def answered(self, number: int, code: ReasonCode, connection: int) -> None:
        """The broker's word on the packet of that number; from the network's thread."""
        with self._heard:
            self._answers[number] = code, connection
            self._heard.notify()

    def send(self, client: Client, connection: int, *, seconds: float) -> None:
        """Publish what is not, and wait for the broker's word. Raises NotPublished."""
        for number, (code, over) in list(self._answers.items()):
            if number in self._asked and (code.is_failure or over != connection):
                self._unsent.append(self._asked.pop(number))
                del self._answers[number]
        while self._unsent:
            one = self._unsent[0]
            info = client.publish(one.topic, one.value, 1, False, one.about)
            self._asked[info.mid] = self._unsent.pop(0)
        with self._heard:
            self._heard.wait_for(self._has_all, seconds)
        if not self._has_all():
            raise NotPublished("no answer" if client.is_connected() else "the broker is away")
        refused = [str(code) for code, _ in self._answers.values() if code.is_failure]
        if refused:
            raise NotPublished(refused[0])
        if len({over for _, over in self._answers.values()}) > 1:
            raise NotPublished("the connection broke")

    def _has_all(self) -> bool:
        return self._asked.keys() <= self._answers.keys()


def packets(topic: str, value: bytes, about: Pairs, *, limit: int) -> list[Packet]:
    """`value` with the user properties `about`, in as many packets as the broker's limit on their
    size asks for (bytes; 0 is none).

    Problems that are endless are left out, which the property `left_out` says. Parts have the
    properties `part` (`1/2`) and `letter`, by which they belong together. Raises NotPublished where
    not even one byte has room.
    """
    about = _bounded(about, most=min(LONGEST_PROBLEMS, limit // 2 if limit else LONGEST_PROBLEMS))
    whole = _packet(topic, value, about)
    if not limit or whole.size <= limit:
        return [whole]
    letter = blake2b(value, digest_size=16).hexdigest()
    longest = str(len(value))  # Nothing is cut in more parts than it has bytes.
    empty = _packet(topic, b"", [*about, ("letter", letter), ("part", f"{longest}/{longest}")])
    room = limit - empty.size
    if room < 1:
        raise NotPublished(f"the broker takes packets of {limit} bytes at most")
    cut = [value[start : start + room] for start in range(0, len(value), room)]
    return [
        _packet(topic, part, [*about, ("letter", letter), ("part", f"{number}/{len(cut)}")])
        for number, part in enumerate(cut, start=1)
    ]


def _bounded(about: Pairs, *, most: int) -> list[tuple[str, str]]:
    kept = [pair for pair in about if pair[0] != "problems" or len(pair[1].encode()) <= most]
    return kept if len(kept) == len(about) else [*kept, ("left_out", "problems")]


def _packet(topic: str, value: bytes, about: Pairs) -> Packet:
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = list(about)
    size = HEADER + len(topic.encode()) + len(properties.pack()) + len(value)
    return Packet(topic, value, properties, size)
