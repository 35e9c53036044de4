"""States in two parts, and how PostgreSQL keeps them (docs/adr/0013)."""

from django.db import migrations, models

# Windows of busy entities are noise to a compressor; a row's new version fits beside the old one.
STORAGE = (
    "ALTER TABLE scoring_entitystate ALTER COLUMN state SET STORAGE EXTERNAL,"
    " ALTER COLUMN tail SET STORAGE EXTERNAL",
    "ALTER TABLE scoring_entitystate SET (fillfactor = 70)",
)
UNDO = (
    "ALTER TABLE scoring_entitystate ALTER COLUMN state SET STORAGE EXTENDED,"
    " ALTER COLUMN tail SET STORAGE EXTENDED",
    "ALTER TABLE scoring_entitystate RESET (fillfactor)",
)


def _on_postgres(statements):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for statement in statements:
                schema_editor.execute(statement)

    return run


class Migration(migrations.Migration):
    dependencies = [("scoring", "0004_sources")]

    operations = [
        migrations.AddField(
            model_name="entitystate",
            name="tail",
            field=models.BinaryField(default=b""),
        ),
        migrations.RunPython(_on_postgres(STORAGE), _on_postgres(UNDO)),
    ]
