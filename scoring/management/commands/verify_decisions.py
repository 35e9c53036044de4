"""`manage.py verify_decisions`: decide stored predictions again and report what differs."""

import sys
import uuid
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from scoring.models import Detector
from scoring.replaying import Report, chosen, verify_predictions


class Command(BaseCommand):
    help = (
        "Recompute stored predictions from their snapshots (vector, event, bundle and policy by "
        "digest, lists as of then) and report the first difference of each. Ends with 1 if any "
        "differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", default="", help="slug; all detectors without it")
        parser.add_argument("--since", help="received since: 2026-11-01 or 2026-11-01T08:00Z")
        parser.add_argument("--limit", type=int, help="only so many, the newest")
        parser.add_argument("--id", action="append", default=[], help="one prediction; repeatable")

    def handle(self, *args: Any, **options: Any) -> None:
        slug = options["detector"]
        if slug and not Detector.objects.filter(slug=slug).exists():
            raise CommandError(f"There is no detector '{slug}'.")
        rows = chosen(slug=slug, since=_moment(options["since"]), pks=_ids(options["id"]))
        if options["limit"] is not None:
            if options["limit"] < 1:
                raise CommandError("--limit is at least 1.")
            rows = rows.order_by("-received_at")[: options["limit"]]
        report = verify_predictions(rows)
        self._tell(report)
        if report.different:
            sys.exit(1)

    def _tell(self, report: Report) -> None:
        for difference in report.told:
            self.stdout.write(f"DIFFERS {difference}")
        if report.different > len(report.told):
            self.stdout.write(f"... and {report.different - len(report.told):,} more.")
        for reason, count in report.skipped.most_common():
            self.stdout.write(f"NOT REPLAYED {count:,}: {reason}")
        if report.degraded:
            self.stdout.write(
                f"{report.degraded:,} were scored while the model was out: their rules and "
                "decisions are verified."
            )
        self.stdout.write(
            f"{report.same:,} verified, {report.different:,} differ, "
            f"{report.skipped.total():,} could not be replayed."
        )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parse_datetime(text) or parse_datetime(f"{parse_date(text)}T00:00:00Z")
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"--since: '{text}' is no time such as 2026-11-01T08:00Z.")
    return moment if moment.tzinfo else timezone.make_aware(moment)


def _ids(texts: list[str]) -> list[uuid.UUID]:
    try:
        return [uuid.UUID(text) for text in texts]
    except ValueError as error:
        raise CommandError("--id is the id of a prediction, a UUID.") from error
