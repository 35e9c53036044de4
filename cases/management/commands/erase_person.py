"""`manage.py erase_person`: take a person's data out of everything that is stored of them."""

from argparse import ArgumentParser
from dataclasses import asdict, fields
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.management.audited import system_user
from accounts.own_keys import refuse_other_keys
from cases.erasure import Reach, reach_of, request_erasure, run_erasure, why_not
from jobs.dispatch import take_up_lost
from jobs.services import run_job
from jobs.workflow import JobStatus
from scoring.erasing import ErasureRefused, person_named
from scoring.models import Detector


class Command(BaseCommand):
    help = (
        "Erase the personal data of one person from a detector's predictions, alerts, windows, "
        "lists and links (docs/administration.md says what is not reached). No row is deleted "
        "but windows; counts, scores and amounts stay. It may be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", required=True, help="slug")
        parser.add_argument(
            "--entity-key",
            nargs=2,
            required=True,
            metavar=("FIELD", "VALUE"),
            help="the field by which the detector groups its events, and whom it names",
        )
        parser.add_argument("--reason", default="", help="why; the audit trail keeps it")
        parser.add_argument("--dry-run", action="store_true", help="only say what is stored")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        detector = Detector.objects.filter(slug=options["detector"]).first()
        if detector is None:
            raise CommandError(f"There is no detector '{options['detector']}'.")
        try:
            person = person_named(detector, *options["entity_key"])
            if options["dry_run"]:
                self._tell("Would be erased", asdict(reach_of(person)))
                if why := why_not(person, timezone.now()):
                    self.stdout.write(f"Refused for now: {why}")
                return
            by = f"erase_person, system user {system_user()}"
            take_up_lost(timezone.now())
            job = request_erasure(person, reason=options["reason"], actor=None, by=by)
        except ErasureRefused as error:
            raise CommandError(str(error)) from None
        done = run_job(job.pk, run_erasure)
        if done is None:
            raise CommandError(f"Job {job.pk} is being done by a worker.")
        if done.status != JobStatus.SUCCEEDED:
            raise CommandError(f"Job {job.pk} {done.status}: {done.error}")
        self._tell("Erased", done.result or {})

    def _tell(self, what: str, counts: dict[str, Any]) -> None:
        # In this order: PostgreSQL keeps the keys of a job's result in one of its own.
        told = [one.name for one in fields(Reach) if one.name in counts]
        said = ", ".join(f"{counts[name]:,} {name}" for name in told)
        self.stdout.write(f"{what}: {said}.")
