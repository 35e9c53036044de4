"""Writers of one SQLite file take turns: who writes all the time locks nobody out."""

import subprocess
import sys
import time
from contextlib import closing, contextmanager
from threading import Thread

import pytest
from django.conf import settings
from django.db.utils import ConnectionHandler, OperationalError

from riskplatform.environment import SQLITE
from riskplatform.fair_sqlite3.turns import Turns
from riskplatform.settings import DATABASES

pytestmark = pytest.mark.django_db  # For connections besides the tests' own.
ENGINE = SQLITE
HELD = 0.03
"""Seconds of one transaction of those who write all the time."""
BUSY = """
import sys, threading, time
from django.conf import settings
settings.configure()
from tests.riskplatform.test_fair_sqlite3 import HELD, opened
def write_on():
    with opened(sys.argv[1], sys.argv[2]) as database:
        while True:
            with database.cursor() as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                cursor.execute("UPDATE counts SET n = n + 1")
                time.sleep(HELD)
            database.commit()
            busy.set()
busy = threading.Event()
for _ in range(2):
    threading.Thread(target=write_on, daemon=True).start()
busy.wait()
print("busy", flush=True)
time.sleep(60)
"""  # fmt: skip


@contextmanager
def opened(path, engine=ENGINE):
    """A connection of its own to the file."""
    options = {"transaction_mode": "IMMEDIATE", "timeout": 20}
    options["init_command"] = "PRAGMA journal_mode=WAL;PRAGMA synchronous=OFF;"
    named = {"ENGINE": engine, "NAME": str(path), "OPTIONS": options}
    with closing(ConnectionHandler({"default": named})["default"]) as database:
        yield database


@pytest.fixture
def path(tmp_path):
    with opened(tmp_path / "counted.db") as database, database.cursor() as cursor:
        cursor.execute("CREATE TABLE counts (n integer)")
        cursor.execute("INSERT INTO counts VALUES (0)")
    return tmp_path / "counted.db"


@contextmanager
def busy_process(path):
    """Another process, two threads of which write one transaction after another."""
    command = [sys.executable, "-c", BUSY, str(path), ENGINE]
    with subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"busy\n"
            yield process
        finally:
            process.kill()


def add_one(database):
    """Seconds that one statement takes, outside of any transaction."""
    begun = time.monotonic()
    with database.cursor() as cursor:
        cursor.execute("UPDATE counts SET n = n + 1")
    return time.monotonic() - begun


def test_the_platform_writes_by_turns():
    assert DATABASES["default"]["ENGINE"] in (ENGINE, "django.db.backends.postgresql")


def test_a_process_that_writes_on_and_on_lets_others_in(path):
    with busy_process(path), opened(path) as database:
        waits = [add_one(database) for _ in range(40)]
    assert max(waits) < 2


def test_a_turn_ends_with_its_process(path):
    with opened(path) as database:
        with busy_process(path) as process:
            add_one(database)
            process.kill()
        assert add_one(database) < 1


def test_a_transaction_that_fails_gives_its_turn(path):
    with opened(path) as first, opened(path) as second:
        for end in (first.rollback, first.close):
            with first.cursor() as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                with pytest.raises(OperationalError):
                    cursor.execute("UPDATE nothing SET n = 1")
            end()
            assert add_one(second) < 1


def test_threads_of_one_process_take_turns(tmp_path):
    turns, order = Turns(str(tmp_path / "turn")), []
    assert turns.take(1)

    def wait():
        order.append(turns.take(5))
        turns.give()

    thread = Thread(target=wait)
    thread.start()
    assert not turns.take(0.05)
    turns.give()
    thread.join()
    assert order == [True] and turns.take(1)


def test_without_a_lock_file_sqlite_goes_on_by_itself(path, monkeypatch):
    path.with_name("counted.db-turn").unlink()
    path.with_name("counted.db-turn").mkdir()
    monkeypatch.setattr("riskplatform.fair_sqlite3.turns._by_path", {})
    with opened(path) as database:
        assert add_one(database) < 1
        assert not Turns(f"{path}-turn").take(0.01)
