"""The Celery application. Tasks live in each app's `tasks.py` under explicit names."""

import os

from celery import Celery
from celery.signals import worker_init

from riskplatform.measurement_files import forget_gone_measurements

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "riskplatform.settings")

app = Celery("riskplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def forget_measurements(**_: object) -> None:
    """As the web server does when it starts."""
    forget_gone_measurements()
