"""`manage.py load_rates FILE`: declare the exchange rates of a file, all of them or none."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from cases.exchange import MOST_BYTES, RateError, leaps, plain, read_rates
from cases.exchange_rates import current_rates, set_rates
from cases.reordering import reorder_alerts


class Command(BaseCommand):
    help = "Declare what currencies are worth in the common one, and order what waits by it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            type=Path,
            help="CSV with the columns currency and rate, or a JSON object of currencies and"
            " rates. What it does not name stays.",
        )

        parser.add_argument(
            "--force",
            action="store_true",
            help="Take rates that change tenfold: they may be written the wrong way round.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
            rates = read_rates(data, common=settings.COMMON_CURRENCY)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        except RateError as error:
            raise CommandError(f"Nothing was changed. {error}") from error
        known = current_rates()
        changes = [] if known is None else leaps(known.by_currency, rates)
        if changes and not options["force"]:
            raise CommandError(
                f"Nothing was changed. Are these the wrong way round: {', '.join(changes)}?"
                " If they are meant, say --force."
            )
        new = set_rates(rates, actor=None, source=path.name)
        for row in new:
            self.stdout.write(f"One {row.currency} is {plain(row.rate)} {row.to}.")
        same = len(rates) - len(new)
        self.stdout.write(f"{len(new)} changed, {same} as before.")
        self.stdout.write(f"Alerts ordered anew: {reorder_alerts()}.")
