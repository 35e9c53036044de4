"""`manage.py import_bundle --detector X FILE`: take in a version from another platform."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from models_registry.bundle_files import MOST_BYTES, ExchangeError
from models_registry.importing import import_bundle, mend_bundle
from models_registry.management.printing import file_problem
from scoring.core.bundle import BundleNotWritten
from scoring.models import Detector


class Command(BaseCommand):
    help = (
        "Take in an exported bundle; it arrives as a challenger. Of a version that is here with a"
        " damaged bundle it puts the bundle back. The detector has to be declared alike"
        " here."
        " Example: manage.py import_bundle payments-v12-0a1b.zip --detector payments"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file")
        parser.add_argument("--detector", required=True, help="slug")

    def handle(self, *args: Any, **options: Any) -> None:
        detector = Detector.objects.filter(slug=options["detector"]).first()
        if detector is None:
            raise CommandError(f"There is no detector '{options['detector']}'.")
        try:
            with Path(options["file"]).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
            mended = mend_bundle(detector, content, actor=None)
            version = mended or import_bundle(detector, content, actor=None)
        except (ExchangeError, BundleNotWritten) as problem:
            raise CommandError(f"{problem} Nothing was changed.") from problem
        except OSError as problem:
            raise CommandError(f"{file_problem(problem)} Nothing was changed.") from problem
        what = "has its bundle back" if mended else "waits as a challenger"
        self.stdout.write(f"{version} {what}, bundle {version.digest[:12]}.")
