"""Calls that share a commit: once each, all or nothing, and nobody pays for a neighbour."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.db import IntegrityError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from scoring import breakers, deployment, services, writer
from scoring.calls import Call
from scoring.core.windows import WindowStateError
from scoring.feature_store.database import DatabaseFeatureStore
from scoring.models import Detector, EntityState, Prediction, ScoreTally
from scoring.outages import FULL, LeftAlone, told_of
from scoring.recording import audit_draw
from scoring.services import Scored, score_event, score_events
from scoring.signals import predictions_recorded
from tests.factories import card, payment, risky_payment, scored, scored_many

THREADS = 16


def together(work, items, threads=THREADS):
    """`work` on every item at the same moment, results or errors in order."""
    barrier = threading.Barrier(min(threads, len(items)))

    def run(item):
        try:
            if not barrier.broken:
                barrier.wait(60)
            return work(item)
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, items))


@pytest.fixture
def commits(monkeypatch):
    """Commits wait: `reached` tells that one is due, `go` lets it through."""
    held = SimpleNamespace(reached=threading.Event(), go=threading.Event())
    postgresql = connection.vendor == "postgresql"
    owner, name = (writer, "commit_early") if postgresql else (BaseDatabaseWrapper, "commit")
    commit = getattr(owner, name)

    def late(*args):
        held.reached.set()
        held.go.wait(10)
        return commit(*args)

    monkeypatch.setattr(owner, name, late)
    return held


@pytest.mark.django_db(transaction=True)
def test_a_thousand_duplicates_by_32_threads_make_one_prediction(champion):
    raw = payment()
    with ThreadPoolExecutor(32) as pool:

        def ask(_):
            try:
                return score_event("payments", dict(raw))
            finally:
                connections.close_all()

        found = list(pool.map(ask, range(1000)))
    assert sum(outcome.created for outcome in found) == 1
    (row,) = Prediction.objects.all()
    assert {outcome.prediction.pk for outcome in found} == {row.pk}
    assert {outcome.prediction.score for outcome in found} == {row.score}
    assert ScoreTally.objects.get().count == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_calls_share_commits(payments_detector, groups):
    together(lambda i: scored("payments", payment(transaction_id=f"e{i}")), range(64))
    assert Prediction.objects.count() == sum(groups) == 64
    assert len(groups) < 64


@pytest.mark.django_db(transaction=True)
def test_detectors_share_a_commit_too(payments_detector, cards_detector):
    asks = [("payments", payment()) for _ in range(8)] + [("cards", card(i)) for i in range(8)]
    found = together(lambda ask: score_event(*ask), asks)
    assert all(isinstance(outcome, Scored) for outcome in found)
    assert Prediction.objects.filter(detector=cards_detector).count() == 8


@pytest.mark.django_db(transaction=True)
def test_a_call_that_cannot_be_stored_fails_alone(payments_detector, monkeypatch):
    write = writer.write_predictions

    def refuse_one(rows, *trip):
        if any(row.external_id == "bad" for row in rows):
            raise ValueError("cannot be stored")
        write(rows, *trip)

    monkeypatch.setattr(writer, "write_predictions", refuse_one)
    ids = [*(f"good{i}" for i in range(15)), "bad"]
    found = together(lambda name: scored("payments", payment(transaction_id=name)), ids)
    assert [isinstance(outcome, ValueError) for outcome in found] == [False] * 15 + [True]
    assert Prediction.objects.count() == 15


@pytest.mark.django_db(transaction=True)
def test_a_leader_that_is_killed_half_way_leaves_nothing(payments_detector, monkeypatch):
    def die(self, *args, **kwargs):
        raise SystemExit("killed")

    monkeypatch.setattr(DatabaseFeatureStore, "save", die)
    with pytest.raises(SystemExit):
        score_event("payments", payment())
    assert not Prediction.objects.exists()
    assert not EntityState.objects.exclude(state=b"").exists()
    assert not ScoreTally.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_answer_comes_after_the_commit(payments_detector, commits):
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(together, lambda raw: scored("payments", raw).pk, [payment()])
        try:
            assert commits.reached.wait(5)
            assert wait([answer], 0.3).not_done
        finally:
            commits.go.set()
        assert answer.result(5) == [Prediction.objects.get().pk]


@pytest.mark.django_db(transaction=True)
def test_a_promotion_between_the_two_reads_costs_one_more_try(payments_detector, monkeypatch):
    ask, calls = DatabaseFeatureStore.ask, []

    def fail_once(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise WindowStateError("kept for other columns")
        return ask(self, *args, **kwargs)

    monkeypatch.setattr(DatabaseFeatureStore, "ask", fail_once)
    assert scored("payments", payment()).pk
    assert len(calls) == 2


@pytest.mark.django_db(transaction=True)
def test_what_needs_a_human_is_announced_before_the_answer(payments_detector):
    heard = []

    def listen(predictions, **kwargs):
        heard.extend(row.external_id for row in predictions)

    predictions_recorded.connect(listen)
    try:
        score_event("payments", risky_payment(transaction_id="one"))
        assert heard == ["one"]
        score_events("payments", [risky_payment(transaction_id=f"e{i}") for i in range(60)])
        assert len(heard) == 61
        score_events("payments", [risky_payment(transaction_id="quiet")], announce=False)
        score_event("payments", payment(transaction_id="harmless"))
        assert len(heard) == 61
    finally:
        predictions_recorded.disconnect(listen)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "tries"), [(IntegrityError, 3), (WindowStateError, 2), (ValueError, 1)]
)
def test_what_another_try_can_help_is_tried_again_and_is_no_dead_database(
    payments_detector, monkeypatch, error, tries
):
    calls = []

    def fail(group, *, again):
        calls.append(again)
        raise error("somebody was faster")

    monkeypatch.setattr(services, "_store_calls", fail)
    for _ in range(6):
        calls.clear()
        with pytest.raises(error, match="faster"):
            score_event("payments", payment())
        assert calls == [False, True, True][:tries]
    assert breakers.states()["database"] == "CLOSED"


@pytest.mark.django_db
def test_a_database_that_is_gone_is_left_alone_for_a_while(payments_detector, monkeypatch):
    calls = []

    def gone(group, **again):
        calls.append(1)
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(services, "_store_calls", gone)
    for _ in range(8):
        with pytest.raises(OperationalError):
            score_event("payments", payment())
    assert len(calls) == breakers.breaker("database").failures
    assert breakers.states()["database"] == "OPEN"
    assert not Prediction.objects.exists()


@pytest.fixture
def full_disk(only_on_sqlite):
    """The database may grow by nothing: SQLite says what it says on a full disk."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # What earlier tests deleted leaves room.
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        yield
        cursor.execute("PRAGMA max_page_count = 1073741823")


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_is_told_as_one_also_while_the_database_is_left_alone(
    payments_detector, full_disk
):
    told = []
    for n in range(200):
        try:
            score_event("payments", payment(transaction_id=f"t-{n}", user_id=f"u-{n}"))
        except OperationalError as error:
            told.append(told_of(error))
    with pytest.raises(LeftAlone) as left:
        score_event("payments", payment())
    assert {*told, told_of(left.value)} == {FULL}


