"""`manage.py sync_watchlist SOURCE`: put a newly published sanctions list into force."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scoring.core.watchlist import WatchlistError
from scoring.watchlist_files import TITLES
from scoring.watchlists import sync_watchlist


class Command(BaseCommand):
    help = "Read a sanctions list (OFAC's CSV files or the UN's XML) and screen by it from now on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source", help="A file, a folder with OFAC's files, or an https address."
        )
        parser.add_argument(
            "--list", choices=sorted(TITLES), default="", help="Which list, where that is unclear."
        )
        parser.add_argument(
            "--force", action="store_true", help="Take a list that has lost more than half."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = sync_watchlist(options["source"], name=options["list"], force=options["force"])
        except WatchlistError as error:
            raise CommandError(str(error)) from error
        change = f"was {report.previous_entries:,}" if report.changed else "unchanged"
        self.stdout.write(
            f"{report.name}: {report.entries:,} entries ({change}), {report.names:,} names,"
            f" {report.digest[:12]}."
        )
        if report.republished:
            self.stdout.write(f"New policy for {', '.join(report.republished)}.")
