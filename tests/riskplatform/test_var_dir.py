"""Who else works on the machine reads nothing of an embedded installation."""

import os
import sqlite3
import stat

import pytest
from django.core.exceptions import ImproperlyConfigured

from riskplatform import var_dir
from riskplatform.var_dir import own_database, own_folder, own_temporary_folder
from tests.deploy.compose import filled_in, load_compose
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


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where this user's temporary folder would be made."""
    monkeypatch.setattr(var_dir, "gettempdir", lambda: str(tmp_path))
    return tmp_path / f"riskplatform-{os.geteuid()}"


def test_a_temporary_folder_is_its_user_s_alone_also_one_that_is_there(temporary):
    assert own_temporary_folder("X") == temporary
    assert mode(temporary) == "0o700"
    temporary.chmod(0o777)
    own_temporary_folder("X")
    assert mode(temporary) == "0o700"


def test_a_temporary_folder_that_somebody_else_made_is_refused(temporary, tmp_path, monkeypatch):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    temporary.symlink_to(theirs)
    with pytest.raises(ImproperlyConfigured, match=r"not a folder of this user.* in X"):
        own_temporary_folder("X")
    temporary.unlink()
    temporary.mkdir()
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    temporary.rename(tmp_path / f"riskplatform-{other}")
    with pytest.raises(ImproperlyConfigured, match="not a folder of this user"):
        own_temporary_folder("X")


def test_in_production_measurements_lie_in_that_folder(tmp_path):
    given = filled_in() | {"TMPDIR": str(tmp_path), "RISK_VAR_DIR": str(tmp_path / "var")}
    web = load_compose(given)["web"]["environment"] | given | {"PROMETHEUS_MULTIPROC_DIR": ""}
    show = "from riskplatform import settings; print(settings.PROMETHEUS_DIR)"
    done = run(["python", "-c", show], machine_environment(web))
    assert done.stdout.strip() == str(tmp_path / f"riskplatform-{os.geteuid()}"), done.stderr
    assert mode(tmp_path / f"riskplatform-{os.geteuid()}") == "0o700"


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


@pytest.mark.parametrize("below", ["", "var"])
def test_a_folder_that_cannot_be_is_refused_by_the_name_of_its_variable(tmp_path, below):
    taken = tmp_path / "taken"
    taken.touch()
    with pytest.raises(ImproperlyConfigured, match=r"taken.* cannot be made .*RISK_VAR_DIR"):
        own_folder(taken / below)
