"""Dead letters that are larger than the packets of an MQTT broker come whole, in parts."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from scoring.ingestion import mqtt
from scoring.ingestion.mqtt import MqttOptions, MqttStream
from scoring.ingestion.mqtt_letters import HEADER, Outbox, packets
from scoring.ingestion.stream import Counts, DeadLetter, NotPublished, Pulse, Settled
from tests.scoring.ingestion.brokers import wait_for

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
LIMIT = 2_000
ABOUT = [("reason", "refused"), ("problems", "[]")]
RISKY = Settled(alert={"risk_score": 1.0}, created=True)
DEAD = Settled(dead=DeadLetter("refused", (("amount", "is missing"),)))


def about_of(packet):
    return dict(packet.about.UserProperty)


def test_what_fits_goes_as_one():
    (packet,) = packets("dead", b"x" * 100, ABOUT, limit=0)
    assert (packet.value, about_of(packet)) == (b"x" * 100, dict(ABOUT))
    assert len(packets("dead", b"x" * 100, ABOUT, limit=packet.size)) == 1


@pytest.mark.parametrize("size", [1_960, 2_000, 40_000])
def test_what_is_too_large_comes_in_parts_that_fit_and_lose_nothing(size):
    value = bytes(i % 251 for i in range(size))
    found = packets("dead", value, ABOUT, limit=LIMIT)
    assert len(found) > 1
    assert b"".join(packet.value for packet in found) == value
    assert max(packet.size for packet in found) <= LIMIT
    assert [about_of(packet)["part"] for packet in found] == [
        f"{number}/{len(found)}" for number in range(1, len(found) + 1)
    ]
    assert len({about_of(packet)["letter"] for packet in found}) == 1


def test_endless_problems_are_left_out_and_it_says_so():
    (packet,) = packets("dead", b"{}", [("problems", "x" * 70_000)], limit=0)
    assert about_of(packet) == {"left_out": "problems"}


def test_packets_that_hold_nothing_are_told():
    with pytest.raises(NotPublished, match="packets of 20 bytes"):
        packets("a/long/topic", b"x" * 100, ABOUT, limit=HEADER + 11)


class Desk:
    """A client whose broker answers at once as it is told; what came, and the outbox it serves."""

    def __init__(self, *codes: str, breaks_after: int = 9) -> None:
        self.outbox, self.codes, self.came, self.connection = Outbox(), list(codes), [], 1
        self.breaks_after = breaks_after
        self.outbox.begin(packets("dead", value, ABOUT, limit=0)[0] for value in (b"1", b"2"))

    def publish(self, topic, value, *_):
        self.came.append(value)
        if code := self.codes.pop(0):
            found = ReasonCode(PacketTypes.PUBACK, code)
            self.outbox.answered(len(self.came), found, self.connection)
        self.connection += len(self.came) == self.breaks_after
        return SimpleNamespace(mid=len(self.came))

    def is_connected(self):
        return True

    def send(self):
        self.outbox.send(self, self.connection, seconds=0.01)


def test_a_letter_that_was_taken_is_not_sent_again_where_another_is_refused():
    desk = Desk("Success", "Not authorized", "Not authorized", "Success")
    for _ in range(2):
        with pytest.raises(NotPublished, match="Not authorized"):
            desk.send()
    desk.send()
    assert desk.came == [b"1", b"2", b"2", b"2"]


def test_a_letter_that_has_no_answer_is_waited_for_and_not_sent_again():
    desk = Desk("Success", "")
    with pytest.raises(NotPublished, match="no answer"):
        desk.send()
    desk.outbox.answered(2, ReasonCode(PacketTypes.PUBACK, "Success"), 1)
    desk.send()
    assert desk.came == [b"1", b"2"]


def test_a_letter_that_was_taken_over_a_connection_that_broke_is_sent_again():
    desk = Desk("Success", "", "Success")
    with pytest.raises(NotPublished, match="no answer"):
        desk.send()
    desk.connection = 2
    desk.outbox.answered(2, ReasonCode(PacketTypes.PUBACK, "Success"), 2)
    desk.send()
    assert desk.came == [b"1", b"2", b"1"]


def test_a_connection_that_breaks_between_two_answers_is_noticed():
    desk = Desk("Success", "Success", "Success", breaks_after=1)
    with pytest.raises(NotPublished, match="the connection broke"):
        desk.send()
    desk.send()
    assert desk.came == [b"1", b"2", b"1"]


def real(test: Callable[..., None]) -> Callable[..., None]:
    """It needs the program mosquitto."""
    missing = not Path(MOSQUITTO).exists()
    test = pytest.mark.skipif(missing, reason="needs mosquitto")(test)
    return pytest.mark.mqtt(pytest.mark.django_db(test))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Starts a mosquitto of our own with a line of configuration; gives its port."""
    started = []

    def start(line: str) -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (tmp_path / "acl").write_text("topic read #\ntopic write in/#\n")
        (tmp_path / "acl_of_dead").write_text("topic read #\ntopic write in/#\ntopic write dead\n")
        line = line.replace("FOLDER", str(tmp_path))
        config = tmp_path / "mosquitto.conf"
        # As root it would become a user who may not read our files.
        config.write_text(f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n{line}\n")
        command = [MOSQUITTO, "-c", str(config)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=tmp_path))
        return port

    yield start
    for process in started:
        process.terminate()
        process.wait()


