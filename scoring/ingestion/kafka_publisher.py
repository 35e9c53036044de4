"""Alerts and dead letters to Kafka: when `publish` returns, the brokers have them all."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Record

from scoring.ingestion.stream import DeadLetter, NotPublished, Settled

logger = logging.getLogger(__name__)
PUBLISH_SECONDS = 30.0
PRODUCER = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 5,
    "message.timeout.ms": 20_000,
    # What a consumer may receive at most (receive.message.max.bytes): a dead letter goes out as it
    # came in, and its size is the topic's to limit.
    "message.max.bytes": 100_000_000,
}
LONGEST_KEY = 1_000
LONGEST_PROBLEMS = 10_000
Headers = dict[str, str | bytes | None]


@dataclass(frozen=True, slots=True)
class Letter:
    """What goes to one topic for one message, with its key: one entity's stay in order."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: Headers
    is_dead: bool = False

    def reduced(self) -> "Letter":
        """Without what makes it too large; the header `left_out` says what that is.

        The value of an alert is ours and small, so only the key can go.
        """
        left_out: list[str] = []
        value, key, headers = self.value, self.key, dict(self.headers)
        if self.is_dead and value:
            value = b""
            left_out.append("body")
        if key is not None and len(key) > LONGEST_KEY:
            key = None
            left_out.append("key")
        if len(headers.get("problems") or b"") > LONGEST_PROBLEMS:
            headers["problems"] = b"[]"
            left_out.append("problems")
        headers["left_out"] = ", ".join(left_out)
        return replace(self, value=value, key=key, headers=headers)


@dataclass(slots=True)
class _Sent:
    """What became of letters: those too large, and the names of all other errors."""

    too_large: list[Letter] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def delivered(self, letter: Letter, error: KafkaError | None, _: Any = None) -> None:
        if error is None:
            return
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self.too_large.append(letter)
        else:
            self.failures.append(error.name())


@dataclass(frozen=True, slots=True)
class Publisher:
    """An empty `alerts_topic` sends no alerts."""

    producer: Producer
    detector: str
    dead_topic: str
    alerts_topic: str = ""

    def publish(self, records: Sequence[Record], settled: Sequence[Settled]) -> None:
        """Send alerts and dead letters and wait until the brokers have them. Raises NotPublished.

        What is too large would be so at every attempt: it goes without what makes it so.
        """
        letters: list[Letter] = []
        for record, item in zip(records, settled, strict=True):
            if item.alert is not None and self.alerts_topic:
                value, about = orjson.dumps(item.alert), Headers(detector=self.detector)
                letters.append(Letter(self.alerts_topic, value, _bytes(record.key()), about))
            if item.dead is not None:
                letters.append(self._dead(record, item.dead))
        for letter in self._send(letters):
            # Brokers refuse letters that travel together as one: alone it may be small enough.
            if not self._send([letter]):
                continue
            logger.warning(
                "'%s' does not take a letter of %d bytes: it goes without what is too large.",
                letter.topic, len(letter.value or b""),
            )  # fmt: skip
            if self._send([letter.reduced()]):
                raise NotPublished("message size too large")

    def _send(self, letters: Sequence[Letter]) -> list[Letter]:
        """Those that are too large, when the brokers have all others. Raises NotPublished."""
        sent = _Sent()
        for letter in letters:
            try:
                self.producer.produce(
                    letter.topic, letter.value, letter.key,
                    headers=letter.headers, on_delivery=partial(sent.delivered, letter),
                )  # fmt: skip
            except BufferError as error:
                # The producer's queue holds 100,000 messages, a batch never so many: it is stuck.
                raise NotPublished("queue full") from error
            except KafkaException as error:
                sent.delivered(letter, error.args[0])
        if self.producer.flush(PUBLISH_SECONDS) or sent.failures:
            raise NotPublished(sent.failures[0] if sent.failures else "no answer")
        return sent.too_large

    def _dead(self, record: Record, dead: DeadLetter) -> Letter:
        headers: Headers = {
            "detector": self.detector,
            "reason": dead.reason,
            "problems": dead.as_json(),
            "topic": str(record.topic()),
            "partition": str(record.partition()),
            "offset": str(record.offset()),
        }
        value, key = _bytes(record.value()), _bytes(record.key())
        return Letter(self.dead_topic, value, key, headers, is_dead=True)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
