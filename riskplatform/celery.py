"""The Celery application. Tasks live in each app's `tasks.py` under explicit names."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "riskplatform.settings")

app = Celery("riskplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
