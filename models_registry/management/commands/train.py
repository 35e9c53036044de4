"""`manage.py train --detector X [--learner Y] [--promote]`: train a version without a worker."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from models_registry.approvals import serving_version
from models_registry.core.learners.base import LearnerError
from models_registry.core.learners.catalogue import LEARNERS
from models_registry.core.splits import SplitError
from models_registry.datasets import DatasetError
from models_registry.fitting import QuietProgress
from models_registry.promotion import promote
from models_registry.training import train_version
from scoring.models import Detector


class Command(BaseCommand):
    help = "Train a version of a detector here and now, and register it as a challenger."
    _shown = (-1.0, "")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", required=True)
        parser.add_argument("--learner", choices=sorted(LEARNERS))
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
        if options["promote"] and serves is not None and not options["reason"].strip():
            raise CommandError(
                f"{serves.label} serves {detector.name}. Ask for the promotion on the version's "
                "page, where a second person approves it, or say why not with --reason."
            )
        try:
            version = train_version(
                detector,
                learner=options["learner"] or detector.spec().training.learner,
                trained_by=None,
                job=None,
                progress=QuietProgress(self._bar),
            )
        except (DatasetError, SplitError, LearnerError) as error:
            raise CommandError(str(error)) from error
        sys.stderr.write("\n")
        for name, value in version.metrics.items():
            shown = f"{value:.4f}" if isinstance(value, float) else value
            self.stdout.write(f"  {name:<26} {shown}")
        if options["promote"]:
            reason = f"manage.py train --promote: {options['reason'] or 'the first champion'}"
            override = serves is not None
            promote(version, actor=None, reason=reason, detail={"override": override})
        stage = "champion" if options["promote"] else "challenger"
        self.stdout.write(
            f"{version.label} of {detector.name}: {stage}, trained on {version.dataset} "
            f"in {version.training_seconds:.1f} s."
        )

    def _bar(self, fraction: float, stage: str) -> None:
        if (round(fraction, 2), stage) == self._shown:
            return
        self._shown = (round(fraction, 2), stage)
        sys.stderr.write(f"\r{fraction:4.0%} {stage:<60}")
        sys.stderr.flush()
