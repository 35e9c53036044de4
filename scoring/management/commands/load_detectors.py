"""`manage.py load_detectors [FILE ...]`: make or update detectors from YAML files.

A file is a whole detector, or a feature pipeline for a source that was loaded before.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.own_keys import refuse_other_keys
from scoring.core.bundle import BundleError, BundleNotWritten
from scoring.core.reader import SpecError
from scoring.declarations import SHIPPED, govern
from scoring.feature_pipelines import load_declaration, roles_told
from scoring.models import Detector
from scoring.rebuilding import rebuild_if_outdated


class Command(BaseCommand):
    help = (
        "Make or update detectors from YAML files, or from feature pipelines and the sources whose "
        "events they read (docs/detectors.md). Without a file: the shipped ones, "
        "except those that were edited here. Windows that an earlier release kept otherwise are "
        "learnt anew. Every mistake is told with its line, and then nothing of its file is loaded. "
        "Example: manage.py load_detectors my_detector.yaml"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", type=Path)
        parser.add_argument(
            "--source", default="", help="The slug of the source whose events a pipeline reads."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        files = options["files"]
        if options["source"] and not files:
            raise CommandError("Give the file of the feature pipeline of that source.")
        for path in files or sorted(SHIPPED.glob("*.yaml")):
            try:
                detector, what = load_declaration(
                    path, source=options["source"], keep_edits=not files
                )
            except SpecError as error:
                lines = "\n".join(f"  {place}: {message}" for place, message in error.problems)
                raise CommandError(f"{path} was not loaded:\n{lines}") from error
            except BundleNotWritten as error:
                raise CommandError(f"{path} was not loaded: {error}") from error
            except OSError as error:
                raise CommandError(f"{path}: {error.strerror}") from error
            self.stdout.write(f"{what:<7} {detector.slug}{roles_told(detector)}")
        self._give_policies()
        self._renew_windows()

    def _give_policies(self) -> None:
        """Detectors that people declared before there were policies get theirs."""
        for detector in Detector.objects.filter(policy_digest=""):
            try:
                govern(detector)
            except (SpecError, BundleNotWritten) as error:
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
