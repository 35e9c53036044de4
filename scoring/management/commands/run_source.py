"""`manage.py run_source SLUG`: import the file of a declared csv or parquet source."""

from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.own_keys import refuse_other_keys
from scoring.deployment import serving_of
from scoring.importing import import_file, labelled_and_refused, unripe_labels
from scoring.ingestion.files import EventFile, FileProblem, OwnSchema
from scoring.quiet_imports import add_alert_days, alerts_from_days
from scoring.source_models import FILES, Source
from scoring.source_tallies import FileCount
from scoring.sources import columns_of, how_it_comes, problems_of


class Command(BaseCommand):
    help = "Import the file of a declared csv or parquet source. Run again to resume."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="Its slug.")
        add_alert_days(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        slug = options["source"]
        source = Source.objects.select_related("detector").filter(slug=slug).first()
        if source is None:
            raise CommandError(f"There is no source '{slug}'.")
        if source.source_type not in FILES or source.detector is None:
            raise CommandError(f"'{slug}' is not imported. {how_it_comes(source)}")
        spec = serving_of(source.detector).bundle.spec
        try:
            columns = partial(columns_of, source, spec)
            own = OwnSchema(source.schema, partial(problems_of, source))
            path = Path(str(source.config["path"]))
            file = EventFile(path, spec, columns_of=columns, own_schema=own)
            as_of = file.last_event_at()
            report = import_file(
                source.detector,
                file,
                as_of=as_of,
                alerts_from=alerts_from_days(options["alert_days"]),
                on_progress=FileCount(source).note,
            )
        except FileProblem as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{report.rows:,} rows: {report.skipped:,} were there before, "
            f"{report.scored:,} scored, {labelled_and_refused(report)}."
        )
        if left_out := unripe_labels(report, spec, as_of):
            self.stdout.write(left_out)
        if report.dead_letters:
            self.stdout.write(f"Refused rows are in {report.dead_letters}.")
