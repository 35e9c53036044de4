"""Operations of migrations that change the indexes of large tables while others write to them.

PostgreSQL builds and drops them CONCURRENTLY, other databases as usual. Their migration says
`atomic = False`, so that it may end half-way: each operation may run again, and one that was broken
off (PostgreSQL leaves an invalid index) starts anew.
"""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex, RemoveIndex
from django.db.migrations.state import ProjectState
from django.db.models import Index, Model


class AddIndexAside(AddIndex):
    """Add an index without keeping writers waiting."""

    atomic = False

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _add(schema_editor, model, self.index)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _drop(schema_editor, self.index.name)


class RemoveIndexAside(RemoveIndex):
    """Remove an index without keeping writers waiting."""

    atomic = False

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _drop(schema_editor, self.name)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            state = to_state.models[app_label, self.model_name_lower]
            _add(schema_editor, model, state.get_index_by_name(self.name))


def _add(schema_editor: BaseDatabaseSchemaEditor, model: type[Model], index: Index) -> None:
    _drop(schema_editor, index.name)
    aside: dict[str, Any] = {"concurrently": True} if _may_aside(schema_editor) else {}
    schema_editor.add_index(model, index, **aside)


def _drop(schema_editor: BaseDatabaseSchemaEditor, name: str) -> None:
    aside = "CONCURRENTLY " if _may_aside(schema_editor) else ""
    schema_editor.execute(f"DROP INDEX {aside}IF EXISTS {schema_editor.quote_name(name)}")


def _may_aside(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    return schema_editor.connection.vendor == "postgresql"
