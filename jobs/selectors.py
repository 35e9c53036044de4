"""Reads of jobs."""

from datetime import datetime

from django.db.models import Q, QuerySet

from jobs.models import Job
from jobs.workflow import JobStatus


def list_jobs(*, status: str = "", kind: str = "") -> QuerySet[Job]:
    """Jobs for the list, newest first, without their long columns."""
    jobs = Job.objects.select_related("requested_by").defer("log", "result")
    if status:
        jobs = jobs.filter(status=status)
    if kind:
        jobs = jobs.filter(kind=kind)
    return jobs


def get_job(job_id: int) -> Job | None:
    """One job with who asked for it."""
    return Job.objects.select_related("requested_by").filter(pk=job_id).first()


def unannounced_jobs(before: datetime, *, now: datetime) -> QuerySet[Job]:
    """Queued jobs of which the workers heard last before `before`, or never.

    Times after `now` are of before a clock was set back, and say nothing.
    """
    waiting = Job.objects.filter(status=JobStatus.QUEUED)
    just_now = Q(announced_at=None, queued_at__range=(before, now))
    return waiting.exclude(Q(announced_at__range=(before, now)) | just_now).order_by(
        "queued_at", "id"
    )
