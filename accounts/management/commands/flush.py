"""Django's `flush`, which empties every table, the guarded audit trail included."""

from typing import Any

from django.core.management.commands.flush import Command as DjangoFlush
from django.db import connections, transaction

from accounts.audit_guard import install_guard, remove_guard


class Command(DjangoFlush):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        # Asked here, while the guard still stands.
        if options["interactive"] and not self._is_meant(connection.settings_dict["NAME"]):
            self.stdout.write("Nothing was changed.")
            return
        # As one: nobody meets the trail without its guard, and what fails leaves all as it was.
        with transaction.atomic(using=options["database"]):
            remove_guard(connection)
            super().handle(**options | {"interactive": False})
            # PostgreSQL makes no trigger on a table whose rows wait to be checked.
            connection.check_constraints()
            install_guard(connection)

    def _is_meant(self, database: object) -> bool:
        self.stdout.write(
            f"This empties every table of {database} for good, the audit trail included."
        )
        return input("Type yes to go on: ").strip() == "yes"
