"""`manage.py prepare`: migrate, make roles and detectors, collect static files."""

from typing import Any

from django.core.management.base import BaseCommand

from riskplatform.preparing import prepare


class Command(BaseCommand):
    help = "Bring the installation up to date; run it before every start of a new version."

    def handle(self, *args: Any, **options: Any) -> None:
        prepare()
        self.stdout.write("Ready.")
