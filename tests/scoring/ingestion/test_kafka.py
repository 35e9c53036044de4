"""Kafka, a database and consumers, all real: every event exactly one prediction, none lost."""

import json
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from tests.factories import payment, risky_payment
from tests.scoring.ingestion.brokers import (
    KAFKA,
    POSTGRES_URL,
    Installation,
    Topics,
    committed,
    installation,
    new_topics,
    read_all,
    send,
    wait_for,
)

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("streams"),
    pytest.mark.skipif(
        not (KAFKA and POSTGRES_URL), reason="needs RISK_TEST_KAFKA and RISK_TEST_POSTGRES_URL"
    ),
]
SQLITE, POSTGRES = pytest.param(False, id="sqlite"), pytest.param(True, id="postgres")
LANDING = pytest.param(True, id="postgres", marks=pytest.mark.landing)
MALFORMED = [b"{", b"[1, 2]", b'{"amount": NaN}', payment(amount=-1.0), {"user_id": "u"}]


@pytest.fixture(scope="module")
def prepared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    on_postgres = getattr(request, "param", True)
    folder = tmp_path_factory.mktemp("streams")
    with installation(folder, postgres=on_postgres) as made:
        yield made


@pytest.fixture
def platform(prepared: Installation) -> Iterator[Installation]:
    prepared.empty()
    yield prepared
    prepared.stop_all()


@pytest.fixture
def topics() -> Topics:
    return new_topics()


def events(n: int) -> list[dict]:
    """Every tenth one is blocked, and so an alert: a high amount from an embargoed country."""
    return [
        payment(user_id=f"user-{i % 40}")
        if i % 10
        else risky_payment(user_id=f"user-{i % 40}", country="KP")
        for i in range(n)
    ]


def ids(some: list[dict]) -> list[str]:
    return sorted(event["transaction_id"] for event in some)


def alerted(topics: Topics) -> Counter:
    return Counter(json.loads(alert.value())["transaction_id"] for alert in read_all(topics.alerts))


def said_done(topics: Topics) -> int:
    """Messages that the group has told the broker to be done, once it can say."""
    return wait_for(lambda: [n] if (n := committed(topics)) >= 0 else [], "the offsets")[0]


def consumed(topics: Topics, n: int) -> None:
    wait_for(lambda: committed(topics) == n, f"{n} committed messages")


@pytest.mark.parametrize("prepared", [SQLITE, LANDING], indirect=True)
def test_events_become_predictions_alerts_and_dead_letters(platform, topics):
    sent = events(500)
    send(topics.events, sent[:250] + MALFORMED + sent[250:])
    consumer = platform.consume(*topics.flags())
    consumed(topics, 505)
    log = consumer.stop()
    assert platform.scored() == ids(sent)
    assert set(alerted(topics)) == set(ids(sent[::10]))
    assert "505 received, 500 scored, 0 repeated, 50 alerts, 5 dead, 0 waits" in log


def test_a_dead_letter_is_the_message_as_it_came_with_the_reason(platform, topics):
    bad = payment(amount=-1.0)
    send(topics.events, [bad])
    platform.consume(*topics.flags())
    consumed(topics, 1)
    [letter] = read_all(topics.dead)
    headers = {name: value.decode() for name, value in letter.headers()}
    assert json.loads(letter.value()) == bad
    assert letter.key() == bad["user_id"].encode()
    assert (headers["reason"], headers["topic"]) == ("refused", topics.events)
    assert json.loads(headers["problems"]) == [{"field": "amount", "message": "must be at least 0"}]


def test_a_message_as_large_as_the_topic_allows_holds_nothing_up(platform, topics):
    # With the headers of a dead letter, the second is larger than the broker takes.
    large = [b"x" * 1_040_000, b"x" * 1_048_500]
    sent = events(5)
    send(topics.events, [*large, *sent])
    platform.consume(*topics.flags())
    consumed(topics, 7)
    letters = read_all(topics.dead)
    assert sorted(len(letter.value()) for letter in letters) == [0, 1_040_000]
    assert sum(("left_out", b"body") in letter.headers() for letter in letters) == 1
    assert platform.scored() == ids(sent)


def test_an_alert_has_the_key_of_its_event(platform, topics):
    event = events(1)[0]
    send(topics.events, [event])
    platform.consume(*topics.flags())
    consumed(topics, 1)
    [alert] = read_all(topics.alerts)
    found = json.loads(alert.value())
    assert alert.key() == event["user_id"].encode()
    assert found["risk_score"] > 0.7
    assert {"HIGH_AMOUNT", "HIGH_RISK_COUNTRY"} <= set(found["reason_codes"])


