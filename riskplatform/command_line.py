"""`manage.py`: what an operator can mend is said in a sentence, not in a traceback.

A setting that was refused, a database that is not there or was not prepared for this version, a
declaration or a bundle that is stored and cannot be read any more.
Everything else is a bug and shows where it is, as `--traceback` does of these too.
"""

import sys
from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import InterfaceError, OperationalError

NOT_PREPARED = "The database is not prepared for this version: run `manage.py prepare`"
LACKS = ("no such table", "no such column")
LACKS_STATES = ("42P01", "42703")
"""SQLSTATE of an undefined table and an undefined column (PostgreSQL's appendix A)."""


def run(argv: Sequence[str]) -> None:
    """Run the command. Exits with 1 where it cannot, and says why."""
    try:
        execute_from_command_line(list(argv))
    except Exception as error:
        told = None if "--traceback" in argv else explain(error)
        if told is None:
            raise
        sys.exit(told)


def explain(error: Exception) -> str | None:
    """What to tell an operator of it; None where it is a bug of ours."""
    said = " ".join(str(error).split())
    if isinstance(error, ImproperlyConfigured):
        return f"A setting is refused. {said}"
    if _is_unreadable(error):
        return said
    state = getattr(error.__cause__, "sqlstate", None)
    if state in LACKS_STATES or said.startswith(LACKS):
        return f"{NOT_PREPARED} ({said})."
    if isinstance(error, OperationalError | InterfaceError):
        return f"The database cannot be used: {said}"
    return None


def _is_unreadable(error: Exception) -> bool:
    # Only here: what they bring along would make every command begin later.
    from scoring.core.bundle import BundleError
    from scoring.core.reader import UnreadableDeclaration

    return isinstance(error, BundleError | UnreadableDeclaration)
