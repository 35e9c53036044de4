"""A batch that has to wait for its brokers is published and counted once, by whom it belongs to."""

import logging
import threading
import time
from types import SimpleNamespace

import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from accounts.seldom import Seldom
from scoring.ingestion import mqtt as by_mqtt
from scoring.ingestion.kafka import (
    CONSUMER,
    FORCED,
    KafkaOptions,
    KafkaStream,
    OnceAMinute,
    librdkafka,
)
from scoring.ingestion.mqtt import MqttOptions, MqttStream
from scoring.ingestion.stream import Counts, NotPublished, Patience, Pulse
from scoring.source_tallies import activities_of
from tests.scoring.ingestion.conftest import SAMPLE

pytestmark = pytest.mark.django_db
NOW = {f"{name}_now": value for name, value in SAMPLE.items()}


def fails_twice(publish):
    """Brokers that are away for two attempts."""
    errors = iter([NotPublished("no answer"), NotPublished("no answer")])

    def attempt(*args):
        for error in errors:
            raise error
        publish(*args)

    return attempt


def stream_of(kind, options, tmp_path):
    """A stream that waits for nothing."""
    counts = Counts()
    made = kind(options, threading.Event(), counts, Pulse(tmp_path, "s", counts))
    return made, Patience(made.stop, counts)


def told(counts, source):
    """What a process and the page of its source say."""
    ever = activities_of([source])[source.pk].ever
    return (counts.received, counts.scored, counts.dead), (ever.received, ever.scored, ever.refused)


def mqtt_message(number, value, *, again=False):
    made = MQTTMessage(number, b"hosts/1")
    made.payload, made.qos, made.dup = orjson.dumps(value), 1, again
    return made


