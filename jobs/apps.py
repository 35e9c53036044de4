"""Background work: the `Job` row, its worker's handle, its pages."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"
