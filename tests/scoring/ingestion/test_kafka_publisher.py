"""What is too large for Kafka goes without its body, instead of holding a partition for good.

Against the mock broker that librdkafka has built in; and against brokers of our own making, for
what it does not refuse.
"""

import pytest
from confluent_kafka import KafkaError, Producer

from scoring.ingestion.kafka_publisher import PRODUCER, Publisher
from scoring.ingestion.stream import DeadLetter, NotPublished, Settled

DEAD = Settled(dead=DeadLetter("refused", (("amount", "must be at most 1"),)))
ALERT = Settled(alert={"risk_score": 0.9})
MOCK = {"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1}


class Record:
    def __init__(self, value, key=b"user-1"):
        self._value, self._key = value, key

    def value(self):
        return self._value

    def key(self):
        return self._key

    def topic(self):
        return "transactions"

    def partition(self):
        return 3

    def offset(self):
        return 42


class Brokers:
    """Takes letters up to a size; what travels together is refused together."""

    def __init__(self, most, error=KafkaError.MSG_SIZE_TOO_LARGE):
        self.most, self.error = most, error
        self.taken, self.waiting = [], []

    def produce(self, topic, value, key, *, headers, on_delivery):
        size = len(value or b"") + len(key or b"") + sum(len(v) for v in headers.values())
        self.waiting.append((size, (topic, value, key, headers), on_delivery))

    def flush(self, _):
        fits = sum(size for size, _, _ in self.waiting) <= self.most
        for _, letter, on_delivery in self.waiting:
            self.taken += [letter] if fits else []
            on_delivery(None if fits else KafkaError(self.error), None)
        self.waiting.clear()
        return 0


def publish(producer, *pairs):
    records, settled = zip(*pairs, strict=True)
    Publisher(producer, "payments", "dead", "alerts").publish(records, settled)


@pytest.mark.parametrize("size", [999_900, 1_000_000, 1_048_588, 20_000_000])
def test_a_dead_letter_goes_out_in_any_size_that_came_in(size):
    seen = []
    real = Producer(PRODUCER | MOCK)

    class Watched:
        flush = real.flush

        def produce(self, topic, value, *rest, **more):
            seen.append((topic, len(value)))
            real.produce(topic, value, *rest, **more)

    publish(Watched(), (Record(b"x" * size), DEAD))
    assert seen == [("dead", size)]


def test_what_the_producer_itself_refuses_goes_without_its_body(caplog):
    tight = Producer(PRODUCER | MOCK | {"message.max.bytes": 1000})
    publish(tight, (Record(b"Ada Lovelace " * 1000), DEAD), (Record(b"{"), DEAD))
    assert "'dead' does not take a letter of 13000 bytes" in caplog.text
    assert "Ada" not in caplog.text


def test_a_letter_without_its_body_says_where_that_is():
    brokers = Brokers(most=1000)
    publish(brokers, (Record(b"x" * 2000), DEAD))
    [(topic, value, key, headers)] = brokers.taken
    assert (topic, value, key) == ("dead", b"", b"user-1")
    assert (headers["topic"], headers["partition"], headers["offset"]) == (
        "transactions",
        "3",
        "42",
    )
    assert (headers["reason"], headers["left_out"]) == ("refused", "body")
    assert b"amount" in headers["problems"]


def test_letters_that_are_too_large_only_together_keep_their_bodies():
    brokers = Brokers(most=1000)
    publish(brokers, *[(Record(b"x" * 700), DEAD)] * 3)
    assert [value for _, value, _, _ in brokers.taken] == [b"x" * 700] * 3


def test_a_key_or_problems_without_end_are_left_out_too():
    endless = Settled(dead=DeadLetter("refused", (("x" * 20_000, "breaks it"),)))
    brokers = Brokers(most=1000)
    publish(brokers, (Record(b"{}", b"k" * 2000), endless), (Record(b"{}", b"k" * 2000), ALERT))
    letter, alert = brokers.taken
    assert (letter[2], letter[3]["problems"]) == (None, b"[]")
    assert letter[3]["left_out"] == "body, key, problems"
    assert (alert[1], alert[2]) == (b'{"risk_score":0.9}', None)


def test_any_other_error_is_tried_again():
    with pytest.raises(NotPublished, match="TOPIC_AUTHORIZATION_FAILED"):
        publish(Brokers(0, KafkaError.TOPIC_AUTHORIZATION_FAILED), (Record(b"x"), DEAD))


def test_brokers_that_do_not_take_the_smallest_letter_are_asked_again():
    with pytest.raises(NotPublished, match="size"):
        publish(Brokers(most=10), (Record(b"x"), DEAD))