def test_a_batch_counts_once_however_often_it_is_published_to_mqtt(hosts, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(MqttStream, "_publish", fails_twice(lambda *_: sent.append(_)))
    monkeypatch.setattr(MqttStream, "_wait", lambda *_: None)
    options = MqttOptions("anomaly", "hosts/+", "broker", source="hosts")
    mqtt, patience = stream_of(MqttStream, options, tmp_path)
    mqtt._client = Client(CallbackAPIVersion.VERSION2, manual_ack=True)
    arrived = []
    for number, value in enumerate([{f"{k}_now": v for k, v in SAMPLE.items()}, {}], start=1):
        arrived.append(MQTTMessage(number, b"hosts/1"))
        arrived[-1].payload, arrived[-1].qos = orjson.dumps(value), 1
    mqtt._work([(0, one) for one in arrived], patience)
    assert (len(sent), patience._counts.waits) == (1, 2)
    assert told(mqtt.counts, hosts) == ((2, 1, 1), (2, 1, 1))


@pytest.fixture
def broken(hosts, tmp_path, monkeypatch):
    """A connection broke, and another stands, while two messages waited to be published."""
    options = MqttOptions("anomaly", "hosts/+", "broker", source="hosts")
    mqtt, patience = stream_of(MqttStream, options, tmp_path)
    sent, acked = [], []
    publish = fails_twice(lambda _, messages, __: sent.extend(one.mid for one in messages))
    monkeypatch.setattr(MqttStream, "_publish", publish)
    monkeypatch.setattr(MqttStream, "_wait", lambda *_: setattr(mqtt, "_connection", 1))
    mqtt._client = SimpleNamespace(
        ack=lambda number, _: acked.append(number), is_connected=lambda: True
    )
    mqtt._work([(0, mqtt_message(1, NOW)), (0, mqtt_message(2, {}))], patience)
    assert (sent, acked) == ([1, 2], [])
    return SimpleNamespace(mqtt=mqtt, patience=patience, sent=sent, acked=acked)


def test_what_comes_again_because_its_connection_broke_is_only_acknowledged(broken, hosts):
    again = [(1, mqtt_message(1, NOW, again=True)), (1, mqtt_message(2, {}, again=True))]
    broken.mqtt._work(again, broken.patience)
    assert (broken.sent, broken.acked) == ([1, 2], [1, 2])
    assert told(broken.mqtt.counts, hosts) == ((2, 1, 1), (2, 1, 1))


def test_what_comes_again_over_two_broken_connections_is_acknowledged_in_the_third(broken, hosts):
    broken.mqtt._connection = 2
    for connection in (1, 2):
        one = (connection, mqtt_message(2, {}, again=True))
        broken.mqtt._work([one], broken.patience)
    assert (broken.sent, broken.acked) == ([1, 2], [2])
    assert told(broken.mqtt.counts, hosts) == ((2, 1, 1), (2, 1, 1))


@pytest.mark.parametrize(("value", "again"), [({}, False), ({"other": 1}, True)])
def test_a_new_message_of_a_packet_number_that_broke_is_published(broken, value, again):
    broken.mqtt._work([(1, mqtt_message(2, value, again=again))], broken.patience)
    broken.mqtt._work([(1, mqtt_message(2, {}, again=True))], broken.patience)
    assert (broken.sent, broken.acked) == ([1, 2, 2, 2], [2, 2])


def test_a_new_session_sends_nothing_again(broken):
    flags, code = SimpleNamespace(session_present=False), SimpleNamespace(is_failure=False)
    client = SimpleNamespace(subscribe=lambda *_, **__: None)
    broken.mqtt._connected(client, None, flags, code, None)
    broken.mqtt._work([(2, mqtt_message(2, {}, again=True))], broken.patience)
    assert broken.sent == [1, 2, 2]


def test_what_comes_again_in_the_same_batch_is_known(hosts, tmp_path, monkeypatch):
    options = MqttOptions("anomaly", "hosts/+", "broker", source="hosts")
    mqtt, _ = stream_of(MqttStream, options, tmp_path)
    sent, acked = [], []
    monkeypatch.setattr(MqttStream, "_publish", lambda _, messages, __: sent.extend(messages))
    done = {"disconnect": list, "loop_stop": list, "loop_start": list, "is_connected": lambda: True}
    client = SimpleNamespace(connect_async=lambda *_, **__: None, **done)
    client.ack = lambda number, _: [acked.append(number), mqtt.stop.set()]
    monkeypatch.setattr(MqttStream, "_make_client", lambda self: client)
    mqtt._connection = 1
    for connection in (0, 1):
        mqtt._inbox.put((connection, mqtt_message(1, NOW, again=bool(connection))))
    mqtt.run()
    assert (len(sent), acked, mqtt.counts.received) == (1, [1], 1)


def stops_while_away(stream):
    """Its brokers are away when it is told to stop."""

    def publish(*_):
        stream.stop.set()
        raise NotPublished("no answer")

    return publish


def test_what_was_not_published_to_mqtt_counts_nowhere(hosts, tmp_path, monkeypatch):
    options = MqttOptions("anomaly", "hosts/+", "broker", source="hosts")
    mqtt, patience = stream_of(MqttStream, options, tmp_path)
    monkeypatch.setattr(MqttStream, "_publish", stops_while_away(mqtt))
    monkeypatch.setattr(MqttStream, "_wait", lambda *_: None)
    mqtt._work([(0, mqtt_message(1, SAMPLE))], patience)
    assert patience._counts.waits == 1
    assert told(mqtt.counts, hosts) == ((0, 0, 0), (0, 0, 0))


class Record:
    """Of Kafka, at an offset."""

    def __init__(self, offset, value):
        self.offset, self.value = (lambda: offset), (lambda: orjson.dumps(value))
        self.topic, self.partition, self.timestamp = (lambda: "t"), (lambda: 0), (lambda: (1, 5))
        self.error = lambda: None


def test_a_batch_counts_once_however_often_it_is_published_to_kafka(hosts, tmp_path, monkeypatch):
    sent, committed = [], []
    monkeypatch.setattr(KafkaStream, "_wait", lambda *_: None)
    monkeypatch.setattr(KafkaStream, "_commit", lambda self: committed.append(dict(self._done)))
    options = KafkaOptions("anomaly", "t", "g", {"bootstrap.servers": "broker"}, source="hosts")
    kafka, patience = stream_of(KafkaStream, options, tmp_path)
    kafka._publisher = SimpleNamespace(publish=fails_twice(lambda *_: sent.append(_)))
    kafka._owned = {("t", 0)}
    kafka._work(
        [Record(7, {f"{name}_now": value for name, value in SAMPLE.items()}), Record(8, {})],
        patience,
    )
    assert (len(sent), committed, patience._counts.waits) == (1, [{("t", 0): 9}], 2)
    assert told(kafka.counts, hosts) == ((2, 1, 1), (2, 1, 1))


def test_what_was_not_published_to_kafka_counts_nowhere(hosts, tmp_path, monkeypatch):
    monkeypatch.setattr(KafkaStream, "_wait", lambda *_: None)
    options = KafkaOptions("anomaly", "t", "g", {"bootstrap.servers": "broker"}, source="hosts")
    kafka, patience = stream_of(KafkaStream, options, tmp_path)
    kafka._publisher = SimpleNamespace(publish=stops_while_away(kafka))
    kafka._owned = {("t", 0)}
    kafka._work([Record(7, {f"{name}_now": value for name, value in SAMPLE.items()})], patience)
    assert patience._counts.waits == 1
    assert told(kafka.counts, hosts) == ((0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize("give_up", ["_lost", "_revoked"])
def test_a_batch_whose_partition_comes_back_is_left_to_the_next(
    give_up, anomaly_detector, tmp_path, monkeypatch
):
    sent, committed = [], []
    options = KafkaOptions("anomaly", "t", "g", {"bootstrap.servers": "broker"})
    kafka, patience = stream_of(KafkaStream, options, tmp_path)
    asked = ("incremental_assign", "incremental_unassign", "resume")
    consumer, place = SimpleNamespace(**dict.fromkeys(asked, list)), [TopicPartition("t", 0)]

    def lose_and_regain(self, seconds):
        getattr(kafka, give_up)(consumer, place)
        kafka._assigned(consumer, place)
        kafka._held.append(Record(100, SAMPLE))  # as far as another member came meanwhile

    monkeypatch.setattr(KafkaStream, "_wait", lose_and_regain)
    monkeypatch.setattr(KafkaStream, "_commit", lambda self: committed.append(dict(self._done)))
    publish = fails_twice(lambda records, _: sent.extend(record.offset() for record in records))
    kafka._publisher, kafka._owned = SimpleNamespace(publish=publish), {("t", 0)}
    kafka._work([Record(7, SAMPLE), Record(8, {})], patience)
    assert (sent, kafka.counts.received) == ([], 0)
    assert not any(committed)
    kafka._work(kafka._take()[:1], patience)
    assert (sent, committed[-1], kafka.counts.received) == ([100], {("t", 0): 101}, 1)


@pytest.mark.parametrize("give_up", ["_lost", "_revoked"])
def test_a_record_whose_partition_comes_back_while_its_batch_is_read_is_left_out(give_up, tmp_path):
    options = KafkaOptions("anomaly", "t", "g", {"bootstrap.servers": "broker"})
    kafka, _ = stream_of(KafkaStream, options, tmp_path)
    asked = ("incremental_assign", "incremental_unassign", "resume")
    consumer, place = SimpleNamespace(**dict.fromkeys(asked, list)), [TopicPartition("t", 0)]

    def read_more(most, seconds):
        getattr(kafka, give_up)(consumer, place)
        kafka._assigned(consumer, place)
        return [Record(100, SAMPLE)]  # as far as another member came meanwhile

    consumer.poll, consumer.consume = (lambda seconds: Record(7, SAMPLE)), read_more
    kafka._consumer, kafka._owned = consumer, {("t", 0)}
    assert [record.offset() for record in kafka._take()] == [100]


def test_a_partition_that_was_lost_in_a_pause_is_read_when_it_comes_back(tmp_path):
    kafka, _ = stream_of(
        KafkaStream, KafkaOptions("anomaly", "t", "g", {"bootstrap.servers": "-"}), tmp_path
    )
    ours = {"test.mock.num.brokers": 1, "group.id": "g", **CONSUMER, **FORCED}
    kafka._consumer = consumer = Consumer({"bootstrap.servers": "-", **ours})
    [broker] = consumer.list_topics(timeout=10).brokers.values()
    producer = Producer({"bootstrap.servers": f"{broker.host}:{broker.port}"})
    producer.produce("t", b"{}", partition=0)
    assert producer.flush(10) == 0
    lost = iter([lambda: kafka._lost(consumer, [TopicPartition("t", 0)])])
    kafka.pulse = SimpleNamespace(beat=lambda: [loss() for loss in lost])
    kafka._assigned(consumer, [TopicPartition("t", 0, 0)])
    assert consumer.poll(10) is not None  # only what is being read can be paused
    kafka._wait(0.2)
    kafka._assigned(consumer, [TopicPartition("t", 0, 0)])
    found = consumer.poll(10)
    consumer.close()
    assert found is not None
    assert found.value() == b"{}"


def test_of_what_librdkafka_says_each_line_is_logged_once_a_minute():
    now = [1000.0]
    quiet = OnceAMinute(clock=lambda: now[0])

    def passes(text):
        return quiet.filter(logging.makeLogRecord({"msg": text}))

    assert passes("kafka-1: refused (after 0ms in state CONNECT)")
    assert passes("kafka-2: refused (after 0ms in state CONNECT)")
    assert not passes("kafka-1: refused (after 3ms in state CONNECT)")
    now[0] += 60
    assert passes("kafka-1: refused (after 0ms in state CONNECT)")
    assert any(isinstance(one, OnceAMinute) for one in librdkafka.filters)


def test_an_mqtt_broker_that_cannot_be_reached_is_named_with_the_reason(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(by_mqtt, "_told", Seldom(by_mqtt.logger))
    options = MqttOptions("anomaly", "hosts/+", "127.0.0.1", port=1)
    stream, _ = stream_of(MqttStream, options, tmp_path)
    running = threading.Thread(target=stream.run)
    running.start()
    until = time.monotonic() + 10
    while "cannot be reached" not in caplog.text and time.monotonic() < until:
        time.sleep(0.05)
    stream.stop.set()
    running.join(10)
    assert "127.0.0.1:1 cannot be reached: [Errno 111] Connection refused" in caplog.text
