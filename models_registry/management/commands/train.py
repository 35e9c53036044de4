"""`manage.py train --detector X [--learner Y] [--imbalance Z] [--promote]`: without a worker."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.argument_types import number
from accounts.quantities import threshold
from models_registry.approvals import serving_version
from models_registry.core.learners.base import LearnerError
from models_registry.core.learners.catalogue import LEARNERS
from models_registry.core.splits import SplitError
from models_registry.datasets import DatasetError
from models_registry.fitting import QuietProgress
from models_registry.management.commands.models import check_reason, decide
from models_registry.metric_rows import metric_lines
from models_registry.models import ModelVersion
from models_registry.rare_class import TITLES, rare_class_words
from models_registry.retraining import ImbalanceRefused, TrainingUnderWay, check_idle, params_of
from models_registry.selectors import compared_champion
from models_registry.tracked import is_tracking
from models_registry.tracking import TrackingError, track_version
from models_registry.training import train_version
from models_registry.verdicts import verdict_of
from scoring.core.bundle import read_manifest
from scoring.deployment import bundle_root
from scoring.models import Detector

REFUSALS = (DatasetError, SplitError, LearnerError, ImbalanceRefused, TrainingUnderWay)


class Command(BaseCommand):
    help = "Train a version of a detector here and now, and register it as a challenger."
    _shown = (-1.0, "")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", required=True)
        parser.add_argument("--learner", choices=sorted(LEARNERS), default="")
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
            "--reason",
            default="",
            help="Why, without a second person; needed with --promote where a champion serves.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        detector = Detector.objects.filter(slug=options["detector"]).first()
        if detector is None:
            raise CommandError(f"There is no detector '{options['detector']}'.")
        serves = serving_version(detector)
        if options["promote"] and serves is not None:
            check_reason(serves, options["reason"])
        try:
            version = self._train(detector, options)
        except REFUSALS as error:
            raise CommandError(str(error)) from error
        sys.stderr.write("\n")
        self._describe(version)
        if options["promote"]:
            command = "manage.py train --promote"
            decide(version, user=None, reason=options["reason"], command=command)
        stage = "champion" if options["promote"] else "challenger"
        self.stdout.write(
            f"{version.label} of {detector.name}: {stage}, trained on {version.dataset} "
            f"in {version.training_seconds:.1f} s."
        )
        if is_tracking():
            self._track(version)

    def _train(self, detector: Detector, options: dict[str, Any]) -> ModelVersion:
        """A version trained as was asked. Raises REFUSALS."""
        minutes: float | None = options["tune_minutes"]
        asked = params_of(
            detector,
            learner=options["learner"],
            imbalance=options["imbalance"],
            tune_for=None if minutes is None else 60.0 * minutes,
        )
        check_idle(detector)
        return train_version(
            detector,
            learner=asked["learner"],
            imbalance=asked["imbalance"],
            trained_by=None,
            job=None,
            progress=QuietProgress(self._bar),
            tune_for=asked.get("tune_for", 0.0),
        )

    def _describe(self, version: ModelVersion) -> None:
        """Metrics, thresholds, digests, and how it compares with the champion."""
        currency = version.detector.spec().currency
        found = version.metrics
        self.stdout.write(
            f"Judged on {found['rows']:,} unseen events, {found['positives']:,} positive, "
            f"labels as known at {found['known_at']}:"
        )
        for row in metric_lines(version, None, currency=currency):
            self.stdout.write(f"  {row.name:<28} {row.this:>12}")
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
        self.stdout.write(f"Rare class: {rare_class_words(version.learner, version.parameters)}")
        self.stdout.write(f"Data   {version.dataset.digest}")
        self.stdout.write(f"Bundle {version.digest}")

    def _track(self, version: ModelVersion) -> None:
        try:
            run = track_version(version)
        except TrackingError as problem:
            self.stderr.write(f"Not at the tracking server: {problem} It is tried again by beat.")
            return
        self.stdout.write(f"At the tracking server: {run.registered_as}, run {run.run_id}.")

    def _bar(self, fraction: float, stage: str) -> None:
        if (round(fraction, 2), stage) == self._shown:
            return
        self._shown = (round(fraction, 2), stage)
        sys.stderr.write(f"\r{fraction:4.0%} {stage:<60}")
        sys.stderr.flush()
