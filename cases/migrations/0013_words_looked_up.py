"""PostgreSQL: tell the planner what reading the words of an alert costs.

An index over bare functions is passed over for reading row after row, because each counts as one
operation; making a tsvector of an alert's words takes as long as hundreds.
"""

from django.db import migrations

FORWARDS = (
    # In plpgsql: a function in SQL would be put in place of its call, and its cost with it.
    "CREATE OR REPLACE FUNCTION words_as_tsvector(words text) RETURNS tsvector"
    " LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS"
    " $$ BEGIN RETURN array_to_tsvector(string_to_array(btrim(words), ' ')); END $$",
    "DROP INDEX alert_words",
    "CREATE INDEX alert_words ON cases_alerttext USING gin (words_as_tsvector(words))",
    "ANALYZE cases_alerttext",
)
BACKWARDS = (
    "DROP INDEX alert_words",
    "CREATE INDEX alert_words ON cases_alerttext"
    " USING gin (array_to_tsvector(string_to_array(btrim(words), ' ')))",
    "DROP FUNCTION words_as_tsvector(text)",
)


def on_postgres(*statements):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for statement in statements:
                schema_editor.execute(statement)

    return run


class Migration(migrations.Migration):
    dependencies = [("cases", "0012_reports")]

    operations = [migrations.RunPython(on_postgres(*FORWARDS), on_postgres(*BACKWARDS))]
