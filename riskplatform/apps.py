"""The roof as an app: makes every process use our Celery application."""

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class RiskplatformConfig(AppConfig):
    """Management commands, system checks, the Celery application, the pages of rows, the tasks."""

    name = "riskplatform"

    def ready(self) -> None:
        from accounts.facts import name_pages
        from notifications.abouts import read_names
        from riskplatform import celery, scheduling, subjects
        from scoring.selectors import detector_names

        celery.app.set_default()
        name_pages(subjects.PAGES)
        read_names(detector_names)
        post_migrate.connect(
            scheduling.make_tasks_after_migrate,
            sender=apps.get_app_config("django_celery_beat"),
            dispatch_uid="riskplatform.after_migrate",
        )
