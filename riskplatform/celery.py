"""The Celery application. Tasks live in each app's `tasks.py` under explicit names."""

import os

from celery import Celery
from celery.signals import beat_init, worker_init

from riskplatform.measurement_files import forget_gone_measurements

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "riskplatform.settings")

app = Celery("riskplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def refuse_other_keys(**_: object) -> None:
    """Neither begins with keys that are not the database's."""
    from accounts.own_keys import end_with_other_keys  # The models are not loaded with this file.

    end_with_other_keys()


@worker_init.connect
def forget_measurements(**_: object) -> None:
    """As the web server does when it starts."""
    forget_gone_measurements()
