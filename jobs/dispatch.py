"""Telling the workers that a job waits. A message may get lost; `jobs.start_queued` heals that."""

from celery import current_app
from django.db import transaction
from django.utils import timezone

from jobs.models import Job
from jobs.services import note_announced


def announce_job(job: Job) -> None:
    """After the commit, send the Celery task `job.kind` with the job's id."""
    job_id, kind = job.pk, job.kind

    def send() -> None:
        current_app.send_task(kind, args=[job_id])
        note_announced([job_id], now=timezone.now())

    # Robust: with the broker gone the request still succeeds; the sweep announces again.
    transaction.on_commit(send, robust=True)
