"""What moves a job. The row is the queue: a move is one `update()`, and its count says who won."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from accounts.typed import storable
from jobs.models import Job
from jobs.progress import CUT, JobCancelled, JobProgress, try_anew
from jobs.words import WORKER_DIED
from jobs.workflow import JobStatus, sources_of

logger = logging.getLogger(__name__)

# Many missed heartbeats, and longer than a writer may wait for SQLite's lock (20 s).
LOST_AFTER = timedelta(seconds=60)
PAUSES = (0.0, 1.0, 4.0)
"""Seconds before each new try to write down how a job ended, where the database is away."""
LONGEST_ERROR, ERROR_BEGINS = 1000, 300
"""Characters of the text of an error that are kept, and how many of them are its first."""
MOST_OFTEN = (
    "What kills one in the middle of its work is most often a lack of memory: the system's log "
    "tells (out of memory). Give it more, or less to do."
)
Work = Callable[[Job, JobProgress], Mapping[str, Any] | None]


def enqueue_job(
    *,
    kind: str,
    params: Mapping[str, Any] | None = None,
    unique_key: str = "",
    requested_by: User | None = None,
    subject: str = "",
    max_attempts: int = 3,
) -> Job:
    """A new queued job, or the live one that has `unique_key` already.

    Announcing it to the workers is for the caller: `jobs.dispatch.announce_job(job)`.
    """
    for last_try in (False, False, True):
        try:
            # A savepoint: the caller's transaction survives the refusal.
            with transaction.atomic():
                return Job.objects.create(
                    kind=kind,
                    params=dict(params or {}),
                    unique_key=unique_key,
                    requested_by=requested_by,
                    subject=subject[:200],
                    max_attempts=max_attempts,
                )
        except IntegrityError:
            live = Job.objects.live().filter(unique_key=unique_key).first() if unique_key else None
            if live is not None:
                return live
            if last_try or not unique_key:
                raise
            # The live one has just ended: there is room now.
    raise AssertionError("The last try returns or raises.")


def claim_job(job_id: int) -> Job | None:
    """Take a queued job for this worker; None when it is not to be had (taken, over, cancelled)."""
    now = timezone.now()
    claimed = Job.objects.filter(pk=job_id, status=JobStatus.QUEUED).update(
        status=JobStatus.RUNNING,
        attempt=F("attempt") + 1,
        started_at=now,
        heartbeat_at=now,
        finished_at=None,
        progress=0.0,
        stage="",
        error="",
    )
    return Job.objects.get(pk=job_id) if claimed else None


def run_job(job_id: int, work: Work, *, refusals: tuple[type[Exception], ...] = ()) -> Job | None:
    """Claim the job, do `work`, write down how it ended. None when there was nothing to claim.

    `work(job, progress)` returns the result (JSON-able). Its exceptions end in the row, never in
    the caller. A second message for the same job finds nothing to claim, so a task may run twice.
    Work that loses the database goes back into the queue while attempts are left; the sweep
    announces it in two minutes. `refusals`: errors that are an answer to whoever runs it, and no
    fault that the log of the process has to trace.
    """
    job = claim_job(job_id)
    if job is None:
        return None
    with JobProgress(job) as handle:
        try:
            result = dict(work(job, handle) or {})
        except JobCancelled as reason:
            _finish_anyhow(job, handle, JobStatus.CANCELLED, error=str(reason))
        except Exception as error:
            _give_up(job, handle, error, is_told=isinstance(error, refusals))
        except BaseException:
            # The worker is being stopped, the work is not at fault.
            _put_back(job, "")
            raise
        else:
            _finish_anyhow(job, handle, JobStatus.SUCCEEDED, result=result, progress=1.0)
    with suppress(*CUT):
        try_anew(job.refresh_from_db)
    return job


def _give_up(job: Job, handle: JobProgress, error: Exception, *, is_told: bool = False) -> None:
    if not is_told:
        logger.error("Job %s (%s) failed.", job.pk, job.kind, exc_info=error)
    if isinstance(error, CUT) and job.attempt < job.max_attempts:
        _put_back(job, "The database was away; again")
        return
    _finish_anyhow(job, handle, JobStatus.FAILED, error=_in_short(error))


def _in_short(error: Exception) -> str:
    """What went wrong, for the row and the pages that show it; the log has all of it.

    Of what a database says only its first line: the others hold the row that it refused. Of a long
    text the beginning, and the end, which tells.
    """
    said = str(error).strip() or "no message"
    if isinstance(error, DatabaseError):
        said = said.splitlines()[0]
    said = f"{type(error).__name__}: {said}"
    if len(said) <= LONGEST_ERROR:
        return said
    return f"{said[:ERROR_BEGINS]} ... {said[ERROR_BEGINS + 5 - LONGEST_ERROR :]}"


def _put_back(job: Job, stage: str) -> None:
    """Back into the queue; cancelled instead where somebody asked for that."""

    def move() -> None:
        if Job.objects.filter(pk=job.pk, cancel_requested_at=None).exists():
            _move(job, JobStatus.QUEUED, announced_at=None, stage=stage)
        else:
            _move(job, JobStatus.CANCELLED, finished_at=timezone.now())

    try:
        try_anew(move, pauses=PAUSES)
    except CUT:
        logger.exception("Job %s waits for the reaper.", job.pk)


def cancel_job(job: Job, *, actor: User | None) -> bool:
    """Cancel a queued job at once, ask a running one to stop. False when it is over already."""
    now = timezone.now()
    with transaction.atomic():
        done = Job.objects.filter(pk=job.pk, status=JobStatus.QUEUED).update(
            status=JobStatus.CANCELLED, cancel_requested_at=now, finished_at=now
        ) or Job.objects.filter(
            pk=job.pk, status=JobStatus.RUNNING, cancel_requested_at=None
        ).update(cancel_requested_at=now)
        if done:
            record_audit(actor=actor, action="job.cancelled", subject=job)
    job.refresh_from_db()
    return bool(done)


def requeue_lost(now: datetime, *, lost_after: timedelta = LOST_AFTER) -> list[Job]:
    """Give the jobs whose worker died back to the queue; those out of attempts fail.

    A heartbeat that is still to come, of before a clock was set back, counts as one of `now`: who
    lives beats again. Returns the ones that are queued again, for the caller to announce.
    """
    running = Job.objects.filter(status=JobStatus.RUNNING)
    running.filter(heartbeat_at__gt=now).update(heartbeat_at=now)
    lost = Q(status=JobStatus.RUNNING, heartbeat_at__lt=now - lost_after)
    requeued = []
    for job in Job.objects.filter(lost):
        # The heart may have beaten since: the condition stands in the update again.
        row = Job.objects.filter(lost, pk=job.pk, attempt=job.attempt)
        if job.cancel_requested_at is not None:
            row.update(status=JobStatus.CANCELLED, finished_at=now)
        elif job.attempt >= job.max_attempts:
            row.update(
                status=JobStatus.FAILED,
                finished_at=now,
                error=_how_it_died(job),
            )
        elif row.update(status=JobStatus.QUEUED, announced_at=None, stage=f"{WORKER_DIED}; again"):
            job.refresh_from_db()
            requeued.append(job)
    return requeued


def _how_it_died(job: Job) -> str:
    tries = f", {job.attempt} times out of {job.max_attempts}" if job.max_attempts > 1 else ""
    return f"{WORKER_DIED}{tries}. {MOST_OFTEN}"


def note_announced(job_ids: list[int], *, now: datetime) -> None:
    """Remember that the workers were told of these jobs."""
    Job.objects.filter(pk__in=job_ids).update(announced_at=now)


def _finish_anyhow(
    job: Job, handle: JobProgress, status: JobStatus, *, error: str = "", **columns: Any
) -> None:
    """Write down how the job ended; a result that cannot be stored makes it a failure."""
    columns = {"finished_at": timezone.now(), "error": storable(error)} | columns
    try:
        try_anew(lambda: _finish(job, status, **(handle.columns() | columns)), pauses=PAUSES)
    except CUT:
        # The database itself is gone: the reaper finds the job when it is back.
        logger.exception("Job %s could not be marked as %s.", job.pk, status)
    except Exception as problem:
        if status != JobStatus.SUCCEEDED:
            logger.exception("Job %s could not be marked as %s.", job.pk, status)
            return
        _give_up(job, handle, problem)


def _finish(job: Job, status: JobStatus, **columns: Any) -> None:
    # A savepoint: a result that cannot be stored must not spoil a surrounding transaction.
    with transaction.atomic():
        moved = _move(job, status, **columns)
    if not moved:
        logger.warning("Job %s had been given to another worker; our end is dropped.", job.pk)


def _move(job: Job, status: JobStatus, **columns: Any) -> bool:
    """Move the row if this attempt still holds it."""
    held = Job.objects.filter(pk=job.pk, status__in=sources_of(status), attempt=job.attempt)
    return bool(held.update(status=status, **columns))
