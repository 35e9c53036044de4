"""The handle through which running work reports, logs and learns that it should stop.

It also keeps the job's heart beating from a thread, so that work which reports nothing for minutes
is not taken for dead. The heart writes what was reported, every two seconds and on a connection of
its own; a new stage is written at once.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from accounts.typed import storable
from jobs.models import Job
from jobs.workflow import JobStatus

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
LOG_LINES_KEPT = 200
_LONGEST_LINE = 500
_LONGEST_STAGE = 200


CUT = (OperationalError, InterfaceError)
"""What a connection raises that was cut, and a database that is away or busy."""


class JobCancelled(Exception):
    """The work was asked to stop, or the job has been given to another worker."""


class JobProgress:
    """What the work of one attempt at `job` may call. Use as a context manager."""

    def __init__(self, job: Job) -> None:
        self._job_id = job.pk
        self._attempt = job.attempt
        self._lock = threading.Lock()
        self._fraction = job.progress
        self._stage = job.stage
        self._log: list[dict[str, Any]] = list(job.log)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"job-{job.pk}-heart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=HEARTBEAT_SECONDS)

    def report(self, fraction: float, stage: str = "") -> None:
        """How far the work is, 0 to 1, and what it is doing now (empty: as before)."""
        stage = storable(stage)[:_LONGEST_STAGE]
        with self._lock:
            changed = bool(stage) and stage != self._stage
            self._fraction = min(max(float(fraction), 0.0), 1.0)
            self._stage = stage or self._stage
        if changed:
            self._write_stage()

    def log(self, text: str, **told: float) -> None:
        """Add a line to the job's log; the oldest lines make room.

        `told`: the numbers of it from which the end is foretold (`jobs.remaining.TOLD`).
        """
        text = storable(text)[:_LONGEST_LINE]
        line = {"at": timezone.now().isoformat(timespec="seconds"), "text": text, **told}
        with self._lock:
            self._log = [*self._log, line][-LOG_LINES_KEPT:]

    def check_cancelled(self) -> None:
        """Raise `JobCancelled` when somebody cancelled the job or another worker has it now."""
        mine = Job.objects.filter(
            pk=self._job_id, status=JobStatus.RUNNING, attempt=self._attempt
        ).values_list("cancel_requested_at", flat=True)
        found = try_anew(lambda: list(mine.all()))
        if not found:
            raise JobCancelled("This attempt is over; the job is no longer ours.")
        if found[0] is not None:
            raise JobCancelled("Cancelled on request.")

    def hold(self) -> None:
        """Inside a transaction of the work's own: keep the job ours until the commit.

        Raises `JobCancelled` when it is not ours any more or was cancelled: an attempt that was
        taken for dead must not write down its result beside that of its successor.
        """
        held = Job.objects.filter(
            pk=self._job_id,
            status=JobStatus.RUNNING,
            attempt=self._attempt,
            cancel_requested_at=None,
        )
        if not held.update(heartbeat_at=timezone.now()):
            self.check_cancelled()
            raise JobCancelled("This attempt is over; the job is no longer ours.")

    def columns(self) -> dict[str, Any]:
        """The columns of the row as they stand now."""
        with self._lock:
            return {"progress": self._fraction, "stage": self._stage, "log": self._log}

    def _write_stage(self) -> None:
        # Inside a transaction of the work's own nobody would see it, and the row would stay
        # locked against the heart; there the heart writes it.
        if connection.in_atomic_block:
            return
        try:
            try_anew(self._write)
        except CUT:
            # No reason to give up work that may not need the database for a long while. On SQLite
            # a query that is being read bars its connection from writing once somebody else has.
            # The heart will write it, and says what is wrong where it cannot either.
            logger.info("A stage of job %s waits for its heart.", self._job_id)

    def _write(self) -> None:
        columns = self.columns()
        Job.objects.filter(pk=self._job_id, status=JobStatus.RUNNING, attempt=self._attempt).update(
            heartbeat_at=timezone.now(), **columns
        )

    def _beat(self) -> None:
        try:
            while not self._stop.wait(HEARTBEAT_SECONDS):
                try:
                    self._write()
                except Exception:
                    # The next beat tries again; a job is lost only after many missed ones. Whatever
                    # it was, a heart that stops would let another worker take the job as well.
                    logger.warning("A heartbeat of job %s failed.", self._job_id, exc_info=True)
                    connection.close()
        finally:
            connection.close()


def try_anew(act: Callable[[], Any], *, pauses: Sequence[float] = (0.0,)) -> Any:
    """What `act` gives; where the connection was cut it is done again, on a fresh one.

    After each of `pauses` (seconds) once. Inside a transaction, which is lost with its connection,
    the error goes on to whoever began it. A connection that still works is kept, and with it what
    is being read from it: the database was busy.
    """
    for pause in pauses:
        try:
            return act()
        except CUT:
            if connection.in_atomic_block:
                raise
            if not connection.is_usable():
                connection.close()
            time.sleep(pause)
    return act()