@pytest.mark.django_db(transaction=True)
def test_a_writer_that_takes_long_is_no_dead_database(payments_detector, only_on_sqlite):
    score_event("payments", payment())
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connection.cursor().execute("PRAGMA busy_timeout = 1")
    for _ in range(breakers.breaker("database").failures + 1):
        with pytest.raises(OperationalError, match="locked"):
            score_event("payments", payment())
    other.close()
    assert breakers.states()["database"] == "CLOSED"
    assert scored("payments", payment()).pk


@pytest.mark.django_db(transaction=True)
def test_a_group_waits_once_for_a_writer_that_takes_long(
    payments_detector, only_on_sqlite, monkeypatch
):
    waits, store = [], services._store_calls

    def counted(calls, **again):
        waits.append(len(calls))
        store(calls, **again)

    monkeypatch.setattr(services, "_store_calls", counted)
    calls = [Call("payments", [payment()], announce=False) for _ in range(3)]
    for call in calls:
        call.read(deployment.serving("payments"))
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connection.cursor().execute("PRAGMA busy_timeout = 1")
    services.score_calls(calls)
    other.close()
    assert waits == [3]
    assert all("locked" in str(call.error) for call in calls)


@pytest.mark.django_db
def test_predictions_are_tallied_by_hour_and_outcome(payments_detector):
    scored_many("payments", [payment() for _ in range(30)])
    row = scored("payments", risky_payment())
    tallies = {(t.risk_level, t.decision): t for t in ScoreTally.objects.all()}
    assert {key: tally.count for key, tally in tallies.items()} == {
        ("LOW", "APPROVE"): 30,
        ("HIGH", "REVIEW"): 1,
    }
    tally = tallies["HIGH", "REVIEW"]
    assert (tally.degraded, tally.risk_count, tally.latency_us) == (1, 0, row.latency_us)
    assert tally.hour == row.received_at.replace(minute=0, second=0, microsecond=0)


