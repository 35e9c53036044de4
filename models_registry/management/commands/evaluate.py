"""`manage.py evaluate --detector X v12 [--over-time | --as-of TIME]`: without a worker."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.argument_types import moment
from jobs.progress import JobCancelled
from models_registry.core.learners.base import LearnerError
from models_registry.core.splits import SplitError
from models_registry.datasets import DatasetError
from models_registry.evaluating import EvaluationError, evaluate_as_of
from models_registry.evaluation_jobs import EvaluationUnderWay
from models_registry.evaluation_models import Evaluation
from models_registry.evaluation_panels import judged
from models_registry.management.commands.models import detector_of, version_of
from models_registry.management.commands.train import ProgressLines
from models_registry.management.printing import fold_table, judged_on, metric_table
from models_registry.models import ModelVersion
from models_registry.running_here import evaluate_here
from scoring.core.bundle import BundleError
from scoring.core.inference import ModelError
from scoring.core.reader import SpecError

REFUSALS = (
    *(DatasetError, SplitError, LearnerError, EvaluationError, EvaluationUnderWay),
    *(BundleError, ModelError, SpecError),
)


class Command(BaseCommand):
    help = (
        "Judge a version again here and now, by what is known today or by earlier weeks."
        " Example: manage.py evaluate v12 --detector payments"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="v12")
        parser.add_argument("--detector", required=True, help="slug")
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--over-time",
            action="store_true",
            help="Train its algorithm anew on earlier weeks and judge each on the next.",
        )
        how.add_argument(
            "--as-of",
            type=moment,
            metavar="TIME",
            help="By what was known at an earlier time, such as 2026-11-01. That is printed and "
            "not kept, and not compared with the champion.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        version = version_of(detector_of(options["detector"]), options["version"])
        if options["as_of"] and options["as_of"] > timezone.now():
            raise CommandError("--as-of lies in the future: nobody knows yet what is known then.")
        try:
            found = _evaluate(version, options)
        except REFUSALS as problem:
            raise CommandError(str(problem)) from problem
        except JobCancelled as reason:
            raise CommandError(f"{reason} Nothing was kept.") from reason
        self._describe(found)

    def _describe(self, found: Evaluation) -> None:
        """What was found: metrics with their intervals, or their mean over the folds."""
        version, metrics = found.version, found.metrics
        currency = version.detector.currency()
        if found.kind == Evaluation.Kind.FOLDS:
            told = judged(found, version, currency=currency)
            self.stdout.write(f"{version}, trained anew for each of {len(told.spans)} folds:")
            lines = fold_table(told.folds)
            if told.flatters:
                lines.append("Folds on the days that chose its parameters flatter it.")
        else:
            lines = [judged_on(metrics), *metric_table(metrics, currency=currency)]
            compared = judged(found, version, currency=currency).compared
            lines += [compared] * bool(compared)
        for line in lines:
            self.stdout.write(line)
        kept = f"Kept as evaluation {found.pk} of" if found.pk else "Not kept with"
        self.stdout.write(f"{kept} {version}.")


def _evaluate(version: ModelVersion, options: dict[str, Any]) -> Evaluation:
    """Raises REFUSALS."""
    progress = ProgressLines(sys.stderr, tune_for=0.0)
    try:
        if options["as_of"]:  # A look back: nothing is kept, nobody waits for it.
            return evaluate_as_of(
                version,
                requested_by=None,
                job=None,
                progress=progress,
                now=options["as_of"],
                keep=False,
            )
        kind = Evaluation.Kind.FOLDS if options["over_time"] else Evaluation.Kind.AS_OF
        return evaluate_here(
            version, kind=kind, by="the command line", watched=progress, refusals=REFUSALS
        )
    finally:
        progress.end()
