"""The roof as an app: makes every process use our Celery application."""

from django.apps import AppConfig


class RiskplatformConfig(AppConfig):
    """Management commands, system checks, and the Celery application."""

    name = "riskplatform"

    def ready(self) -> None:
        from riskplatform import celery

        celery.app.set_default()