@pytest.mark.django_db
def test_tallies_add_up_the_risk(champion):
    rows = [scored("payments", payment(amount=amount)) for amount in (10.0, 20.0, 900.0)]
    total = sum(tally.risk_sum for tally in ScoreTally.objects.all())
    assert total == pytest.approx(sum(row.probability for row in rows))


@pytest.mark.django_db
def test_the_audit_draws_by_a_keyed_lot(payments_detector, monkeypatch):
    policy = services.deployment.serving("payments").policy
    audited = replace(policy, audit_rate=0.5)
    monkeypatch.setattr("scoring.policy_store.policy", lambda *args: audited)
    services.deployment._latest.clear()
    rows = scored_many("payments", [payment(transaction_id=f"e{i}") for i in range(60)])
    drawn = {row.external_id for row in rows if row.selection_reason == "random_audit"}
    assert drawn == {
        row.external_id for row in rows if audit_draw("payments", row.external_id) < 0.5
    }
    assert 10 < len(drawn) < 50
    assert {row.propensity for row in rows} == {0.5}


@pytest.mark.django_db
def test_a_prediction_says_which_policy_decided(payments_detector):
    row = scored("payments", payment())
    assert row.policy_digest == Detector.objects.get(slug="payments").policy_digest


@pytest.mark.django_db
def test_a_row_made_at_once_has_every_column(champion):
    row = scored("payments", payment())
    columns = {field.attname for field in Prediction._meta.concrete_fields}
    assert row.__dict__.keys() == columns | {"_state"}
    again = Prediction.objects.get(pk=row.pk)
    assert {n: _plain(getattr(again, n)) for n in columns} == {
        n: _plain(getattr(row, n)) for n in columns
    }


def _plain(value):
    return bytes(value) if isinstance(value, memoryview) else value


@pytest.mark.django_db
def test_few_rows_and_many_are_stored_alike(champion):
    raws = [payment(transaction_id=f"e{i}", amount=10.0 + i / 7) for i in range(60)]
    few = [scored("payments", raw) for raw in raws[:3]]
    many = score_events("payments", raws[3:])
    stored = {row.external_id: row for row in Prediction.objects.all()}
    for row in [*few, *(outcome.prediction for outcome in many)]:
        again = stored[row.external_id]
        assert (again.score, again.exposure, again.reasons) == (
            row.score,
            row.exposure,
            row.reasons,
        )
        assert bytes(again.vector) == row.vector
