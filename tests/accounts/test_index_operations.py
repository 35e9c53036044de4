"""The indexes of the audit trail change while others write to it."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)
OLD = {"audit_by_object", "audit_by_action"}
NEW = {"audit_by_subject", "audit_by_act", "audit_by_actor", "audit_by_time"}


def go_to(name):
    """Migrate; the statements that changed an index of the trail."""
    executor = MigrationExecutor(connection)
    targets = [("accounts", name)] if name else executor.loader.graph.leaf_nodes()
    with CaptureQueriesContext(
        connection,
    ) as said:
        executor.migrate(targets)
    return [row["sql"] for row in said if "INDEX" in row["sql"] and "audit_by" in row["sql"]]


def indexes():
    with connection.cursor() as cursor:
        table = AuditEntry._meta.db_table
        found = connection.introspection.get_constraints(cursor, table)
    return {name for name in found if name.startswith("audit_by")}


@pytest.fixture
def before():
    go_to("0004_user_rates")
    yield
    go_to("")


def test_the_indexes_change_there_and_back(before):
    assert indexes() == OLD
    there = go_to("0005_audit_search")
    assert indexes() == NEW
    made = [i for i, sql in enumerate(there) if sql.startswith("CREATE")]
    gone = [i for i, sql in enumerate(there) if any(name in sql for name in OLD)]
    assert (len(made), len(gone)) == (4, 2) and max(made) < min(gone)
    back = go_to("0004_user_rates")
    assert indexes() == OLD
    aside = connection.vendor == "postgresql"
    assert all(("CONCURRENTLY" in sql) == aside for sql in there + back)


def test_a_migration_that_was_broken_off_goes_on(before):
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX audit_by_time ON {AuditEntry._meta.db_table} (at)")
        cursor.execute("DROP INDEX audit_by_object")
    go_to("0005_audit_search")
    assert indexes() == NEW
