"""`manage.py sync_watchlist SOURCE`: put a newly published sanctions list into force."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scoring.core.watchlist import WatchlistError
from scoring.watchlist_files import TITLES
from scoring.watchlists import sync_watchlist


class Command(BaseCommand):
    help = "Read a sanctions list (OFAC's files or the UN's XML) and screen by it from now on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source",
            help="A file, a folder with OFAC's files, or an https address. One of OFAC's CSV files"
            " stands for all of them, which lie beside it.",
        )
        parser.add_argument(
            "--list", choices=sorted(TITLES), default="", help="Which list, where that is unclear."
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="Take a list that has lost more than half, and OFAC's without its aliases.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = sync_watchlist(options["source"], name=options["list"], force=options["force"])
        except WatchlistError as error:
            raise CommandError(str(error)) from error
        entries, names = f"{report.entries:,} entries", f"{report.names:,} names"
        if report.changed:
            entries += f" (was {report.previous_entries:,})"
            names += f" (was {report.previous_names:,})"
        else:
            names += " (unchanged)"
        self.stdout.write(f"{report.name}: {entries}, {names}, {report.digest[:12]}.")
        if report.missing:
            self.stdout.write(f"Read without {', '.join(report.missing)}: missing or empty.")
        if report.republished:
            self.stdout.write(f"New policy for {', '.join(report.republished)}.")
