"""Personal data kept for so many days after the last event of whom it is about (docs/adr/0023).

Once a day a job erases that of entities who have been quiet for longer, as an erasure on request
does (cases.erasure): values and tokens go, scores, labels, amounts and counts stay.
"""

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import AuditEntry
from cases.erasure import ERASED, erase_at_once, request_erasure
from jobs.dispatch import announce_job
from jobs.models import Job
from jobs.progress import JobProgress
from jobs.services import enqueue_job
from scoring.core.reader import SpecError
from scoring.erasing import ErasureRefused, Person, memory_of, person_of, quiet_since
from scoring.models import Detector

RETAIN = "cases.apply_retention"
MOST = 20_000
"""Entities of one detector that a run takes; the next one goes on."""
FEW = 400
"""Events that are erased in one transaction. Whoever has more is erased by a job of their own."""


def request_retention() -> Job | None:
    """Queue what is due; the job that is under way, if there is one; None where all is kept."""
    days = settings.RETENTION_DAYS
    return enqueue_job(kind=RETAIN, params={"days": days}, unique_key=RETAIN) if days else None


def last_retention() -> Job | None:
    """The newest run, whatever became of it."""
    return Job.objects.filter(kind=RETAIN).order_by("-pk").first()


def kept_from(detector: Detector, days: int, now: datetime) -> datetime | None:
    """Whoever had no event since then is due: `days` ago, or as far back as the windows remember.
    None where nobody is: the declaration cannot be read, or it names no entity."""
    try:
        if not detector.spec().entity_field:
            return None
    except SpecError:
        return None
    return now - max(timedelta(days=days), memory_of(detector))


def run_retention(job: Job, progress: JobProgress) -> Mapping[str, Any]:
    """Erase whoever is due, one by one, with rests so that scoring goes on; may be run again: whom
    a former attempt has erased counts too.

    Result by detector: `erased`, `held` (an open alert, a case, an order about them), and
    `jobs`, begun for those with many events. Raises WindowStateError while windows are made anew.
    """
    days, now = job.params["days"], timezone.now()
    found: dict[str, dict[str, int]] = {}
    before = _erased_before(job)
    for detector in Detector.objects.order_by("pk"):
        if (since := kept_from(detector, days, now)) is None:
            continue
        tokens = quiet_since(detector, since, most=MOST)
        counts = Counter({"erased": before[detector.pk]} if before[detector.pk] else {})
        for number, token in enumerate(tokens):
            progress.report(number / len(tokens), f"Erasing what is old in {detector}")
            progress.check_cancelled()
            counts[_let_go(person_of(detector, token), job, now, since)] += 1
        if counts:
            found[detector.slug] = dict(counts)
    return found


def _erased_before(job: Job) -> Counter[int]:
    """By detector, whom former attempts at the job have erased, as the audit trail tells."""
    if job.attempt < 2:
        return Counter()
    lines = AuditEntry.objects.filter(action=ERASED, at__gte=job.queued_at)
    return Counter(int(line.object_id) for line in lines if line.detail.get("job") == job.pk)


def _let_go(person: Person, job: Job, now: datetime, since: datetime) -> str:
    """What became of them: erased, held or jobs."""
    began = time.monotonic()
    reason = f"No event since {since:%Y-%m-%d}"
    try:
        if person.predictions.order_by()[: FEW + 1].count() > FEW:
            with transaction.atomic():
                begun = request_erasure(
                    person, reason=reason, actor=None, by=f"job {job.pk}", quiet_since=since
                )
                announce_job(begun)
            return "jobs"
        erase_at_once(person, reason=reason, job=job, now=now, quiet_since=since)
    except ErasureRefused:
        return "held"
    time.sleep(time.monotonic() - began)
    return "erased"
