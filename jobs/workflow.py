"""The statuses of a job and the moves between them, as data."""

from enum import StrEnum


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset(
        {
            JobStatus.SUCCEEDED,
            JobStatus.FAILED,
            JobStatus.CANCELLED,
            # Its worker died or was stopped; another one starts it anew.
            JobStatus.QUEUED,
        }
    ),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}
LIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


def sources_of(target: JobStatus) -> list[JobStatus]:
    """The statuses from which a job may move to `target`."""
    return [source for source, targets in MOVES.items() if target in targets]
