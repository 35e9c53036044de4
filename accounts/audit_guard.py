"""Database triggers that keep the audit trail append-only, whoever writes.

Set up by a migration and again after every `migrate`: SQLite loses the triggers of a table that a
later migration remakes. Apps above name tables of theirs that are to be kept so too.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

_TABLE = "accounts_auditentry"

_GUARDED = {_TABLE: ("audit", "audit entries")}
"""By table: what its triggers are named after, and what they call its rows."""


def guard_table(table: str, *, name: str, rows: str) -> None:
    """Keep a table append-only too, from the next `migrate` on (call it in AppConfig.ready)."""
    _GUARDED[table] = (name, rows)


def _install(vendor: str, table: str) -> list[str]:
    name, rows = _GUARDED[table]
    if vendor == "sqlite":
        return [
            f"CREATE TRIGGER IF NOT EXISTS {name}_no_update BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{rows} are never changed'); END",
            f"CREATE TRIGGER IF NOT EXISTS {name}_no_delete BEFORE DELETE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{rows} are never deleted'); END",
        ]
    return [
        f"CREATE OR REPLACE FUNCTION {name}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{rows} are never changed or deleted'; END $$",
        f"CREATE OR REPLACE TRIGGER {name}_no_change BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {name}_refuse()",
        f"CREATE OR REPLACE TRIGGER {name}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}_refuse()",
    ]


def _remove(vendor: str, table: str) -> list[str]:
    name, _ = _GUARDED[table]
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {name}_no_{act}" for act in ("update", "delete")]
    return [f"DROP TRIGGER IF EXISTS {name}_no_{act} ON {table}" for act in ("change", "truncate")]


def install_guard(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers up where they are not; passes over tables that do not exist yet."""
    for table in _existing(connection):
        _run(connection, _install(connection.vendor, table))


def remove_guard(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers down, for a command that empties the whole database."""
    for table in _existing(connection):
        _run(connection, _remove(connection.vendor, table))


def _existing(connection: BaseDatabaseWrapper) -> list[str]:
    tables = set(connection.introspection.table_names())
    return [table for table in _GUARDED if table in tables]


def _run(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
