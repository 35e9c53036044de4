"""Background jobs that failed. `jobs` stands below and knows nothing of notifications: its rows are
looked at, which also sees the jobs whose worker died (docs/adr/0016)."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import CharField, Exists, Max, OuterRef, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.urls import reverse

from jobs.models import BY, Job
from jobs.workflow import JobStatus
from notifications.kinds import KINDS
from notifications.models import Notification
from notifications.services import notify

KIND = "job.failed"
_QUEUED_WITHIN = timedelta(days=7)
_AT_ONCE = 100
_TOLD_AGAIN_AFTER = timedelta(days=1)


def tell_failed_jobs(*, now: datetime) -> int:
    """Tell of failed jobs that were not told of, the oldest first; how many were told.

    However long nobody looked: all of the last week, a hundred at a time. What the platform tries
    again by itself is told once a day until it succeeds.
    """
    return sum(_tell(job) for job in _untold(now)[:_AT_ONCE])


def _untold(now: datetime) -> QuerySet[Job]:
    # What was told longer ago than notifications are kept would seem untold.
    kept = timedelta(days=settings.NOTIFICATIONS_KEPT_DAYS)
    key = Concat(Value(f"{KIND}:"), Cast("pk", CharField()))
    told = Notification.objects.filter(key=OuterRef("key"))
    failed = Job.objects.filter(
        status=JobStatus.FAILED, queued_at__gt=now - _QUEUED_WITHIN, finished_at__gt=now - kept
    )
    untold = failed.alias(key=key).exclude(Exists(told))
    return untold.select_related("requested_by").order_by("finished_at", "pk")


def _tell(job: Job) -> bool:
    words = job.kind.rpartition(".")[2].replace("_", " ")
    key, subject = _key(job.pk), f"Job {job.pk} failed: {words} {job.subject}".rstrip()
    told = None
    if not _was_told_of_late(job):
        told = notify(
            KIND,
            key=key,
            subject=subject,
            text="Its page says why, and what to do.",
            url=reverse("job_detail", args=[job.pk]),
            users=[job.requested_by] if _may_hear(job) else None,
            data={"job": job.pk, "kind": job.kind},
        )
    if told is None:
        # Nobody wants to hear of it: a row that nobody gets keeps the job from being asked about
        # again, and in the way of others.
        Notification.objects.get_or_create(key=key, defaults={"kind": KIND, "subject": subject})
    return told is not None


def _key(job_id: int) -> str:
    return f"{KIND}:{job_id}"


def _was_told_of_late(job: Job) -> bool:
    """Whether nobody asked for it and an earlier try of the same work, which has not succeeded
    since, was told within a day. Who asked for a job is told how it ended, on the command line too.
    """
    if job.requested_by_id is not None or BY in job.params:
        return False
    if job.finished_at is None or not job.unique_key:
        return False
    same = Job.objects.filter(
        unique_key=job.unique_key,
        pk__lt=job.pk,
        finished_at__gt=job.finished_at - _TOLD_AGAIN_AFTER,
    )
    done = same.filter(status=JobStatus.SUCCEEDED).aggregate(pk=Max("pk"))["pk"] or 0
    tries = same.filter(status=JobStatus.FAILED, requested_by=None, pk__gt=done)
    tried = tries.values_list("pk", "params")
    keys = [_key(pk) for pk, params in tried if BY not in params]
    # A row without an address is one that nobody got.
    return Notification.objects.filter(key__in=keys).exclude(url="").exists()


def _may_hear(job: Job) -> bool:
    """Whether who asked for the job still works here, and still may see it."""
    asked = job.requested_by
    return asked is not None and asked.is_active and asked.has_perm(KINDS[KIND].permission)
