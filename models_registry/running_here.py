"""Trainings and evaluations in the process that asks for them, as `manage.py` does.

Each has a job as any other has: its pages show how far it is, whoever may cancels it, and no other
of the same runs beside it. No worker takes it over, not even where this process dies: the next
one that is asked for the same lets go of it, also where no beat runs.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from jobs.dispatch import take_up_lost
from jobs.models import Job
from jobs.progress import JobCancelled
from jobs.services import cancel_job, run_job
from models_registry.evaluating import run_evaluation
from models_registry.evaluation_jobs import (
    EvaluationUnderWay,
    check_not_evaluating,
    request_evaluation,
)
from models_registry.evaluation_jobs import under_way as evaluating
from models_registry.evaluation_models import Evaluation
from models_registry.fitting import Progress
from models_registry.models import ModelVersion
from models_registry.retraining import TrainingUnderWay, check_idle, request_training, under_way
from models_registry.training import run_training
from scoring.models import Detector

STOPPED = "Stopped where it was started."
Errors = tuple[type[Exception], ...]


class _Told:
    """What the work tells, to its job and to whoever watches; the job says whether to stop."""

    def __init__(self, job: Progress, watched: Progress) -> None:
        self._job, self._watched = job, watched

    def report(self, fraction: float, stage: str) -> None:
        self._job.report(fraction, stage)
        self._watched.report(fraction, stage)

    def log(self, text: str, **told: float) -> None:
        self._job.log(text, **told)
        self._watched.log(text, **told)

    def check_cancelled(self) -> None:
        self._job.check_cancelled()

    def hold(self) -> None:
        self._job.hold()


def train_here(
    detector: Detector, *, by: str, watched: Progress, refusals: Errors, **how: Any
) -> ModelVersion:
    """Train now, as `request_training` is asked to by `how`; `by`: who asks, in words.

    Raises TrainingUnderWay where any other training of the detector waits or runs, JobCancelled
    when somebody cancelled this one, and what `train_version` raises; of `refusals` the log says no
    more than that.
    """
    take_up_lost(timezone.now())
    check_idle(detector)
    job = request_training(detector, requested_by=None, by=by, max_attempts=1, **how)
    kept = ModelVersion.objects.filter(job=job)
    if not _run(job, run_training, kept, watched=watched, refusals=refusals):
        raise TrainingUnderWay(under_way(detector, job))
    return kept.get()


def evaluate_here(
    version: ModelVersion, *, kind: str, by: str, watched: Progress, refusals: Errors
) -> Evaluation:
    """Judge a version again now and keep it, as `request_evaluation` is asked to.

    Raises EvaluationUnderWay where any other evaluation of it waits or runs, JobCancelled, and what
    `run_evaluation` raises.
    """
    take_up_lost(timezone.now())
    check_not_evaluating(version)
    job = request_evaluation(version, kind=kind, requested_by=None, by=by, max_attempts=1)
    kept = Evaluation.objects.filter(job=job).select_related("version__detector")
    if not _run(job, run_evaluation, kept, watched=watched, refusals=refusals):
        raise EvaluationUnderWay(evaluating(version, job))
    return kept.get()


def _run(
    job: Job,
    work: Callable[[Job, Progress], dict[str, Any]],
    kept: QuerySet[Any],
    *,
    watched: Progress,
    refusals: Errors,
) -> bool:
    """Do the work of the job, which has then `kept` one row; False where somebody else has claimed
    it: who asks for the very same at the same time has the same job.

    Raises what the work raised. Stopped at the keyboard before the row was kept, the job is
    cancelled; after that its work is done, but for what only describes the row.
    """
    raised: list[Exception] = []

    def told(held: Job, progress: Progress) -> dict[str, Any]:
        try:
            return work(held, _Told(progress, watched))
        except (KeyboardInterrupt, SystemExit):
            if kept.exists():
                return work(held, progress)  # Says what there is, and does nothing twice.
            raised.append(JobCancelled(STOPPED))
            cancel_job(held, actor=None)
            raise raised[0] from None
        except Exception as error:
            raised.append(error)
            raise

    if run_job(job.pk, told, refusals=refusals) is None:
        return False
    if raised:
        raise raised[0]
    return True
