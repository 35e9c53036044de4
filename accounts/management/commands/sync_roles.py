"""`manage.py sync_roles`: make the groups equal to the table in accounts/roles.py."""

from typing import Any

from django.core.management.base import BaseCommand

from accounts.services import sync_roles


class Command(BaseCommand):
    help = "Make the roles (groups and their permissions) equal to the table in accounts/roles.py."

    def handle(self, *args: Any, **options: Any) -> None:
        for role, permissions in sync_roles().items():
            self.stdout.write(f"{role}: {permissions} permissions")
