"""Trips to PostgreSQL: several statements, one wait, Django's transaction and Django's errors."""

import psycopg
import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from scoring import postgres, services, writer
from scoring.postgres import Trip
from tests.factories import payment, scored

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL"),
]
DELETE = f"DELETE FROM {writer.PREDICTIONS} WHERE id = %s::uuid"  # noqa: S608 - our own names
REPEAT = f"""
    INSERT INTO {writer.PREDICTIONS} SELECT * FROM {writer.PREDICTIONS} WHERE id = %s::uuid
"""  # noqa: S608 - our own names
ECHO = "SELECT %s::text, %s::bigint, %s::bytea"
READS = (postgres.text, postgres.whole, bytes)


def test_what_goes_there_comes_back_the_same():
    values = ["ä\\'\"\t{},\u4e2d", -(2**62), bytes(range(256))]
    assert postgres.execute(ECHO, values, *READS).rows() == [tuple(values)]


@pytest.mark.parametrize(
    ("kind", "read", "items"),
    [
        ("text", postgres.text, ["", "a,b", '"', "\\", "NULL", "ünï"]),
        ("bytea", bytes, [b"", b"\x00\xff", b"\\x41"]),
    ],
)
def test_lists_travel_in_binary(kind, read, items):
    rows = postgres.execute(f"SELECT unnest(%s::{kind}[])", [items], read).rows()
    assert [item for (item,) in rows] == items


def test_null_is_none_and_time_is_utc():
    sql = "SELECT NULL::text, timestamptz '2026-11-21 10:00:00.000001+02'"
    [(nothing, at)] = postgres.execute(sql, [], postgres.text, postgres.moment).rows()
    assert nothing is None
    assert at.isoformat() == "2026-11-21T08:00:00.000001+00:00"


def test_all_statements_of_a_trip_answer_in_their_order():
    trip = Trip()
    asked = [trip.ask("SELECT %s::bigint", [i], postgres.whole) for i in range(20)]
    trip.go()
    assert [answer.rows() for answer in asked] == [[(i,)] for i in range(20)]


def test_nothing_is_known_before_the_trip():
    with pytest.raises(RuntimeError):
        Trip().ask("SELECT 1", []).rows()


def test_the_first_trip_begins_djangos_transaction_and_its_end_rolls_back(payments_detector):
    row = scored("payments", payment())
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        postgres.execute(DELETE, [str(row.pk)])
        raise ZeroDivisionError
    row.refresh_from_db()


def test_a_wrong_statement_is_djangos_error_and_spares_the_connection(payments_detector):
    row = scored("payments", payment())
    trip = Trip()
    before = connection.connection
    with pytest.raises(IntegrityError), transaction.atomic():
        trip.ask("SELECT 1", [])
        trip.ask(REPEAT, [str(row.pk)])
        after = trip.ask("SELECT 2", [])
        trip.go()
    with pytest.raises(RuntimeError):
        after.rows()
    assert postgres.execute("SELECT %s::bigint", [7], postgres.whole).rows() == [(7,)]
    assert connection.connection is before


def test_a_value_of_the_wrong_kind_is_djangos_error():
    with pytest.raises(DataError):
        postgres.execute("SELECT %s::bigint", ["many"], postgres.whole)


def test_a_server_that_ends_the_session_is_an_operational_error():
    [(pid,)] = postgres.execute("SELECT pg_backend_pid()::bigint", [], postgres.whole).rows()
    settings = connection.get_connection_params() | {"autocommit": True}
    kept = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: settings[name] for name in kept}, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(OperationalError):
        for _ in range(3):
            postgres.execute("SELECT 1", [])
    connection.close()
    assert postgres.execute("SELECT %s::bigint", [1], postgres.whole).rows() == [(1,)]


def test_a_server_that_says_nothing_is_left_after_a_while():
    trip = Trip(patience=0.1)
    trip.ask("SELECT pg_sleep(5)", [])
    with pytest.raises(OperationalError, match=r"has not answered for 0.1 s"):
        trip.go()
    connection.close()
    assert postgres.execute("SELECT %s::bigint", [1], postgres.whole).rows() == [(1,)]


def test_scoring_does_not_wait_for_a_silent_server_without_end(payments_detector, monkeypatch):
    monkeypatch.setattr(writer, "SILENCE", 0.2)
    monkeypatch.setattr(services, "ATTEMPTS", 1)
    lock = f"LOCK TABLE {writer.PREDICTIONS} IN ACCESS EXCLUSIVE MODE"
    settings = connection.get_connection_params()
    kept = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: settings[name] for name in kept}) as other:
        other.execute(lock)
        with pytest.raises(OperationalError, match="has not answered"):
            services.score_event("payments", payment())
    assert scored("payments", payment()).pk


def test_a_plan_is_made_anew_now_and_then_and_the_old_one_is_let_go():
    def prepared():
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM pg_prepared_statements WHERE name LIKE 'risk%'")
            return {name for (name,) in cursor.fetchall()}

    sql, names = "SELECT %s::bigint + 100", set()
    before = prepared()
    for i in range(100):
        assert postgres.execute(sql, [i], postgres.whole).rows() == [(i + 100,)]
        names |= prepared() - before
    assert 4 <= len(names) <= 5  # Made at 0, 8, 24 and 56 uses.
    assert len(prepared() - before) == 1


def test_behind_a_pooler_nothing_is_prepared(settings):
    settings.DATABASE_PREPARED_STATEMENTS = False
    connection.ensure_connection()
    before = dict(postgres._prepared.get(connection.connection, {}))
    assert postgres.execute("SELECT %s::bigint - 5", [9], postgres.whole).rows() == [(4,)]
    assert postgres._prepared.get(connection.connection, {}) == before


def test_tables_without_statistics_are_introduced_to_the_planner(payments_detector, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {writer.STATES}")
        cursor.execute("UPDATE pg_class SET reltuples = -1 WHERE relname = %s", [writer.STATES])
    monkeypatch.setattr(writer, "_written", 0)
    writer.introduce_tables(499)
    asked = [[writer.STATES]]
    assert len(postgres.execute(writer.NEW_TABLES, asked, postgres.text).rows()) == 1
    writer.introduce_tables(1)
    assert postgres.execute(writer.NEW_TABLES, asked, postgres.text).rows() == []
