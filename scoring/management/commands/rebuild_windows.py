"""`manage.py rebuild_windows --detector X`: learn window state anew from stored predictions."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.own_keys import refuse_other_keys
from scoring.models import Detector
from scoring.rebuilding import rebuild_windows


class Command(BaseCommand):
    help = "Make a detector's window state anew, after its windows have changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        detector = Detector.objects.filter(slug=options["detector"]).first()
        if detector is None:
            raise CommandError(f"There is no detector '{options['detector']}'.")
        self.stdout.write(f"{rebuild_windows(detector):,} events read.")
