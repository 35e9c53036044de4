"""Real brokers, a real installation and real consumers for the stream tests."""

import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from tests.e2e.prepared import (
    PRODUCTION,
    copy_database,
    database_url,
    environ,
    prepared,
    prepared_on_postgres,
)

ROOT = Path(__file__).resolve().parent.parent.parent.parent
POSTGRES_URL = os.environ.get("RISK_TEST_POSTGRES_URL", "")
KAFKA = os.environ.get("RISK_TEST_KAFKA", "")
MQTT = os.environ.get("RISK_TEST_MQTT", "")
PATIENCE = 120.0


def new_name(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(4)}"


def wait_for(check: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Ask until the answer is truthy, and give it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


@dataclass(slots=True)
class Installation:
    """A platform of its own: SQLite in `var`, or the PostgreSQL database at `url`."""

    var: Path
    url: str = ""
    consumers: list["Running"] = field(default_factory=list)

    def environ(self) -> dict[str, str]:
        ours = ("RISK_KAFKA_", "RISK_MQTT_")
        made = environ(self.var, PRODUCTION | {"DATABASE_URL": self.url} if self.url else {})
        return {name: value for name, value in made.items() if not name.startswith(ours)}

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query, as any other process would read them."""
        if self.url:
            with psycopg.connect(self.url) as database:
                return database.execute(sql).fetchall()
        with sqlite3.connect(self.var / "riskplatform.db", timeout=PATIENCE) as database:
            return database.execute(sql).fetchall()

    def scored(self) -> list[str]:
        """External ids of all predictions, sorted; an id twice would be here twice."""
        return sorted(row[0] for row in self.ask("select external_id from scoring_prediction"))

    def empty(self) -> None:
        """Without events, as before the test."""
        if self.url:
            with psycopg.connect(self.url, autocommit=True) as server:
                server.execute("truncate scoring_prediction, scoring_entitystate cascade")
            return
        with sqlite3.connect(self.var / "riskplatform.db", timeout=PATIENCE) as database:
            database.execute("delete from scoring_prediction")
            database.execute("delete from scoring_entitystate")

    def consume(self, *arguments: str, **settings: str) -> "Running":
        """Start `manage.py consume`, with more environment variables."""
        log = self.var / f"{new_name('consumer')}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "consume", *arguments],
                cwd=ROOT, env=self.environ() | settings, stdout=output, stderr=output,
            )  # fmt: skip
        self.consumers.append(Running(process, log))
        return self.consumers[-1]

    def stop_all(self) -> None:
        for consumer in self.consumers:
            consumer.kill()
        self.consumers.clear()


@dataclass(slots=True)
class Running:
    """One consumer process."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """SIGKILL: nothing gets a chance to end in order."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> str:
        """SIGTERM; its log, once it ended in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log.read_text()
        return self.log.read_text()

    def said(self, text: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return text in self.log.read_text()


@contextmanager
def installation(var: Path, *, postgres: bool) -> Iterator[Installation]:
    """With the shipped detectors; on PostgreSQL in a database of its own."""
    name = new_name("stream")
    made = Installation(var, database_url(name) if postgres else "")
    if postgres:
        copy_database(prepared_on_postgres()[0], name)
    else:
        shutil.copytree(prepared(), var, dirs_exist_ok=True)
    try:
        yield made
    finally:
        made.stop_all()
        if postgres:
            with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
                server.execute(f'drop database "{name}" with (force)')


# --- Kafka -----------------------------------------------------------------------------------
@dataclass(slots=True)
class Topics:
    """A topic for events, its alerts and dead letters, and a group that reads it."""

    events: str
    alerts: str
    dead: str
    group: str

    def flags(self) -> list[str]:
        return [
            "kafka", "--detector", "payments", "--topic", self.events,
            "--alerts-topic", self.alerts, "--bootstrap", KAFKA, "--group", self.group,
        ]  # fmt: skip


def new_topics(partitions: int = 4) -> Topics:
    name = new_name("transactions")
    topics = Topics(name, f"{name}.alerts", f"{name}.dead", new_name("group"))
    made = [NewTopic(name, partitions, 1)]
    made += [NewTopic(other, 1, 1) for other in (topics.alerts, topics.dead)]
    admin = AdminClient({"bootstrap.servers": KAFKA})
    for done in admin.create_topics(made).values():
        done.result(30)
    return topics


def send(topic: str, values: Iterable[Any]) -> None:
    """JSON of each event, or the bytes as they are, by the key of its user."""
    producer = Producer(
        {"bootstrap.servers": KAFKA, "linger.ms": 5, "message.max.bytes": 2_000_000}
    )
    for value in values:
        raw = value if isinstance(value, bytes) else orjson.dumps(value)
        key = value.get("user_id") if isinstance(value, dict) else None
        producer.produce(topic, raw, None if key is None else str(key))
    assert producer.flush(30) == 0


def read_all(topic: str) -> list[Message]:
    """Every message that is in the topic now."""
    consumer = Consumer(
        {"bootstrap.servers": KAFKA, "group.id": new_name("reader"), "enable.auto.commit": False}
    )
    try:
        found: list[Message] = []
        for number in consumer.list_topics(topic, 10).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), 10)
            consumer.assign([TopicPartition(topic, number, low)])
            wanted = len(found) + high - low
            while len(found) < wanted:
                found += consumer.consume(wanted - len(found), 1.0)
        return found
    finally:
        consumer.close()


CHOOSING = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    *(KafkaError._TIMED_OUT, KafkaError._TRANSPORT),
}
"""What is heard while a broker decides who keeps a group's offsets."""


def committed(topics: Topics) -> int:
    """How many messages the group has told the broker to be done; -1 while it cannot say: to be
    waited for."""
    consumer = Consumer({"bootstrap.servers": KAFKA, "group.id": topics.group})
    try:
        numbers = consumer.list_topics(topics.events, 10).topics[topics.events].partitions
        asked = [TopicPartition(topics.events, number) for number in numbers]
        return sum(max(found.offset, 0) for found in consumer.committed(asked, 10))
    except KafkaException as error:
        if error.args[0].code() not in CHOOSING:
            raise
        return -1
    finally:
        consumer.close()
