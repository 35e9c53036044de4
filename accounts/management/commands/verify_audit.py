"""`manage.py verify_audit`: walk the audit trail; exit 1 and name the first broken entry."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.audit_chain import find_audit_break
from accounts.models import AuditEntry


class Command(BaseCommand):
    help = "Check the audit trail's chain and its signed end."

    def handle(self, *args: Any, **options: Any) -> None:
        # Before the walk, which leaves out what is written meanwhile.
        entries = AuditEntry.objects.count()
        found = find_audit_break()
        if found is not None:
            raise CommandError(f"The audit trail breaks at entry {found.number}: {found.reason}.")
        self.stdout.write(f"The audit trail is whole: {entries} entries.")
