"""Tables made from the last state are those that one operation after the other makes."""

import pytest
from django.apps import apps
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState

from accounts.tables_at_once import TablesAtOnce

pytestmark = pytest.mark.django_db(transaction=True)


def fill(state, schema_editor):
    shelf = state.get_model("jobs", "Shelf").objects.create(name="first")
    state.get_model("jobs", "Book").objects.create(shelf=shelf, title="one", pages=3)


def operations():
    shelf = models.ForeignKey("jobs.Shelf", models.CASCADE)
    return [
        migrations.CreateModel("Book", [("id", models.BigAutoField(primary_key=True))]),
        migrations.CreateModel(
            "Shelf",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.TextField(unique=True)),
            ],
        ),
        migrations.AddField("Book", "title", models.CharField(max_length=20, db_index=True)),
        migrations.AddField("Book", "pages", models.PositiveIntegerField()),
        migrations.AddField("Book", "shelf", shelf),
        migrations.AddField("Book", "others", models.ManyToManyField("jobs.Book")),
        migrations.AddIndex("Book", models.Index(fields=["-pages", "id"], name="book_pages")),
        migrations.AddConstraint(
            "Book",
            models.CheckConstraint(condition=models.Q(pages__gt=0), name="book_has_pages"),
        ),
        migrations.AddConstraint(
            "Book",
            models.UniqueConstraint(
                fields=["shelf", "title"], condition=models.Q(pages__lt=9), name="book_once"
            ),
        ),
        migrations.RunPython(fill),
    ]


def made_by(kind):
    """What such a migration leaves: columns and constraints of its tables, and rows."""
    migration = type("Migration", (kind,), {"operations": operations()})("0002_books", "jobs")
    state = ProjectState.from_apps(apps)
    assert state.apps
    with connection.schema_editor(atomic=True) as editor:
        after = migration.apply(state.clone(), editor)
    try:
        tables = ("jobs_book", "jobs_shelf", "jobs_book_others")
        with connection.cursor() as cursor:
            shape = [
                (
                    sorted(map(repr, connection.introspection.get_table_description(cursor, name))),
                    sorted(
                        repr(sorted(one.items(), key=str))
                        for one in connection.introspection.get_constraints(cursor, name).values()
                    ),
                )
                for name in tables
            ]
        rows = after.apps.get_model("jobs", "Book").objects.values_list("shelf__name", "pages")
        return shape, list(rows)
    finally:
        with connection.schema_editor() as editor:
            for name in ("Book", "Shelf"):
                editor.delete_model(after.apps.get_model("jobs", name))


def test_the_tables_are_those_of_one_operation_after_the_other():
    at_once, in_turns = made_by(TablesAtOnce), made_by(migrations.Migration)
    assert at_once == in_turns
    assert at_once[1] == [("first", 3)]


def test_what_changes_a_table_after_it_was_made_is_refused():
    altered = migrations.AlterField("Book", "title", models.TextField())
    kind = type("Migration", (TablesAtOnce,), {"operations": [*operations(), altered]})
    with pytest.raises(TypeError, match="title"), connection.schema_editor() as editor:
        kind("0002_books", "jobs").apply(ProjectState(), editor)
