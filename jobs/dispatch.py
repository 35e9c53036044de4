"""Telling the workers that a job waits. A message may get lost; `jobs.start_queued` heals that."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import transaction
from django.utils import timezone

from accounts.seldom import Seldom
from jobs.models import Job
from jobs.services import note_announced, requeue_lost

_told = Seldom(logging.getLogger(__name__))
WAIT_SECONDS = 1.0
"""How long whoever asks waits for the broker. One that is frozen or cut off says nothing for
seconds, to every request that begins a job."""
_messenger = ThreadPoolExecutor(1, thread_name_prefix="announcing")


def announce_job(job: Job) -> None:
    """After the commit, send the Celery task `job.kind` with the job's id."""
    job_id, kind = job.pk, job.kind

    def send() -> None:
        if send_soon(current_app.send_task, kind, args=[job_id]):
            note_announced([job_id], now=timezone.now())

    # Robust: with the broker gone the request still succeeds; the sweep announces again.
    transaction.on_commit(send, robust=True)


def take_up_lost(now: datetime) -> int:
    """Requeue the jobs whose worker died and announce them; how many. Beat asks for it, and who
    works in a process of their own, beside which nothing else may run."""
    requeued = requeue_lost(now)
    for job in requeued:
        announce_job(job)
    return len(requeued)


def send_soon(send: Callable[..., Any], name: str, *, args: list[Any]) -> bool:
    """Whether the broker took the message in time. Raises what `send` raises in that time.

    What it is still being asked goes on without us, and may be taken; what waits behind that is
    given up. A sweep sends a job's or a notification's again, and a task may run twice.
    """
    sent = _messenger.submit(send, name, args=args)
    wait([sent], timeout=WAIT_SECONDS)
    if sent.done():
        sent.result()
        return True
    sent.cancel()
    _told.warning("'%s' was not sent in time: the broker is silent.", name)
    return False
