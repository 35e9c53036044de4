"""`manage.py train --detector X [--learner Y] [--imbalance Z] [--promote]`: without a worker."""

import shutil
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError

from accounts.argument_types import number
from accounts.quantities import threshold
from jobs.progress import JobCancelled
from jobs.remaining import foretell
from models_registry.core.learners.base import LearnerError
from models_registry.core.learners.catalogue import LEARNERS
from models_registry.core.splits import SplitError
from models_registry.datasets import DatasetError
from models_registry.fitting import QuietProgress
from models_registry.management.commands.models import check_reason, decide, owner_of
from models_registry.management.printing import judged_on, metric_table
from models_registry.models import ModelVersion
from models_registry.rare_class import TITLES, rare_class_words
from models_registry.retraining import ImbalanceRefused, TrainingUnderWay, params_of
from models_registry.running_here import train_here
from models_registry.selectors import champion_of, compared_champion
from models_registry.tracked import is_tracking
from models_registry.tracking import TrackingError, track_version
from models_registry.verdicts import verdict_of
from scoring.core.bundle import BundleNotWritten, read_manifest
from scoring.core.reader import SpecError
from scoring.deployment import bundle_root
from scoring.models import Detector

REFUSALS = (
    *(DatasetError, SplitError, LearnerError, ImbalanceRefused, TrainingUnderWay),
    *(BundleNotWritten, SpecError),
)


class ProgressLines(QuietProgress):
    """A line for each stage of a training, with about how long it still takes, and each line of its
    log. On a terminal the newest stage's line is written over as it goes on.

    `tune_for`: seconds that parameters may be searched for; `clock` in seconds.
    """

    def __init__(
        self, out: TextIO, *, tune_for: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._out, self._tune_for, self._clock = out, tune_for, clock
        self._begun = clock()
        self._told: dict[str, float] = {}
        self._shown = self._stage = ""
        self._is_open = False

    def report(self, fraction: float, stage: str) -> None:
        # A search names its trial behind the colon.
        head = stage.partition(":")[0]
        is_new, self._stage = head != self._stage, head
        if not is_new and not self._out.isatty():
            return
        left = foretell(
            fraction, self._clock() - self._begun, tune_for=self._tune_for, **self._told
        )
        line = f"{fraction:4.0%}  {left.text if left else '':<20}  {stage}"
        if line == self._shown:
            return
        if is_new:
            self.end()
        self._shown = line
        self._write(line)

    def log(self, text: str, **told: float) -> None:
        self._told |= told
        self.end()
        self._out.write(f"      {text}\n")
        self._out.flush()

    def end(self) -> None:
        """Whatever is written next begins a line."""
        if self._is_open:
            self._out.write("\n")
        self._is_open = False

    def _write(self, line: str) -> None:
        if self._out.isatty():
            # A line that wraps could not be written over.
            width = shutil.get_terminal_size().columns - 1
            self._out.write(f"\r\x1b[K{line[:width]}")
            self._is_open = True
        else:
            self._out.write(f"{line}\n")
        self._out.flush()


class Command(BaseCommand):
    help = (
        "Train a version of a detector here and now, and register it as a challenger, which decides"
        " nothing until it is promoted (docs/promotion.md)."
        " Example: manage.py train --detector payments --tune-minutes 5"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", required=True, help="slug")
        parser.add_argument("--learner", choices=sorted(LEARNERS), default="",
                            help="The algorithm; as declared unless given.")  # fmt: skip
        parser.add_argument(
            "--imbalance",
            choices=list(TITLES),
            default="",
            help="What is done about a rare class; as the detector declares unless given.",
        )
        parser.add_argument(
            "--tune-minutes",
            type=number(0, 1e5),
            help="How long to search parameters for; as the detector declares unless given.",
        )
        parser.add_argument("--promote", action="store_true", help="Put it into service at once.")
        parser.add_argument(
            "--user", help="On whose behalf it is promoted: somebody who may promote models."
        )
        parser.add_argument(
            "--reason",
            default="",
            help="Why, without a second person; needed with --promote where a champion serves.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        detector = Detector.objects.filter(slug=options["detector"]).first()
        if detector is None:
            raise CommandError(f"There is no detector '{options['detector']}'.")
        serves = champion_of(detector)
        if options["promote"]:
            owner_of(options["user"])  # Who may not is told before an hour of training.
            if serves is not None:
                check_reason(serves, options["reason"])
        try:
            version = self._train(detector, options)
        except REFUSALS as error:
            raise CommandError(str(error)) from error
        except JobCancelled as reason:
            raise CommandError(f"{reason} No version was registered.") from reason
        self._describe(version)
        if options["promote"]:
            command = "manage.py train --promote"
            decide(version, user=options["user"], reason=options["reason"], command=command)
        stage = "champion" if options["promote"] else "challenger"
        self.stdout.write(
            f"{version.label} of {detector.name}: {stage}, trained on {version.dataset} "
            f"({version.dataset.counted_in_training:,} counted in the training part) "
            f"in {version.training_seconds:.1f} s."
        )
        if is_tracking():
            self._track(version)

    def _train(self, detector: Detector, options: dict[str, Any]) -> ModelVersion:
        """A version trained as was asked. Raises REFUSALS."""
        minutes: float | None = options["tune_minutes"]
        how = {
            "learner": options["learner"],
            "imbalance": options["imbalance"],
            "tune_for": None if minutes is None else 60.0 * minutes,
        }
        tune_for = params_of(detector, **how).get("tune_for", 0.0)
        progress = ProgressLines(sys.stderr, tune_for=tune_for)
        try:
            return train_here(
                detector, by="the command line", watched=progress, refusals=REFUSALS, **how
            )
        finally:
            progress.end()

    def _describe(self, version: ModelVersion) -> None:
        """Metrics, thresholds, digests, and how it compares with the champion."""
        currency = version.detector.currency()
        found = version.metrics
        for line in (judged_on(found), *metric_table(found, currency=currency)):
            self.stdout.write(line)
        manifest = read_manifest(bundle_root() / version.digest, version.digest)
        self.stdout.write(f"Thresholds ({manifest['calibration']['kind']} calibration):")
        for name, value in manifest["thresholds"].items():
            self.stdout.write(f"  {name:<28} {threshold(value):>12}")
        rival = compared_champion(version)
        verdict = verdict_of(
            version, rival=rival.label if rival else "the champion", currency=currency
        )
        for sentence in (verdict.headline, *verdict.evidence, *verdict.warnings):
            self.stdout.write(sentence)
        training = version.dataset.counts.get("training")
        rare = rare_class_words(version.learner, version.parameters, training)
        self.stdout.write(f"Rare class: {rare}")
        self.stdout.write(f"Data   {version.dataset.digest}")
        self.stdout.write(f"Bundle {version.digest}")

    def _track(self, version: ModelVersion) -> None:
        try:
            run = track_version(version)
        except TrackingError as problem:
            self.stderr.write(f"Not at the tracking server: {problem} It is tried again by beat.")
            return
        self.stdout.write(f"At the tracking server: {run.registered_as}, run {run.run_id}.")
