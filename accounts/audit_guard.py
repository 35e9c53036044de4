"""Database triggers that keep the audit trail append-only, whoever writes.

Set up by a migration and again after every `migrate`: SQLite loses the triggers of a table that a
later migration remakes.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

_TABLE = "accounts_auditentry"

_INSTALL = {
    "sqlite": [
        f"CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON {_TABLE} "
        "BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END",
        f"CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON {_TABLE} "
        "BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit entries are never changed or deleted'; END $$",
        f"CREATE OR REPLACE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON {_TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
        f"CREATE OR REPLACE TRIGGER audit_no_truncate BEFORE TRUNCATE ON {_TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    ],
}
_REMOVE = {
    "sqlite": [
        "DROP TRIGGER IF EXISTS audit_no_update",
        "DROP TRIGGER IF EXISTS audit_no_delete",
    ],
    "postgresql": [
        f"DROP TRIGGER IF EXISTS audit_no_change ON {_TABLE}",
        f"DROP TRIGGER IF EXISTS audit_no_truncate ON {_TABLE}",
    ],
}


def install_guard(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers up where they are not; does nothing before the table exists."""
    if _TABLE in connection.introspection.table_names():
        _run(connection, _INSTALL[connection.vendor])


def remove_guard(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers down, for a command that empties the whole database."""
    if _TABLE in connection.introspection.table_names():
        _run(connection, _REMOVE[connection.vendor])


def _run(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
