"""Squashed migrations that make a new database in a tenth of the time.

After each operation Django renders anew every model that is related to the one it changed, and by
users and detectors nearly all of ours are: a quarter of a minute for a hundred tables.
"""

from django.db import migrations, router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    CreateModel,
    RunPython,
)
from django.db.migrations.state import ProjectState

SHAPES = (AddConstraint, AddField, AddIndex, CreateModel)
"""Operations that a table which is made from the last state has behind it."""
ALLOWED = (*SHAPES, RunPython)


class TablesAtOnce(migrations.Migration):
    """Makes each table as it is after all operations; functions run after that, in their order.

    Other operations raise TypeError: they belong in a migration of their own.
    """

    def apply(
        self,
        project_state: ProjectState,
        schema_editor: BaseDatabaseSchemaEditor,
        collect_sql: bool = False,
    ) -> ProjectState:
        """See Migration."""
        for operation in self.operations:
            if not isinstance(operation, ALLOWED):
                raise TypeError(f"'{operation.describe()}' belongs in a migration of its own.")
        state = project_state.clone()
        state.__dict__.pop("apps", None)  # Rendered once, when all is known.
        for operation in self.operations:
            operation.state_forwards(self.app_label, state)
        database = schema_editor.connection.alias
        for operation in self.operations:
            if isinstance(operation, CreateModel):
                model = state.apps.get_model(self.app_label, operation.name)
                if router.allow_migrate_model(database, model):
                    schema_editor.create_model(model)
            elif isinstance(operation, RunPython):
                operation.database_forwards(self.app_label, schema_editor, state, state)
        return state
