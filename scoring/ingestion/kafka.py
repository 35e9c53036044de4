"""Events from a Kafka topic: alerts and dead letters go out, then the offsets are committed.

At least once, with one effect: auto-commit is off; predictions are committed to the database, then
alerts and dead letters are acknowledged by the broker, then the offsets are committed. Whoever dies
in between does the batch again, and scoring by id gives the stored predictions back.

Needs the `confluent-kafka` package (requirements-streaming.lock).
"""

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Record

from scoring.ingestion.kafka_publisher import PRODUCER, Publisher
from scoring.ingestion.stream import (
    ALERT_ABOVE,
    Counts,
    Message,
    Patience,
    Pulse,
    Settled,
    StreamProblem,
    as_number,
    brokers_of,
    count_published,
    settle,
)
from scoring.source_declaration import MOST_BATCH

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.5
MILLISECONDS = re.compile(r"\d+ms\b")
# What the promise above rests on: not to be configured away.
FORCED = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "partition.assignment.strategy": "cooperative-sticky",
}
CONSUMER = {
    "auto.offset.reset": "earliest",
    # At most so much is read ahead, whatever waits in the topic.
    "queued.max.messages.kbytes": 16_384,
    "topic.metadata.refresh.interval.ms": 30_000,
    # How long the partitions of a member that died wait for another.
    "session.timeout.ms": 10_000,
}
CONSUMERS_ALONE = ("group.", "session.", "heartbeat.", "max.poll.", "fetch.", "queued.", "auto.")
"""Properties that a producer does not know."""
NOT_TO_SET = FORCED.keys() | {"enable.idempotence", "acks"}
OURS = {
    *("detector", "topic", "group", "bootstrap", "alerts_topic", "dead_topic", "threshold"),
    *("batch", "name", "source"),
}
Place = tuple[str, int]


class OnceAMinute(logging.Filter):
    """Of what librdkafka says each line once a minute: it tries brokers that are away 20 times a
    second, and says so each time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = MILLISECONDS.sub("", record.getMessage())
        now = self._clock()
        if now < self._said.get(text, -math.inf) + 60:
            return False
        self._said = {said: at for said, at in self._said.items() if now < at + 60}
        self._said[text] = now
        return True


librdkafka = logging.getLogger(f"{__name__}.librdkafka")
librdkafka.addFilter(OnceAMinute())


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """`properties` are librdkafka's; empty topic names: `<topic>.dead`, and no alerts."""

    detector: str
    topic: str
    group: str
    properties: Mapping[str, str]
    source: str = ""
    alerts_topic: str = ""
    dead_topic: str = ""
    alert_above: float = ALERT_ABOVE
    batch: int = 200
    linger: float = 0.02

    def __post_init__(self) -> None:
        """Raises StreamProblem."""
        object.__setattr__(self, "dead_topic", self.dead_topic or f"{self.topic}.dead")
        if not (self.topic and self.group and self.properties.get("bootstrap.servers")):
            raise StreamProblem("Kafka needs a topic, a group and bootstrap servers.")
        if self.topic in (self.alerts_topic, self.dead_topic):
            raise StreamProblem(f"'{self.topic}' cannot be read and written at once.")
        fixed = sorted(NOT_TO_SET & self.properties.keys())
        if fixed:
            raise StreamProblem(f"{', '.join(fixed)} cannot be set: no event may be lost.")


def options_from(values: Mapping[str, str], environ: Mapping[str, str]) -> KafkaOptions:
    """From flags or a declared source, and from RISK_KAFKA_* (lower case, without the prefix).

    What is not an option of ours in `environ` is a property of librdkafka: `sasl_password` is
    `sasl.password`. Raises StreamProblem.
    """
    known = {name: value for name, value in environ.items() if name in OURS} | dict(values)
    properties = {
        name.replace("_", "."): value for name, value in environ.items() if name not in OURS
    }
    named = [properties.pop(name, "") for name in ("bootstrap.servers", "metadata.broker.list")]
    ours = {"bootstrap": next(filter(None, [*named, environ.get("bootstrap", "")]), "")}
    properties["bootstrap.servers"] = brokers_of("bootstrap", values, ours)
    return KafkaOptions(
        detector=known["detector"],
        topic=known.get("topic", ""),
        group=known.get("group") or f"riskplatform-{known['detector']}",
        properties=properties,
        source=known.get("source", ""),
        alerts_topic=known.get("alerts_topic", ""),
        dead_topic=known.get("dead_topic", ""),
        alert_above=as_number(known, "threshold", ALERT_ABOVE, least=0.0, most=1.0),
        batch=int(as_number(known, "batch", 200, least=1, most=MOST_BATCH["kafka"])),
    )


