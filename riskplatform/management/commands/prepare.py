"""`manage.py prepare`: migrate, make roles and detectors, collect static files."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from riskplatform.preparing import prepare


class Command(BaseCommand):
    help = "Bring the installation up to date; run it before every start of a new version."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-static", action="store_false", dest="static",
                            help="Leave out the static files; they are there already.")  # fmt: skip
        parser.add_argument("--other-keys", action="store_true",
                            help="Go on where RISK_PII_KEYS are not those of the database, which "
                            "are lost with what they kept.")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        prepare(static=options["static"], other_keys=options["other_keys"])
        self.stdout.write("Ready.")
