"""Django's `changepassword`, which leaves its line in the audit trail."""

from typing import Any

from django.contrib.auth.management.commands import changepassword

from accounts.management.audited import audited_saves


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        with audited_saves("changepassword", actions=("user.password_set",)):
            return super().handle(*args, **options)
