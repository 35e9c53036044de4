"""Django's `flush`, which empties every table, the guarded audit trail included."""

from typing import Any

from django.core.management.commands.flush import Command as DjangoFlush
from django.db import connections

from accounts.audit_guard import install_guard, remove_guard


class Command(DjangoFlush):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        remove_guard(connection)
        try:
            super().handle(**options)
        finally:
            install_guard(connection)
