"""`manage.py` tells an operator in a sentence what they can mend, and shows where a bug is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, OperationalError, ProgrammingError

from riskplatform.command_line import NOT_PREPARED, explain
from scoring.core.reader import UnreadableDeclaration
from scoring.deployment import NothingServes

ROOT = Path(__file__).resolve().parent.parent.parent


def manage(var, *words, **settings):
    """What `manage.py` prints where something is wrong, and its exit code."""
    ours = ("RISK_", "DATABASE_URL", "SECRET_KEY", "DJANGO_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environ | {"RISK_VAR_DIR": str(var)} | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr, done.returncode


def test_a_database_that_was_not_prepared_says_how_to_prepare_it(tmp_path):
    said, code = manage(tmp_path, "verify_audit")
    assert (said.count("\n"), code) == (1, 1)
    assert said.startswith(f"{NOT_PREPARED} (no such table: ")


def test_a_setting_that_is_refused_is_a_sentence(tmp_path):
    said, code = manage(tmp_path, "verify_audit", RISK_PII_KEYS="abc")
    assert (said.count("\n"), code) == (1, 1)
    assert said.startswith("A setting is refused. RISK_PII_KEYS: each entry is id:base64")


def test_who_asks_where_it_happened_is_shown(tmp_path):
    said, code = manage(tmp_path, "verify_audit", "--traceback")
    assert "Traceback (most recent call last)" in said
    assert code == 1


def of_postgresql(state):
    error = ProgrammingError('relation "x" does not exist')
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": state})()
    return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (of_postgresql("42P01"), NOT_PREPARED),
        (of_postgresql("42703"), NOT_PREPARED),
        (OperationalError("no such column: a.b"), NOT_PREPARED),
        (OperationalError("connection refused\n\tIs it running?"), "refused Is it running?"),
        (ImproperlyConfigured("X must be set."), "A setting is refused. X must be set."),
        (UnreadableDeclaration("payments", [("event", "gone")]), "The declaration of payments"),
        (NothingServes("No bundle of payments loads."), "No bundle of payments loads."),
    ],
)
def test_what_an_operator_can_mend_is_told(error, told):
    assert told in explain(error)


@pytest.mark.parametrize("error", [of_postgresql("42601"), DataError("too long"), KeyError("x")])
def test_a_bug_is_shown_where_it_is(error):
    assert explain(error) is None
