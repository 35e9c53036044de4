"""The cases app."""

from django.apps import AppConfig


class CasesConfig(AppConfig):
    """Alerts and cases for analysts; listens to scoring's signal."""

    name = "cases"

    def ready(self) -> None:
        from cases import receivers

        receivers.connect()
