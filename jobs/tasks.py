"""The sweeps that beat runs: they repair what a dead worker or a lost message left."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from jobs.dispatch import announce_job, take_up_lost
from jobs.selectors import unannounced_jobs

# While every worker is busy a waiting job is announced again and again; one message in two
# minutes costs nothing, as all but the first find nothing to claim.
UNHEARD_AFTER = timedelta(seconds=120)
_AT_ONCE = 100


@shared_task(name="jobs.requeue_lost")
def requeue_lost_jobs() -> int:
    """Requeue jobs whose worker died."""
    return take_up_lost(timezone.now())


@shared_task(name="jobs.start_queued")
def start_queued_jobs() -> int:
    """Announce queued jobs of which no worker seems to have heard."""
    now = timezone.now()
    waiting = list(unannounced_jobs(now - UNHEARD_AFTER, now=now)[:_AT_ONCE])
    for job in waiting:
        announce_job(job)
    return len(waiting)