@dataclass(slots=True)
class KafkaStream:
    """One member of a consumer group; `run` until `stop` is set."""

    options: KafkaOptions
    stop: threading.Event
    counts: Counts
    pulse: Pulse
    _consumer: Consumer = field(init=False)
    _publisher: Publisher = field(init=False)
    _owned: set[Place] = field(default_factory=set, init=False)
    # Since the batch in hand was begun, even if they came back: then they are read again.
    _given_up: set[Place] = field(default_factory=set, init=False)
    _done: dict[Place, int] = field(default_factory=dict, init=False)
    _held: list[Record] = field(default_factory=list, init=False)
    _paused: bool = field(default=False, init=False)

    def run(self) -> None:
        """Blocks. Raises StreamProblem for options that librdkafka refuses, or a fatal error."""
        options = self.options
        shared = {**options.properties, "error_cb": self._broker_said}
        try:
            group = {"group.id": options.group}
            self._consumer = Consumer({**CONSUMER, **shared, **group, **FORCED}, logger=librdkafka)
            common = {k: v for k, v in shared.items() if not k.startswith(CONSUMERS_ALONE)}
            producer = Producer({**PRODUCER, **common}, logger=librdkafka)
        except (KafkaException, TypeError, ValueError) as error:
            raise StreamProblem(f"Kafka refuses the options: {error}") from error
        self._publisher = Publisher(
            producer, options.detector, options.dead_topic, options.alerts_topic
        )
        self._consumer.subscribe(
            [options.topic],
            on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost,
        )  # fmt: skip
        patience = Patience(self.stop, self.counts)
        try:
            while not self.stop.is_set():
                records = self._take()
                if records:
                    self._work(records, patience)
                else:
                    self._commit()
                self.pulse.beat()
        finally:
            self._commit()
            self._consumer.close()
            self.pulse.beat(now=True)

    def _take(self) -> list[Record]:
        """What is there, up to a batch; waits a moment for the first message."""
        records, self._held = self._held, []
        if not records:
            first = self._consumer.poll(POLL_SECONDS)
            if first is None:
                return []
            self._given_up.clear()
            more = self._consumer.consume(self.options.batch - 1, self.options.linger)
            # Its partition may have gone and come back meanwhile: then it is another's, or comes
            # again. Of what it reads at once the client leaves such records out itself.
            records = more if _partition(first) in self._given_up else [first, *more]
        return [record for record in records if self._is_message(record)]

    def _is_message(self, record: Record) -> bool:
        error = record.error()
        if error is None:
            return True
        if error.fatal():
            raise StreamProblem(f"Kafka: {error.str()}")
        self._broker_said(error)
        return False

    def _broker_said(self, error: Any) -> None:
        """Log a passing trouble: librdkafka mends it by itself."""
        librdkafka.warning("Kafka: %s", error.str())

    def _work(self, records: Sequence[Record], patience: Patience) -> None:
        """Settle, publish, commit. Partitions that were given up are left to whoever reads them.

        What is settled is not settled again where publishing has to wait: it would count twice.
        """
        options, mine = self.options, list(records)
        self._given_up.clear()

        def score() -> list[Settled]:
            mine[:] = self._of_ours(records)
            messages = [Message(record.value(), _name(record)) for record in mine]
            return settle(
                options.detector, messages, alert_above=options.alert_above, source=options.source
            )

        settled = patience.attempt(score, wait=self._wait)
        if settled is None:
            return

        def publish() -> list[tuple[Record, Settled]]:
            pairs = zip(mine, settled, strict=True)
            ours = [pair for pair in pairs if self._is_ours(pair[0])]
            self._publisher.publish([record for record, _ in ours], [item for _, item in ours])
            return ours

        published = patience.attempt(publish, wait=self._wait)
        if published is None:
            return
        done = [item for _, item in published]
        count_published(self.counts, done, source=options.source)
        for record, _ in published:
            place = _partition(record)
            self._done[place] = max(self._done.get(place, 0), (record.offset() or 0) + 1)
        self._commit()

    def _of_ours(self, records: Sequence[Record]) -> list[Record]:
        return [record for record in records if self._is_ours(record)]

    def _is_ours(self, record: Record) -> bool:
        return _partition(record) in self._owned - self._given_up

    def _wait(self, seconds: float) -> None:
        """Stay in the group without taking more."""
        self._paused = True
        self._consumer.pause(self._consumer.assignment())
        until = time.monotonic() + seconds
        while not self.stop.is_set() and time.monotonic() < until:
            record = self._consumer.poll(min(POLL_SECONDS, seconds))
            if record is not None and record.error() is None:
                self._held.append(record)
            self.pulse.beat()
        self._paused = False
        self._consumer.resume(self._consumer.assignment())

    def _commit(self) -> None:
        """Tell the broker how far we are.

        During a rebalance it may refuse. Then it is told with the next batch or the next quiet
        moment; or whoever takes the partition over does the batch again, to no effect.
        """
        offsets = [TopicPartition(*place, offset) for place, offset in self._done.items()]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            logger.info("Offsets are not committed yet: %s", error.args[0].name())
            return
        self._done.clear()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        if self._paused:
            consumer.pause(partitions)
        else:
            # One that was lost while it was paused would come back paused.
            consumer.resume(partitions)
        self._owned |= _places(partitions)
        if partitions:
            logger.info("Partitions taken over: %s", _numbers(partitions))

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Another member takes over: commit first, so that it does nothing again."""
        self._commit()
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """They are another's already: a commit of ours could only set it back."""
        gone = _places(partitions)
        self._owned -= gone
        self._given_up |= gone
        self._done = {place: offset for place, offset in self._done.items() if place not in gone}
        self._held = [record for record in self._held if _partition(record) not in gone]
        consumer.incremental_unassign(partitions)
        logger.info("Partitions given up: %s", _numbers(partitions))


def _partition(record: Record) -> Place:
    return str(record.topic()), int(record.partition() or 0)


def _name(record: Record) -> str:
    """With the message's own time: a topic made anew counts its offsets from 0 again."""
    _, milliseconds = record.timestamp()
    return f"{record.topic()}/{record.partition()}/{record.offset()}/{milliseconds}"


def _places(partitions: Sequence[TopicPartition]) -> set[Place]:
    return {(partition.topic, partition.partition) for partition in partitions}


def _numbers(partitions: Sequence[TopicPartition]) -> str:
    return ", ".join(str(number) for _, number in sorted(_places(partitions)))


def make_stream(
    values: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    stop: threading.Event,
    counts: Counts,
    pulse: Pulse,
) -> KafkaStream:
    """What `manage.py consume kafka` runs. Raises StreamProblem."""
    return KafkaStream(options_from(values, environ), stop, counts, pulse)
