"""Asking for an evaluation, and reading what was found. Imports no learner: pages use it."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import User
from jobs.models import BY, Job
from jobs.services import enqueue_job
from models_registry.evaluation_models import Evaluation
from models_registry.models import ModelVersion

EVALUATE = "models_registry.evaluate"
SHOWN = 5


class EvaluationUnderWay(RuntimeError):
    """The version is being evaluated in another way; the message says by which job."""


def evaluation_key(version: ModelVersion) -> str:
    """The unique key of a version's evaluations: one at a time."""
    return f"evaluate:{version.pk}"


def request_evaluation(
    version: ModelVersion,
    *,
    kind: str,
    requested_by: User | None,
    by: str = "",
    max_attempts: int = 3,
) -> Job:
    """Queue an evaluation of `kind` (Evaluation.Kind); the one of that kind under way already, if
    there is. `by`: who asks, in words, where it is nobody with an account. Raises
    EvaluationUnderWay where that is one of another kind."""
    job = enqueue_job(
        kind=EVALUATE,
        params={"version": version.pk, "kind": str(kind)} | ({BY: by} if by else {}),
        unique_key=evaluation_key(version),
        requested_by=requested_by,
        subject=f"{version.detector.name} {version.label}",
        max_attempts=max_attempts,
    )
    if job.params["kind"] != str(kind):
        raise EvaluationUnderWay(under_way(version, job))
    return job


def check_not_evaluating(version: ModelVersion) -> None:
    """Raises EvaluationUnderWay where an evaluation of the version waits or runs."""
    job = Job.objects.filter(unique_key=evaluation_key(version)).order_by("-pk").first()
    if job is not None and job.is_live:
        raise EvaluationUnderWay(under_way(version, job))


def under_way(version: ModelVersion, job: Job) -> str:
    """Why no other evaluation begins, in words."""
    return (
        f"Job {job.pk} is evaluating {version.label} already ({job.asked}). Wait until it is "
        "over, or cancel it."
    )


def evaluations_of(version: ModelVersion) -> QuerySet[Evaluation]:
    """The evaluations of a version, newest first."""
    return Evaluation.objects.filter(version=version).select_related("requested_by")


def shown_evaluations(version: ModelVersion) -> list[Evaluation]:
    """The newest of a version, newest first, with the newest as of today however many over time
    came after it: thresholds are judged by its curve."""
    mine = Evaluation.objects.filter(version=version)
    as_of = mine.filter(kind=Evaluation.Kind.AS_OF)
    shown = Q(pk__in=mine.values("pk")[:SHOWN]) | Q(pk__in=as_of.values("pk")[:1])
    return list(evaluations_of(version).filter(shown))


def newest_as_of(evaluations: Sequence[Evaluation]) -> Evaluation | None:
    """The newest of these that judged the version's own bundle."""
    return next((one for one in evaluations if one.kind == Evaluation.Kind.AS_OF), None)


def unanswered(job: Job | None, newest: datetime | None) -> Job | None:
    """The job if it runs, or failed and nothing was found since; `newest`: when something was."""
    if job is None or job.is_live:
        return job
    over = job.finished_at
    is_last = newest is None or over is None or newest < over
    return job if job.status == "failed" and is_last else None
