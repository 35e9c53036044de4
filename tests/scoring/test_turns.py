"""Large calls compute one at a time, and nobody waits for one that waits."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from django.db import connection, connections, transaction

from scoring import postgres, turns
from scoring.models import EntityState, Prediction
from scoring.services import MOST_GROUPED, Outcome, Scored, score_events
from scoring.turns import Turns
from tests.factories import fraud, payment

LONG = 60.0
on_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")


class Room:
    """How many are inside at a time."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.inside -= 1


def test_of_many_threads_one_computes():
    turn, room = Turns(LONG), Room()

    def compute(_: int) -> None:
        with turn.taken():
            with room:
                threading.Event().wait(0.005)
            with turn.lent():
                threading.Event().wait(0.001)
            with room:
                threading.Event().wait(0.005)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(compute, range(24)))
    assert (room.most, room.inside) == (1, 0)


def test_whoever_waits_lends_its_turn():
    turn, went, waits = Turns(LONG), threading.Event(), threading.Event()

    def other() -> None:
        waits.wait(LONG)
        with turn.taken():
            went.set()

    with ThreadPoolExecutor(1) as pool, turn.taken():
        done = pool.submit(other)
        waits.set()
        assert not went.wait(0.05), "two had the turn"
        with turn.lent():
            assert went.wait(LONG)
        done.result(LONG)


def test_a_turn_that_does_not_come_is_not_waited_for_without_end():
    turn, release = Turns(0.05), threading.Event()

    def keep() -> None:
        with turn.taken():
            has.set()
            release.wait(LONG)

    has = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        kept = pool.submit(keep)
        assert has.wait(LONG)
        began = monotonic()
        with turn.taken(), turn.lent(), turn.lent():
            waited = monotonic() - began
        assert 0.05 <= waited < LONG
        release.set()
        kept.result(LONG)
    with turn.taken(), ThreadPoolExecutor(1) as pool:  # Nothing was given back that was not there.
        assert pool.submit(turn._lock.acquire, False).result(LONG) is False


def test_an_error_gives_the_turn_back():
    turn = Turns(LONG)
    with pytest.raises(ValueError, match="inside"), turn.taken(), turn.lent():
        raise ValueError("inside")
    assert turn._lock.acquire(blocking=False)


def test_who_takes_part_in_no_turn_lends_none():
    turn = Turns(LONG)
    turn._lock.acquire()
    with turn.lent():
        assert turn._lock.locked()
    assert turn._lock.locked()


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_a_batch_that_waits_for_anothers_windows_holds_up_no_batch(
    champion, fraud_detector, monkeypatch
):
    """With a turn that is never given up the second batch would never be answered."""
    monkeypatch.setattr(turns, "of_batches", Turns(LONG))
    score_events("payments", [payment(user_id="busy")])
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            list(EntityState.objects.select_for_update())
            waiting = pool.submit(score_and_leave, "payments", many("w", user_id="busy"))
            until_somebody_waits()
            found = score_in_another_thread("fraud", [fraud() for _ in range(MOST_GROUPED)])
            assert all(isinstance(outcome, Scored) for outcome in found)
            assert not waiting.done()
        assert all(isinstance(outcome, Scored) for outcome in waiting.result(LONG))


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_a_batch_that_waits_for_anothers_row_holds_up_no_batch(
    champion, fraud_detector, monkeypatch
):
    """It waits in COPY, for the unique index."""
    monkeypatch.setattr(turns, "of_batches", Turns(LONG))
    same = [fraud(transaction_id=f"same-{i}") for i in range(MOST_GROUPED)]
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            score_events("fraud", same[:1])
            waiting = pool.submit(score_and_leave, "fraud", same)
            until_somebody_waits()
            found = score_in_another_thread("payments", many("other"))
            assert all(isinstance(outcome, Scored) for outcome in found)
            assert not waiting.done()
        assert [outcome.created for outcome in waiting.result(LONG)].count(False) == 1


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_batches_of_the_same_events_at_once_store_each_once(champion, monkeypatch):
    monkeypatch.setattr(turns, "of_batches", Turns(LONG))
    events = many("same", user_id="busy")

    def send(_: int) -> list[bool]:
        try:
            return [outcome.created for outcome in score_events("payments", events)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(send, range(6)))
    assert [sum(created) for created in zip(*found, strict=True)] == [1] * len(events)
    assert Prediction.objects.count() == len(events)


def many(name: str, **fields: object) -> list[dict[str, object]]:
    return [payment(transaction_id=f"{name}-{i}", **fields) for i in range(MOST_GROUPED + 10)]


def score_and_leave(slug: str, raws: list[dict[str, object]]) -> list[Outcome]:
    try:
        return score_events(slug, raws)
    finally:
        connections.close_all()


def score_in_another_thread(slug: str, raws: list[dict[str, object]]) -> list[Outcome]:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(score_and_leave, slug, raws).result(LONG)


def until_somebody_waits() -> None:
    """Until a session waits for a lock that this one has."""
    sql = """SELECT count(*) FROM pg_locks
             WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"""
    end = monotonic() + LONG
    while monotonic() < end:
        if postgres.execute(sql, [], postgres.whole).rows() != [(0,)]:
            return
    raise AssertionError("Nobody waits.")
