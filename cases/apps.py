"""The cases app."""

from django.apps import AppConfig


class CasesConfig(AppConfig):
    """Alerts and cases for analysts; listens to scoring's signal."""

    name = "cases"

    def ready(self) -> None:
        from accounts.audit_guard import guard_table
        from cases import people, receivers

        receivers.connect()
        people.connect()
        guard_table("cases_caseevent", name="timeline", rows="entries of a timeline")
