"""What the database promises about what it acknowledged."""

from django.db import connection


def durability() -> dict[str, str]:
    """How the database promises to keep what it acknowledged."""
    names = ("fsync", "synchronous_commit")
    if connection.vendor == "sqlite":
        names = ("journal_mode", "synchronous")
    verb = "PRAGMA" if connection.vendor == "sqlite" else "SHOW"
    found = {}
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"{verb} {name}")
            found[name] = str(cursor.fetchone()[0])
    return found
