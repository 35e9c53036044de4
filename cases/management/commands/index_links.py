"""`manage.py index_links`: what the minute's sweeps do, until there is nothing left to do."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from cases.linking import index_links, rebuild_links
from cases.signing import SIGN_AT_ONCE, sign_closed_alerts


class Command(BaseCommand):
    help = "Take all predictions and labels into the index of links, and sign all closed alerts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rebuild", action="store_true", help="Forget the index and make it anew."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rebuild"]:
            rebuild_links()
        total = 0
        while read := index_links():
            total += read
            self.stdout.write(f"{total:,} predictions and labels taken in")
        signed = 0
        while found := sign_closed_alerts(everything=True):
            signed += found
            if found < SIGN_AT_ONCE:
                break
        self.stdout.write(f"Done: {total:,} rows taken in, {signed:,} closed alerts signed.")
