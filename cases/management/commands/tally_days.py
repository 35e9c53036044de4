"""`manage.py tally_days [--since 2026-01-31]`: count all days anew, for the dashboards."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.argument_types import day
from cases.tallying import tally_everything


class Command(BaseCommand):
    help = "Count every day anew that dashboards show; needed once after a restore."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=day, help="Only days from this one on (2026-01-31).")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Counted {tally_everything(since=options['since']):,} days.")
