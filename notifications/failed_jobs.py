"""Background jobs that failed. `jobs` stands below and knows nothing of notifications: its rows are
looked at, which also sees the jobs whose worker died (docs/adr/0016)."""

from datetime import datetime, timedelta

from django.urls import reverse

from jobs.models import Job
from jobs.workflow import JobStatus
from notifications.models import Notification
from notifications.services import notify

RECENT = timedelta(hours=1)
_QUEUED_WITHIN = timedelta(days=7)
_AT_ONCE = 100


def tell_failed_jobs(*, now: datetime) -> int:
    """Tell of jobs that failed within the hour and were not told of; how many were told."""
    failed = Job.objects.filter(
        status=JobStatus.FAILED,
        queued_at__gt=now - _QUEUED_WITHIN,
        finished_at__gt=now - RECENT,
    )
    jobs = {_key(job): job for job in failed.select_related("requested_by")[:_AT_ONCE]}
    known = Notification.objects.filter(key__in=jobs).values_list("key", flat=True)
    for key in set(known):
        del jobs[key]
    return sum(_tell(key, job) for key, job in jobs.items())


def _tell(key: str, job: Job) -> bool:
    words = job.kind.rpartition(".")[2].replace("_", " ")
    told = notify(
        "job.failed",
        key=key,
        subject=f"Job {job.pk} failed: {words} {job.subject}".rstrip(),
        text="Its page says why, and what to do.",
        url=reverse("job_detail", args=[job.pk]),
        users=None if job.requested_by is None else [job.requested_by],
        data={"job": job.pk, "kind": job.kind},
    )
    return told is not None


def _key(job: Job) -> str:
    return f"job.failed:{job.pk}"
