"""Forget the index of links: sweeps make it anew, without labels that people had taken back.

The index of before 0009 did not say until when it had looked at labels taken back, so that those
which it never counted would have been subtracted.
"""

from django.db import migrations

TABLES = ("cases_entitylink", "cases_sharedvalue", "cases_knownentity", "cases_linkprogress")


def forget(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        if schema_editor.connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(TABLES)}")
            return
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


class Migration(migrations.Migration):
    dependencies = [("cases", "0015_keep_alert_limits")]
    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
