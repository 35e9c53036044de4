"""Alerts and dead letters in packets that an MQTT broker takes: what is too large goes in parts.

A message that is acknowledged is gone at the broker, so its dead letter, which is larger by the
reason and the problems, may lose nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

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
