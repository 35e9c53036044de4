"""`manage.py load_detectors [FILE ...]`: make or update detectors from YAML files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scoring.core.bundle import BundleError
from scoring.core.reader import SpecError
from scoring.declarations import SHIPPED, govern, load_detector
from scoring.models import Detector
from scoring.rebuilding import rebuild_if_outdated


class Command(BaseCommand):
    help = (
        "Make or update detectors from YAML files. Without a file: the shipped ones, "
        "except those that were edited here. Windows that an earlier release kept otherwise are "
        "learnt anew."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        for path in options["files"] or sorted(SHIPPED.glob("*.yaml")):
            try:
                detector, what = load_detector(path, keep_edits=not options["files"])
            except SpecError as error:
                lines = "\n".join(f"  {place}: {message}" for place, message in error.problems)
                raise CommandError(f"{path} was not loaded:\n{lines}") from error
            except OSError as error:
                raise CommandError(f"{path}: {error.strerror}") from error
            self.stdout.write(f"{what:<7} {detector.slug}")
        self._give_policies()
        self._renew_windows()

    def _give_policies(self) -> None:
        """Detectors that people declared before there were policies get theirs."""
        for detector in Detector.objects.filter(policy_digest=""):
            try:
                govern(detector)
            except SpecError as error:
                self.stderr.write(f"{detector.slug} has no policy: {error}")
                continue
            self.stdout.write(f"policy  {detector.slug}")

    def _renew_windows(self) -> None:
        """Windows that a release before this one kept otherwise are learnt anew."""
        for detector in Detector.objects.all():
            try:
                if rebuild_if_outdated(detector):
                    self.stdout.write(f"windows {detector.slug}")
            except BundleError as error:
                self.stderr.write(f"{detector.slug} has no windows: {error}")
