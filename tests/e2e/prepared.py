"""Installations that are made once a run and copied."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.e2e import shared

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "a-test-password-71"
PEOPLE = f"from riskplatform.demo import make_people; make_people({PASSWORD!r})"
PREPARED = f"prepared_{shared.RUN}"
LEFT_OUT = ("DATABASE_URL", "REDIS_URL")
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.e2e.settings"}
PRODUCTION = {
    "SECRET_KEY": "s" * 40,
    "ALLOWED_HOSTS": "127.0.0.1",
    "RISK_PII_KEYS": "test:dGVzdC1vbmx5LWtleS10aGF0LWhhcy0zMi1ieXRlcyE=",
}
"""What an installation on PostgreSQL must be told besides its database."""


def environ(var: Path, more: dict[str, str]) -> dict[str, str]:
    """The environment of an installation's processes."""
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    return {**kept, **SETTINGS, "RISK_VAR_DIR": str(var), **more}


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run a management command and give what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def prepared() -> Path:
    """On SQLite: with roles, the shipped detectors, static files and the demo's people."""
    return shared.once("prepared", lambda folder: _prepare(environ(folder, {})))


def prepared_on_postgres() -> tuple[str, Path]:
    """The name of a database of the test server, and a folder, with the same."""

    def make(folder: Path) -> None:
        copy_database("template1", PREPARED)
        _prepare(environ(folder, PRODUCTION | {"DATABASE_URL": database_url(PREPARED)}))

    return PREPARED, shared.once(PREPARED, make)


def remove() -> None:
    """Called when the run ends."""
    if (shared.FOLDER / PREPARED).exists():
        with psycopg.connect(os.environ["RISK_TEST_POSTGRES_URL"], autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{PREPARED}" WITH (FORCE)')
    shutil.rmtree(shared.FOLDER, ignore_errors=True)


def database_url(name: str) -> str:
    """Of a database on the test server."""
    return f"{os.environ['RISK_TEST_POSTGRES_URL'].rpartition('/')[0]}/{name}"


def copy_database(template: str, name: str) -> None:
    """Make a database like another one that nobody uses; what was called so is gone."""
    with psycopg.connect(os.environ["RISK_TEST_POSTGRES_URL"], autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def _prepare(environment: dict[str, str]) -> None:
    manage(environment, "prepare")
    manage(environment, "shell", "-v", "0", "-c", PEOPLE)
