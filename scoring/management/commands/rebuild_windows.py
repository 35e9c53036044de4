"""`manage.py rebuild_windows --detector X`: learn window state anew from stored predictions."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.own_keys import refuse_other_keys
from scoring.models import Detector
from scoring.rebuilding import rebuild_windows

EVERY = 20_000


class Command(BaseCommand):
    help = (
        "Learn a detector's windows anew from its stored events, after RISK_FEATURE_STORE was"
        " changed, or where a message asks for it. The detector's scoring waits meanwhile (503),"
        " some minutes where its windows reach over hundreds of thousands of events."
        " Example: manage.py rebuild_windows --detector payments"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", required=True, help="slug")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        detector = Detector.objects.filter(slug=options["detector"]).first()
        if detector is None:
            raise CommandError(f"There is no detector '{options['detector']}'.")
        read = rebuild_windows(detector, on_progress=self._tell)
        self.stdout.write(f"{read:,} events read.")

    def _tell(self, read: int) -> None:
        """Who waits sees that it goes on."""
        if read % EVERY == 0:
            self.stderr.write(f"{read:,} events read so far ...")