@pytest.mark.parametrize("prepared", [SQLITE, POSTGRES], indirect=True)
def test_a_consumer_killed_in_the_middle_loses_and_doubles_nothing(platform, topics):
    sent = events(3000)
    send(topics.events, sent[:1500])  # many more than are done before the kill comes
    # As one member of the group, whose partitions wait for it instead of being handed out again.
    member = {"RISK_KAFKA_GROUP_INSTANCE_ID": "one"}
    for least in (50, 150, 250):
        consumer = platform.consume(*topics.flags(), "--batch", "10", **member)
        wait_for(lambda least=least: len(platform.scored()) > least, f"{least} predictions")
        consumer.kill()
    send(topics.events, sent[1500:])  # However late it comes, more comes after it.
    assert len(platform.scored()) < 3000
    platform.consume(*topics.flags(), **member)
    consumed(topics, 3000)
    assert platform.scored() == ids(sent)
    assert set(alerted(topics)) == set(ids(sent[::10]))


def test_another_member_goes_on_where_a_killed_one_was(platform, topics):
    sent = events(3000)
    send(topics.events, sent[:1500])
    quick = {"RISK_KAFKA_SESSION_TIMEOUT_MS": "6000"}
    first = platform.consume(*topics.flags(), "--batch", "10", **quick)
    wait_for(lambda: len(platform.scored()) > 50, "some predictions")
    first.kill()
    send(topics.events, sent[1500:])
    assert len(platform.scored()) < 3000
    platform.consume(*topics.flags(), **quick)
    consumed(topics, 3000)
    assert platform.scored() == ids(sent)


def test_a_replay_gives_the_same_predictions_and_alerts_again(platform, topics):
    sent = events(100)
    send(topics.events, sent)
    platform.consume(*topics.flags())
    consumed(topics, 100)
    first = platform.ask("select external_id, id, score, rule_score from scoring_prediction")
    replay = Topics(topics.events, topics.alerts, topics.dead, f"{topics.group}-again")
    consumer = platform.consume(*replay.flags())
    consumed(replay, 100)
    again = platform.ask("select external_id, id, score, rule_score from scoring_prediction")
    assert sorted(first) == sorted(again)
    assert "0 scored, 100 repeated" in consumer.stop()
    assert set(alerted(topics).values()) == {2}


def test_two_consumers_of_a_group_share_the_partitions(platform, topics):
    pair = [platform.consume(*topics.flags(), "--name", name) for name in ("one", "two")]
    wait_for(lambda: all(c.said("Partitions taken over") for c in pair), "both to have partitions")
    sent = events(400)
    send(topics.events, sent)
    consumed(topics, 400)
    logs = [consumer.stop() for consumer in pair]
    assert platform.scored() == ids(sent)
    assert all(": 0 received" not in log.splitlines()[-1] for log in logs)


def test_a_member_that_leaves_hands_over_what_it_did(platform, topics):
    first = platform.consume(*topics.flags(), "--batch", "10")
    wait_for(lambda: first.said("Partitions taken over"), "the first to have all partitions")
    sent = events(600)
    send(topics.events, sent)
    second = platform.consume(*topics.flags())
    wait_for(lambda: second.said("Partitions taken over"), "the second to have some")
    first.stop()
    consumed(topics, 600)
    assert platform.scored() == ids(sent)
    assert set(alerted(topics).values()) == {1}


def test_a_database_outage_is_waited_out(platform, topics):
    consumer = platform.consume(*topics.flags())
    wait_for(lambda: consumer.said("Partitions taken over"), "the consumer to start")
    name = platform.url.rpartition("/")[2]
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f'alter database "{name}" with allow_connections false')
        server.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
        )
        sent = events(50)
        send(topics.events, sent)
        wait_for(lambda: consumer.said("tried again in 2.0 s"), "a few attempts")
        assert said_done(topics) == 0
        server.execute(f'alter database "{name}" with allow_connections true')
    consumed(topics, 50)
    assert platform.scored() == ids(sent)
    assert "50 scored, 0 repeated" in consumer.stop()


def test_an_alerts_topic_that_cannot_be_written_holds_the_offsets_back(platform, topics):
    flags = topics.flags()
    flags[flags.index("--alerts-topic") + 1] = "not a topic"
    # Each one an alert: however the broker divides them into batches, none can be done with.
    send(topics.events, [risky_payment(user_id=f"user-{i}", country="KP") for i in range(20)])
    consumer = platform.consume(*flags)
    wait_for(lambda: consumer.said("NotPublished"), "a failed attempt")
    assert platform.scored()
    assert said_done(topics) == 0
