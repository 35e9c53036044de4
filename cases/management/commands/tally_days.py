"""`manage.py tally_days [--since 2026-01-31]`: count all days anew, for the dashboards."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cases.tallying import tally_everything


class Command(BaseCommand):
    help = "Count every day anew that dashboards show; needed once after a restore."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", help="Only days from this one on (2026-01-31).")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            since = date.fromisoformat(options["since"]) if options["since"] else None
        except ValueError as problem:
            raise CommandError(f"--since must be a day like 2026-01-31: {problem}.") from problem
        self.stdout.write(f"Counted {tally_everything(since=since):,} days.")
