"""Events from an MQTT broker: QoS 1, a session that outlives us, acknowledged when durable.

The broker keeps what comes while no consumer runs and sends again what was not acknowledged. At
most `batch` messages are under way unacknowledged (receive maximum), so a consumer that waits for
its database slows the broker down instead of filling its own memory.

Needs the `paho-mqtt` package (requirements-streaming.lock) and a broker that speaks MQTT 5.
"""

import logging
import queue
import ssl
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTv5, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from accounts.seldom import Seldom
from scoring.ingestion.mqtt_letters import Outbox, Packet, packets
from scoring.ingestion.stream import (
    ALERT_ABOVE,
    Counts,
    Message,
    NotPublished,
    Patience,
    Pulse,
    Settled,
    StreamProblem,
    as_flag,
    as_number,
    brokers_of,
    count_published,
    settle,
)
from scoring.source_declaration import MOST_BATCH

logger = logging.getLogger(__name__)
_told = Seldom(logger)
POLL_SECONDS = 0.5
PUBLISH_SECONDS = 20.0
KEEP_ALIVE = 30
SESSION_SECONDS = 7 * 86400
"""How long the broker keeps messages for a consumer that is away."""
OURS = {
    *("detector", "topic", "broker", "client_id", "username", "password", "tls", "ca_file"),
    *("alerts_topic", "dead_topic", "threshold", "batch", "name"),
}
FOR_GOOD = {
    "Bad user name or password",
    "Not authorized",
    "Client identifier not valid",
    "Unsupported protocol version",
    "Banned",
}


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """`topic` is a filter (`sensors/+/metrics`, `$share/group/...`); an empty `dead_topic` is
    `riskplatform/dead/<detector>`, an empty `alerts_topic` sends no alerts; an empty `client_id`
    is `riskplatform.<source>`, and without a source `riskplatform-<detector>`."""

    detector: str
    topic: str
    host: str
    port: int = 1883
    client_id: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""
    source: str = ""
    alerts_topic: str = ""
    dead_topic: str = ""
    alert_above: float = ALERT_ABOVE
    batch: int = 100
    linger: float = 0.02

    def __post_init__(self) -> None:
        """Raises StreamProblem."""
        dead = self.dead_topic or f"riskplatform/dead/{self.detector}"
        object.__setattr__(self, "dead_topic", dead)
        # One session for each source: two clients of one name throw each other out.
        usual = f"riskplatform.{self.source}" if self.source else f"riskplatform-{self.detector}"
        object.__setattr__(self, "client_id", self.client_id or usual)
        if not (self.topic and self.host):
            raise StreamProblem("MQTT needs a topic and a broker's host.")
        # The network's thread would end by it, unseen.
        levels = _without_share(self.topic).split("/")
        if "#" in levels[:-1] or any(len(lv) > 1 and {"#", "+"} & set(lv) for lv in levels):
            raise StreamProblem(f"'{self.topic}' is no topic filter.")
        own = [name for name in (dead, self.alerts_topic) if name]
        if any(topic_matches_sub(_without_share(self.topic), name) for name in own):
            raise StreamProblem(f"'{self.topic}' would read what this stream writes.")

    def reads(self, topic: str) -> bool:
        """Whether a message of that topic is asked for: a session keeps earlier subscriptions."""
        asked = _without_share(self.topic)
        # `$queue/...` and the like are notations of one broker or another.
        return asked.startswith("$") or topic_matches_sub(asked, topic)


def options_from(values: Mapping[str, str], environ: Mapping[str, str]) -> MqttOptions:
    """From flags or a declared source, and from RISK_MQTT_* (lower case, without the prefix).

    `broker` is `host` or `host:port`. Raises StreamProblem.
    """
    unknown = sorted(environ.keys() - OURS)
    if unknown:
        raise StreamProblem(f"RISK_MQTT_{unknown[0].upper()} is no option of MQTT.")
    known = {**environ, **values}
    host, _, port = brokers_of("broker", values, environ).partition(":")
    tls = as_flag(known, "tls")
    if known.get("ca_file") and not tls:
        raise StreamProblem("A ca_file is of use with RISK_MQTT_TLS=true only, which is not set.")
    return MqttOptions(
        detector=known["detector"],
        topic=known.get("topic", ""),
        host=host,
        port=int(as_number({"port": port}, "port", 8883 if tls else 1883, least=1, most=65_535)),
        client_id=known.get("client_id", ""),
        username=known.get("username", ""),
        password=known.get("password", ""),
        tls=tls,
        ca_file=known.get("ca_file", ""),
        source=known.get("source", ""),
        alerts_topic=known.get("alerts_topic", ""),
        dead_topic=known.get("dead_topic", ""),
        alert_above=as_number(known, "threshold", ALERT_ABOVE, least=0.0, most=1.0),
        batch=int(as_number(known, "batch", 100, least=1, most=MOST_BATCH["mqtt"])),
    )


