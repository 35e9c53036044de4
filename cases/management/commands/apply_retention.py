"""`manage.py apply_retention`: erase the personal data that is kept no longer."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.own_keys import refuse_other_keys
from cases.retention import MOST, kept_from, request_retention, run_retention
from jobs.dispatch import take_up_lost
from jobs.services import run_job
from jobs.workflow import JobStatus
from scoring.erasing import quiet_since
from scoring.models import Detector


class Command(BaseCommand):
    help = (
        "Erase the personal data of entities that have had no event for RISK_RETENTION_DAYS "
        "(docs/administration.md says what is not reached). Beat does so once a day."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count who is due")
        parser.add_argument(
            "--days", type=int, help="with --dry-run: as if RISK_RETENTION_DAYS were so many"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        if options["dry_run"]:
            self._count(options["days"] or settings.RETENTION_DAYS)
            return
        if options["days"] is not None:
            raise CommandError("--days is for --dry-run. What erases is RISK_RETENTION_DAYS.")
        take_up_lost(timezone.now())
        job = request_retention()
        if job is None:
            raise CommandError("RISK_RETENTION_DAYS is not set: personal data is kept.")
        done = run_job(job.pk, run_retention)
        if done is None:
            raise CommandError(f"Job {job.pk} is being done by a worker.")
        if done.status != JobStatus.SUCCEEDED:
            raise CommandError(f"Job {job.pk} {done.status}: {done.error}")
        for detector, counts in (done.result or {}).items():
            said = ", ".join(f"{count:,} {what}" for what, count in counts.items())
            self.stdout.write(f"{detector}: {said}")
        self.stdout.write("Done.")

    def _count(self, days: int) -> None:
        if days < 1:
            raise CommandError("Say --days, or set RISK_RETENTION_DAYS.")
        now = timezone.now()
        for detector in Detector.objects.order_by("pk"):
            since = kept_from(detector, days, now)
            if since is None:
                self.stdout.write(f"{detector.slug}: its events name nobody")
                continue
            due = len(quiet_since(detector, since, most=MOST))
            more = " or more" if due == MOST else ""
            self.stdout.write(
                f"{detector.slug}: {due:,}{more} entities without an event since {since:%Y-%m-%d}"
            )
