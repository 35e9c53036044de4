"""`manage.py sum_up_alerts`: let the queue count and find the open alerts of before an upgrade."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.argument_types import number
from cases.summing_up import sum_up_all


class Command(BaseCommand):
    help = "Sum up open alerts that the queue cannot count yet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--seconds", type=number(0, 1e7), default=3600.0, help="At most so long."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Summed up {sum_up_all(options['seconds'])} alerts.")
