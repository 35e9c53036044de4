"""`manage.py import_events --detector cards FILE`: score, store and label a file of past events."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from accounts.argument_types import moment, whole
from accounts.own_keys import refuse_other_keys
from scoring.deployment import UnknownDetector, serving
from scoring.importing import (
    ImportReport,
    import_file,
    labelled_and_refused,
    unripe_labels,
)
from scoring.ingestion.csv_faults import add_separator
from scoring.ingestion.files import EventFile, FileProblem
from scoring.models import Detector
from scoring.quiet_imports import add_alert_days, alerts_from_days

WIDTH = 30
BY_CTRL_C = 130
"""The status of a command that was ended by Ctrl-C, as shells have it."""
MOST_SHOWN = 40
"""Characters of a value that is quoted."""


class Command(BaseCommand):
    help = (
        "Score, store and label the events of a CSV or Parquet file, whose columns have the names"
        " of the detector's fields and of its label_column (docs/detectors.md)."
        " Run again to resume."
        " Example: manage.py import_events history.csv --detector payments --alert-days 30"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--detector", required=True, help="slug")
        parser.add_argument("--until", type=moment, metavar="TIME",
                            help="Leave out events from this time on (ISO-8601, UTC).")  # fmt: skip
        parser.add_argument("--as-of", type=moment, metavar="TIME",
                            help="Leave out labels that were not known at this time; "
                            "default: the time of the file's last event.")  # fmt: skip
        add_alert_days(parser)
        parser.add_argument("--limit", type=whole(1), help="Read at most so many rows.")
        add_separator(parser)
        parser.add_argument("--decimal-comma", action="store_true",
                            help="Numbers of the CSV are written 12,5.")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        self._started, self._drawn = time.monotonic(), False
        self._scoring_since = self._started
        try:
            spec = serving(options["detector"]).bundle.spec
            file = EventFile(
                options["file"],
                spec,
                until=options["until"],
                limit=options["limit"],
                separator=options["separator"],
                decimal_comma=options["decimal_comma"],
            )
            detector = Detector.objects.get(slug=spec.slug)
            as_of = options["as_of"] or file.last_event_at()
            self._started = self._scoring_since = time.monotonic()
            alerts_from = alerts_from_days(options["alert_days"])
            report = self._import(detector, file, as_of, alerts_from)
        except UnknownDetector as error:
            raise CommandError(f"There is no detector '{options['detector']}'.") from error
        except FileProblem as error:
            raise CommandError(str(error)) from error
        finally:
            if self._drawn:
                sys.stderr.write("\n")
        ended = time.monotonic()
        rate = report.scored / max(ended - self._scoring_since, 1e-9)
        self.stdout.write(
            f"{report.rows:,} rows: {report.skipped:,} were there before, "
            f"{report.scored:,} scored, {report.flagged:,} flagged, "
            f"{labelled_and_refused(report)}; "
            f"{ended - self._started:.0f} s, {rate:,.0f} events/s."
        )
        for line in _about_labels(file, report, as_of, asked=options["as_of"] is not None):
            self.stdout.write(line)
        if alerts_from is not None:
            self.stdout.write(f"Events before {alerts_from:%Y-%m-%d %H:%M} UTC open no alert.")
        if report.dead_letters:
            self.stdout.write(f"Refused rows are in {report.dead_letters}.")

    def _import(
        self,
        detector: Detector,
        file: EventFile,
        as_of: datetime | None,
        alerts_from: datetime | None,
    ) -> ImportReport:
        try:
            return import_file(
                detector, file, as_of=as_of, alerts_from=alerts_from, on_progress=self._bar
            )
        except (OperationalError, InterfaceError) as error:
            raise CommandError(
                f"The database failed: {str(error).strip()}. What was scored so far is kept: once"
                " it works again, run the same command to go on."
            ) from error
        except KeyboardInterrupt:
            said = "Interrupted. What was scored so far is kept: run the same command to go on."
            raise CommandError(said, returncode=BY_CTRL_C) from None

    def _bar(self, done: int, report: ImportReport) -> None:
        """Draw how far it is. Rows that were there before tell nothing about those to come: the
        rate counts from the end of the last chunk before anything was scored."""
        self._drawn = True
        share, now = done / max(report.rows, 1), time.monotonic()
        if report.scored:
            rate = report.scored / max(now - self._scoring_since, 1e-9)
            pace = f"{rate:7,.0f} events/s, {(report.rows - done) / rate:4.0f} s left"
        else:
            self._scoring_since = now
            pace = f"{report.skipped:9,} were there before"
        sys.stderr.write(
            f"\r[{'#' * int(share * WIDTH):<{WIDTH}}] {share:4.0%} {done:>9,}/{report.rows:,} "
            f"{pace} "
        )
        sys.stderr.flush()


def _about_labels(
    file: EventFile, report: ImportReport, as_of: datetime | None, *, asked: bool
) -> Iterator[str]:
    """Lines on labels that whoever imports may have expected, and that did not come."""
    column = file.spec.label_column
    if column and not file.has_labels:
        yield f"The file has no column {column}, so it gave no label."
    if file.odd_label_count:
        some = ", ".join(f"'{value[:MOST_SHOWN]}'" for value in file.odd_labels)
        yield (
            f"{file.odd_label_count:,} values of {column} are no label and count as unknown,"
            f" such as {some}: write 1 or 0 (docs/detectors.md)."
        )
    if as_of and (left_out := unripe_labels(report, file.spec, as_of)):
        yield left_out if asked else f"{left_out} {_how_to_take_them(file, as_of)}"


def _how_to_take_them(file: EventFile, as_of: datetime) -> str:
    """Labels of the last events are known a label delay later: a time to come is none to name."""
    known = as_of + timedelta(seconds=file.spec.training.label_delay, minutes=1)
    when = f"--as-of {known:%Y-%m-%dT%H:%MZ}"
    if known <= timezone.now():
        return f"To take them in, run again with {when}."
    return f"To take them in, run again after that time with {when}."
