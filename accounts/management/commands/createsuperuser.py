"""Django's `createsuperuser`, which leaves its lines in the audit trail."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser

from accounts.management.audited import audited_saves
from accounts.selectors import ids_named


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with audited_saves("createsuperuser", actions=("user.created", "user.superuser_made")):
            super().handle(*args, **options)

    def _validate_username(self, username: str, name: str, database: str) -> str | None:
        """What is wrong with a user name; also one that is taken in other letters."""
        found: str | None = super()._validate_username(username, name, database)  # type: ignore[misc]
        if found is None and ids_named(username):
            return "Error: Another user has this name."
        return found
