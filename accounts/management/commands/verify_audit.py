"""`manage.py verify_audit`: walk the audit trail; exit 1 and name where it breaks."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.audit_chain import audit_breaks
from accounts.models import AuditEntry


class Command(BaseCommand):
    help = "Check the audit trail's chain and its signed end; status 1 where either is broken."

    def handle(self, *args: Any, **options: Any) -> None:
        # Before the walk, which leaves out what is written meanwhile.
        entries = AuditEntry.objects.count()
        found = [f"breaks at entry {one.number}: {one.reason}" for one in audit_breaks()]
        if found:
            raise CommandError(f"The audit trail {'; it '.join(found)}.")
        self.stdout.write(f"The audit trail is whole: {entries} entries.")