@pytest.fixture
def run(tmp_path: Path, monkeypatch) -> Iterator[Callable[..., Counts]]:
    """Starts a stream for which every message but `risky` is a dead letter; gives its counts."""
    stop, threads = threading.Event(), []

    def start(port: int, **more: float) -> Counts:
        def settle(slug, messages, **_):
            return [RISKY if message.value == b"risky" else DEAD for message in messages]

        monkeypatch.setattr(mqtt, "settle", settle)
        options = MqttOptions(
            "payments", "in/#", "127.0.0.1", port, alerts_topic="alerts", dead_topic="dead", **more
        )
        counts = Counts()
        stream = MqttStream(options, stop, counts, Pulse(tmp_path, "mqtt", counts))
        threads.append(threading.Thread(target=stream.run))
        threads[0].start()
        return counts

    yield start
    stop.set()
    threads[0].join(30)


def reader(port: int) -> tuple[Client, list[MQTTMessage]]:
    found: list[MQTTMessage] = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.on_message = lambda _, __, message: found.append(message)
    client.on_connect = lambda *_: client.subscribe([("dead", 1)])
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    wait_for(lambda: _connects(client, port), "the broker", 30)
    client.loop_start()
    assert subscribed.wait(30)
    return client, found


def _connects(client: Client, port: int) -> bool:
    try:
        return client.connect("127.0.0.1", port) == 0
    except OSError:
        return False


@real
def test_a_letter_larger_than_the_brokers_packets_does_not_stop_the_stream(broker, run):
    port = broker(f"max_packet_size {LIMIT}")
    client, found = reader(port)
    counts = run(port)
    large = bytes(i % 251 for i in range(LIMIT - 110))
    wait_for(lambda: _came(client, found, b"probe"), "a subscription", 30)
    client.publish("in/a", large, qos=1).wait_for_publish(30)
    client.publish("in/a", b"after", qos=1).wait_for_publish(30)
    wait_for(lambda: any(m.payload == b"after" for m in found), "the letter after it", 30)
    probes = sum(message.payload == b"probe" for message in found)  # all came before "after"
    parts = [message.payload for message in found if message.payload not in (b"probe", b"after")]
    assert b"".join(parts) == large
    wait_for(lambda: counts.dead == probes + 2, "all to be counted", 30)


def _came(client: Client, found: list[MQTTMessage], probe: bytes) -> bool:
    client.publish("in/probe", probe, qos=1)
    threading.Event().wait(0.3)
    return bool(found)


@real
def test_a_letter_that_the_broker_refuses_is_not_taken_for_sent(broker, run, caplog):
    port = broker("acl_file FOLDER/acl")
    client, found = reader(port)
    counts = run(port)

    def is_told() -> bool:
        client.publish("in/a", b"{}", qos=1).wait_for_publish(30)
        return "refuses a letter: Not authorized" in caplog.text

    wait_for(is_told, "the refusal in the log", 30)
    assert (counts.dead, found) == (0, [])


@real
def test_a_letter_is_published_once_while_the_broker_refuses_an_alert(broker, run):
    port = broker("acl_file FOLDER/acl_of_dead")
    client, found = reader(port)
    counts = run(port, linger=2.0)
    wait_for(lambda: _came(client, found, b"probe"), "a subscription", 30)
    for value in (b"poison", b"risky"):
        client.publish("in/a", value, qos=1).wait_for_publish(30)
    wait_for(lambda: counts.waits > 2, "three tries", 30)
    assert [message.payload for message in found].count(b"poison") == 1
