"""Who else works on the machine reads nothing of an embedded installation."""

import os
import sqlite3
import stat

import pytest

from riskplatform.var_dir import own_database, own_folder
from tests.deploy.processes import machine_environment, run

START = """
import django
django.setup()
from django.db import connection
connection.cursor().execute("CREATE TABLE kept (id)")
"""


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_a_new_installation_is_its_owner_s_alone(tmp_path):
    var = tmp_path / "var"
    given = {"DJANGO_SETTINGS_MODULE": "riskplatform.settings", "RISK_VAR_DIR": str(var)}
    done = run(["python", "-c", START], machine_environment(given))
    assert done.returncode == 0, done.stderr
    assert {mode(var), mode(var / "broker")} == {"0o700"}
    assert {mode(path) for path in var.glob("riskplatform.db*")} == {"0o600"}


def test_journals_have_the_mode_of_their_database(tmp_path):
    path = own_database(tmp_path / "a.db")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE kept (id)")
        assert {mode(file) for file in tmp_path.glob("a.db-*")} == {"0o600"}
    database.close()


def test_what_an_earlier_version_left_open_is_closed_to_others_and_not_to_the_group(tmp_path):
    tmp_path.chmod(0o755)
    for name in ("a.db", "a.db-wal", "a.db-shm"):
        (tmp_path / name).touch(mode=0o644)
    own_folder(tmp_path)
    own_database(tmp_path / "a.db")
    assert mode(tmp_path) == "0o750"
    assert {mode(path) for path in tmp_path.iterdir()} == {"0o640"}


def test_a_folder_that_others_chose_is_left_as_it_is(tmp_path):
    tmp_path.chmod(0o755)
    own_folder(tmp_path, ours=False)
    assert mode(tmp_path) == "0o755"
