"""The roof as an app: makes every process use our Celery application."""

from django.apps import AppConfig


class RiskplatformConfig(AppConfig):
    """Management commands, system checks, the Celery application, the pages of rows."""

    name = "riskplatform"

    def ready(self) -> None:
        from accounts.facts import name_pages
        from riskplatform import celery, subjects

        celery.app.set_default()
        name_pages(subjects.PAGES)
