"""Mosquitto, a database and consumers, all real: a sample is acknowledged when it is stored."""

import json
import threading
from collections.abc import Iterator

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from tests.scoring.ingestion.brokers import (
    MQTT,
    PATIENCE,
    Installation,
    installation,
    new_name,
    wait_for,
)

pytestmark = [
    pytest.mark.mqtt,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("streams"),
    pytest.mark.skipif(not MQTT, reason="needs RISK_TEST_MQTT"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("mqtt"), postgres=False) as made:
        yield made


@pytest.fixture
def platform(prepared: Installation) -> Iterator[Installation]:
    prepared.empty()
    yield prepared
    prepared.stop_all()


class Post:
    """A device that publishes with QoS 1, and a reader of what comes back."""

    def __init__(self) -> None:
        self.name = new_name("hosts")
        self.found: list[MQTTMessage] = []
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda _, __, message: self.found.append(message)
        # With every connection: one that is lost meanwhile takes its subscriptions along.
        topics = [(f"{self.name}/dead", 1), (f"{self.name}/alerts", 1)]
        self.client.on_connect = lambda *_: self.client.subscribe(topics)
        host, _, port = MQTT.partition(":")
        self.client.connect(host, int(port))
        self.client.loop_start()
        assert ready.wait(PATIENCE)

    def send(self, samples: list[object]) -> None:
        for sample in samples:
            raw = sample if isinstance(sample, bytes) else json.dumps(sample).encode()
            self.client.publish(f"{self.name}/metrics/web-1", raw, qos=1).wait_for_publish(PATIENCE)

    def flags(self, *more: str, kind: str = "metrics") -> list[str]:
        return [
            "mqtt", "--detector", "anomaly", "--topic", f"{self.name}/{kind}/+", "--broker", MQTT,
            "--client-id", self.name, "--dead-topic", f"{self.name}/dead",
            "--alerts-topic", f"{self.name}/alerts", *more,
        ]  # fmt: skip

    def came(self, kind: str) -> list[MQTTMessage]:
        return [message for message in self.found if message.topic == f"{self.name}/{kind}"]


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.client.disconnect()
    made.client.loop_stop()


def samples(n: int, first: int = 0) -> list[dict]:
    return [
        {
            "sample_id": f"s{first + i}",
            "host": f"web-{i % 3}",
            "timestamp": "2020-06-01T12:00:00+00:00",
            "response_time": 120.0,
            "error_rate": 0.5 if i % 10 == 0 else 0.01,
            "cpu_usage": 40.0,
            "memory_usage": 55.0,
        }
        for i in range(n)
    ]


def ids(some: list[dict]) -> list[str]:
    return sorted(sample["sample_id"] for sample in some)


def ready(platform: Installation, post: Post, *more: str):
    """A consumer whose subscription stands."""
    consumer = platform.consume(*post.flags(*more))
    wait_for(lambda: consumer.said("MQTT: connected"), "the consumer to connect")
    wait_for(lambda: subscribed(platform, post), "its subscription")
    return consumer


def subscribed(platform: Installation, post: Post) -> bool:
    """A letter that is no event comes back by the dead topic, once somebody reads."""
    post.client.publish(f"{post.name}/metrics/probe", b"{", qos=1)
    threading.Event().wait(0.2)
    return bool(post.came("dead"))


@pytest.mark.landing
def test_samples_become_predictions_and_dead_letters(platform, post):
    consumer = ready(platform, post)
    sent = samples(100)
    post.send([*sent[:50], {"host": "web-1"}, *sent[50:]])
    wait_for(lambda: len(platform.scored()) == 100, "100 predictions")
    letter = wait_for(lambda: [m for m in post.came("dead") if b"web-1" in m.payload], "a letter")
    about = dict(letter[0].properties.UserProperty)
    assert about["reason"] == "refused"
    assert "response_time" in about["problems"]
    probes = {dict(m.properties.UserProperty)["message"] for m in post.came("dead")}
    assert len(probes) == len(post.came("dead")), "a name for each message"
    consumer.stop()
    assert platform.scored() == ids(sent)


def test_what_comes_while_nobody_reads_waits_in_the_session(platform, post):
    ready(platform, post).stop()
    sent = samples(60)
    post.send(sent)
    platform.consume(*post.flags())
    wait_for(lambda: len(platform.scored()) == 60, "60 predictions")
    assert platform.scored() == ids(sent)


def test_a_consumer_killed_in_the_middle_loses_and_doubles_nothing(platform, post):
    consumer = ready(platform, post, "--batch", "5")
    sent, killed = samples(900), threading.Event()

    def send() -> None:
        post.send(sent[:450])
        killed.wait(PATIENCE)  # However late the kill comes, more comes after it.
        post.send(sent[450:])

    sender = threading.Thread(target=send)
    sender.start()
    wait_for(lambda: len(platform.scored()) > 30, "some predictions")
    consumer.kill()
    killed.set()
    sender.join()
    before = len(platform.scored())
    consumer = platform.consume(*post.flags("--batch", "5"))
    wait_for(lambda: len(platform.scored()) == 900, "900 predictions")
    assert before < 900
    assert platform.scored() == ids(sent)


def test_an_earlier_topic_is_no_longer_read_and_it_is_said(platform, post):
    ready(platform, post).stop()
    post.send(samples(3))
    consumer = platform.consume(*post.flags(kind="others"))
    wait_for(lambda: consumer.said("of an earlier --topic"), "the warning")
    sent = json.dumps(samples(1, first=7)[0]).encode()
    post.client.publish(f"{post.name}/others/web-1", sent, qos=1).wait_for_publish(PATIENCE)
    wait_for(platform.scored, "a prediction")
    said = consumer.stop()
    assert "1 received, 1 scored, 0 repeated" in said
    assert "0 dead, 0 waits, 3 dropped" in said
    assert platform.scored() == ["s7"]


def test_a_sample_without_an_id_is_stored_once(platform, post):
    ready(platform, post)
    sample = {name: value for name, value in samples(1)[0].items() if name != "sample_id"}
    post.send([sample, sample, sample])
    wait_for(lambda: len(platform.scored()) == 3, "3 predictions")


def test_an_alert_is_published_for_a_sample_above_the_threshold(platform, post):
    ready(platform, post, "--threshold", "0.4")
    post.send(samples(11))
    found = wait_for(lambda: len(post.came("alerts")) >= 2 and post.came("alerts"), "two alerts")
    assert {json.loads(m.payload)["transaction_id"] for m in found} == {"s0", "s10"}