@dataclass(slots=True)
class MqttStream:
    """One consumer with one persistent session; `run` until `stop` is set."""

    options: MqttOptions
    stop: threading.Event
    counts: Counts
    pulse: Pulse
    _client: Client = field(init=False)
    # Bounded by the receive maximum, that is by the broker.
    _inbox: "queue.SimpleQueue[tuple[int, MQTTMessage]]" = field(
        default_factory=queue.SimpleQueue, init=False
    )
    _connection: int = field(default=0, init=False)
    # Names of what is published and could not be acknowledged, by packet number: it comes again.
    _unacknowledged: dict[int, str] = field(default_factory=dict, init=False)
    _fault: str = field(default="", init=False)
    # Bytes of a packet that the broker takes at most; 0: as many as one likes.
    _limit: int = field(default=0, init=False)
    _outbox: Outbox = field(default_factory=Outbox, init=False)

    def run(self) -> None:
        """Blocks. Raises StreamProblem when the broker refuses us or the subscription."""
        self._client = self._make_client()
        self._client.connect_async(
            self.options.host, self.options.port, KEEP_ALIVE,
            clean_start=False, properties=self._session(),
        )  # fmt: skip
        self._client.loop_start()
        patience = Patience(self.stop, self.counts)
        try:
            while not self.stop.is_set():
                if self._fault:
                    raise StreamProblem(self._fault)
                batch = self._take()
                # Apart, so that what comes again is known as published by then.
                for _, part in groupby(batch, key=itemgetter(0)):
                    self._work(list(part), patience)
                self.pulse.beat()
        finally:
            # The session stays at the broker, with all that is not acknowledged.
            self._client.disconnect()
            self._client.loop_stop()
            self.pulse.beat(now=True)

    def _make_client(self) -> Client:
        options = self.options
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=MQTTv5,
            manual_ack=True,
        )
        client.enable_logger(logger)
        client.reconnect_delay_set(1, 30)
        if options.username:
            client.username_pw_set(options.username, options.password or None)
        if options.tls:
            client.tls_set_context(ssl.create_default_context(cafile=options.ca_file or None))
        client.on_connect = self._connected
        client.on_connect_fail = self._not_reached
        client.on_subscribe = self._subscribed
        client.on_message = self._received
        client.on_publish = self._published
        return client

    def _session(self) -> Properties:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_SECONDS
        properties.ReceiveMaximum = self.options.batch
        return properties

    # --- Called by the network's thread ----------------------------------------------------------
    def _connected(
        self, client: Client, _: Any, flags: ConnectFlags, code: ReasonCode, told: Any
    ) -> None:
        if code.is_failure:
            logger.warning("MQTT: the broker refuses the connection: %s", code)
            if code.getName() in FOR_GOOD:
                self._fault = f"The broker refuses us: {code}"
            return
        self._connection += 1
        self._limit = getattr(told, "MaximumPacketSize", 0)
        if not flags.session_present:
            self._unacknowledged.clear()
        known = "session resumed" if flags.session_present else "new session, nothing waits in it"
        logger.info("MQTT: connected as '%s', %s", self.options.client_id, known)
        # What is retained comes once, not with every connection.
        once = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe(self.options.topic, options=once)

    def _not_reached(self, *_: Any) -> None:
        """Called while the error is being handled; the client itself says nothing of it."""
        where = f"{self.options.host}:{self.options.port}"
        _told.warning("MQTT: %s cannot be reached: %s", where, sys.exception())

    def _subscribed(self, _: Client, __: Any, ___: int, codes: list[ReasonCode], ____: Any) -> None:
        refused = [str(code) for code in codes if code.is_failure]
        if refused:
            self._fault = f"The broker refuses '{self.options.topic}': {refused[0]}"

    def _received(self, _: Client, __: Any, message: MQTTMessage) -> None:
        self._inbox.put((self._connection, message))

    def _published(self, _: Client, __: Any, number: int, code: ReasonCode, ___: Any) -> None:
        # An answer, but no yes: what it refuses it has not.
        if code.is_failure:
            logger.warning("MQTT: the broker refuses a letter: %s", code)
        self._outbox.answered(number, code, self._connection)

    # --- Called by ours --------------------------------------------------------------------------
    def _take(self) -> list[tuple[int, MQTTMessage]]:
        """What is there, up to a batch; waits a moment for the first message."""
        batch: list[tuple[int, MQTTMessage]] = []
        seconds, until = POLL_SECONDS, 0.0
        while len(batch) < self.options.batch:
            try:
                batch.append(self._inbox.get(timeout=seconds))
            except queue.Empty:
                return batch
            until = until or time.monotonic() + self.options.linger
            seconds = max(until - time.monotonic(), 0.0)
        return batch

    def _work(self, batch: Sequence[tuple[int, MQTTMessage]], patience: Patience) -> None:
        """Settle, publish, acknowledge. What is not asked for is acknowledged too, and counted.

        What is settled is not settled again where publishing has to wait: it would count twice.
        """
        options = self.options
        batch = [pair for pair in batch if not self._was_published(*pair)]
        if not batch:
            return
        mine = [message for _, message in batch if options.reads(message.topic)]
        messages = [Message(bytes(message.payload), _name(message)) for message in mine]

        def score() -> list[Settled]:
            return settle(
                options.detector, messages, alert_above=options.alert_above, source=options.source
            )

        settled = patience.attempt(score, wait=self._wait)
        if settled is None:
            return
        self._outbox.forget()

        def publish() -> list[Settled]:
            self._publish(mine, settled)
            return settled

        if patience.attempt(publish, wait=self._wait) is None:
            return
        count_published(self.counts, settled, source=options.source)
        self._drop([message.topic for _, message in batch if not options.reads(message.topic)])
        for connection, message in batch:
            self._acknowledge(connection, message)

    def _acknowledge(self, connection: int, message: MQTTMessage) -> None:
        """Numbers of an earlier connection mean nothing in this one: those come again."""
        if connection == self._connection and self._client.is_connected():
            self._client.ack(message.mid, message.qos)
        elif message.qos:
            self._unacknowledged[message.mid] = _name(message)

    def _was_published(self, connection: int, message: MQTTMessage) -> bool:
        """Whether it comes again only to be acknowledged, which is done here.

        Published all the same the first time: a broker that crashed may not have it any more. A
        number that comes with anything else has been given to a new message.
        """
        if not message.qos:
            return False
        name = self._unacknowledged.pop(message.mid, None)
        if name is None or not message.dup or name != _name(message):
            return False
        self._acknowledge(connection, message)
        return True

    def _drop(self, topics: Sequence[str]) -> None:
        """Count messages that are not asked for; say so at the first, the second, the fourth..."""
        before = self.counts.dropped
        self.counts.dropped += len(topics)
        if before.bit_length() != self.counts.dropped.bit_length():
            logger.warning(
                "MQTT: %d dropped, the last of '%s': the session of '%s' still has the subscription"
                " of an earlier --topic (docs/streaming.md).",
                self.counts.dropped, topics[-1], self.options.client_id,
            )  # fmt: skip

    def _publish(self, messages: Sequence[MQTTMessage], settled: Sequence[Settled]) -> None:
        """Send alerts and dead letters and wait for the broker's word. Raises NotPublished."""
        if not self._client.is_connected():
            raise NotPublished("the broker is away")
        if not self._outbox.is_begun:
            self._outbox.begin(
                packet
                for message, item in zip(messages, settled, strict=True)
                for packet in self._packets(message, item)
            )
        self._outbox.send(self._client, self._connection, seconds=PUBLISH_SECONDS)

    def _packets(self, message: MQTTMessage, item: Settled) -> list[Packet]:
        """What is to be published of one message."""
        options, found = self.options, []
        about = [("detector", options.detector), ("topic", message.topic)]
        # By which a reader keeps one of those that come again: a broker that crashed sends what it
        # had not written down, and what we sent it may be gone with the rest.
        about += [("message", blake2b(_name(message).encode(), digest_size=16).hexdigest())]
        if item.alert is not None and options.alerts_topic:
            value = orjson.dumps(item.alert)
            found += packets(options.alerts_topic, value, about, limit=self._limit)
        if item.dead is not None:
            value = bytes(message.payload)
            about += [("reason", item.dead.reason), ("problems", item.dead.as_json().decode())]
            found += packets(options.dead_topic, value, about, limit=self._limit)
        return found

    def _wait(self, seconds: float) -> None:
        """The network's thread keeps the session; here only the pulse goes on."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.stop.wait(min(POLL_SECONDS, seconds)):
            self.pulse.beat()


def _name(message: MQTTMessage) -> str:
    """A redelivered message has its topic, payload and packet number again; QoS 0 sends once."""
    if message.qos == 0:
        return uuid.uuid4().hex
    return f"{message.topic}/{message.mid}/{message.payload.hex()}"


def _without_share(topic: str) -> str:
    """`$share/group/filter` subscribes to `filter`."""
    return topic.split("/", 2)[2] if topic.startswith("$share/") and topic.count("/") > 1 else topic


def make_stream(
    values: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    stop: threading.Event,
    counts: Counts,
    pulse: Pulse,
) -> MqttStream:
    """What `manage.py consume mqtt` runs. Raises StreamProblem."""
    return MqttStream(options_from(values, environ), stop, counts, pulse)
