"""`manage.py verify_decisions`: decide stored predictions again and report what differs."""

import sys
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.argument_types import moment, whole
from scoring.models import Detector
from scoring.replaying import Report, chosen, verify_predictions

DIFFERENT, INCOMPLETE = 1, 2
"""How the command ends; 0 says that all were verified."""


class Command(BaseCommand):
    help = (
        "Recompute stored predictions from their snapshots (vector, event, bundle and policy by "
        "digest, lists as of then) and report the first difference of each. Ends with 1 if any "
        "differs, or if not one could be replayed, with 2 if none differs and some could not be "
        "replayed, with 0 if all were verified."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", default="", help="slug; all detectors without it")
        parser.add_argument(
            "--since", type=moment, help="received since: 2026-11-01 or 2026-11-01T08:00Z"
        )
        parser.add_argument("--limit", type=whole(1), help="only so many, the newest")
        parser.add_argument(
            "--may-skip",
            type=whole(0),
            default=0,
            help="so many that could not be replayed are no reason to end with 2",
        )
        parser.add_argument("--id", action="append", default=[], help="one prediction; repeatable")

    def handle(self, *args: Any, **options: Any) -> None:
        slug = options["detector"]
        if slug and not Detector.objects.filter(slug=slug).exists():
            raise CommandError(f"There is no detector '{slug}'.")
        rows = chosen(slug=slug, since=options["since"], pks=_ids(options["id"]))
        if options["limit"] is not None:
            rows = rows.order_by("-received_at")[: options["limit"]]
        report = verify_predictions(rows)
        self._tell(report)
        if report.different or (report.skipped and not report.same):
            sys.exit(DIFFERENT)
        if report.skipped.total() > options["may_skip"]:
            sys.exit(INCOMPLETE)

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


def _ids(texts: list[str]) -> list[uuid.UUID]:
    try:
        return [uuid.UUID(text) for text in texts]
    except ValueError as error:
        raise CommandError("--id is the id of a prediction, a UUID.") from error
