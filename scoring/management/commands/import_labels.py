"""`manage.py import_labels --detector cards FILE`: record what turned out to be true."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.own_keys import refuse_other_keys
from scoring.deployment import UnknownDetector, serving
from scoring.importing import labelled_and_refused
from scoring.ingestion.csv_faults import add_separator
from scoring.ingestion.files import EventFile
from scoring.label_importing import import_labels, labels_spec
from scoring.models import Detector


class Command(BaseCommand):
    help = (
        "Label events that were scored before, from a CSV or Parquet file with their ids, the"
        " detector's label_column (else `label`: 1 or 0) and, if known, label_time. It may be run"
        " again. Example: manage.py import_labels chargebacks.csv --detector payments"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--detector", required=True, help="slug")
        add_separator(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        slug = options["detector"]
        try:
            spec = labels_spec(serving(slug).bundle.spec)
            file = EventFile(options["file"], spec, separator=options["separator"])
            if not file.has_labels:
                raise CommandError(f"{file.path.name} lacks the column {spec.label_column}.")
            report = import_labels(Detector.objects.get(slug=slug), file)
        except UnknownDetector as error:
            raise CommandError(f"There is no detector '{slug}'.") from error
        except ValueError as error:  # FileProblem is one.
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{report.rows:,} rows: {report.skipped:,} said so before,"
            f" {labelled_and_refused(report)}."
        )
        if report.dead_letters:
            self.stdout.write(f"Refused rows are in {report.dead_letters}.")
