"""A training in the process that asks for it, as `manage.py train` does.

It has a job as any other has: its pages show how far it is, whoever may cancels it, and no other
training of the detector runs beside it. No worker takes it over, not even where this process dies.
"""

from typing import Any

from jobs.models import Job
from jobs.progress import JobCancelled
from jobs.services import cancel_job, run_job
from models_registry.fitting import Progress
from models_registry.models import ModelVersion
from models_registry.retraining import TrainingUnderWay, check_idle, request_training, under_way
from models_registry.training import run_training
from scoring.models import Detector

STOPPED = "Stopped where it was started."


class _Told:
    """What a training tells, to its job and to whoever watches; the job says whether to stop."""

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
    detector: Detector,
    *,
    by: str,
    watched: Progress,
    refusals: tuple[type[Exception], ...],
    **how: Any,
) -> ModelVersion:
    """Train now, as `request_training` is asked to by `how`; `by`: who asks, in words.

    Raises TrainingUnderWay where any other training of the detector waits or runs, JobCancelled
    when somebody cancelled this one, and what `train_version` raises; of `refusals` the log says no
    more than that.
    """
    check_idle(detector)
    job = request_training(detector, requested_by=None, by=by, max_attempts=1, **how)
    made: list[ModelVersion] = []
    raised: list[Exception] = []

    def work(held: Job, progress: Progress) -> dict[str, Any]:
        try:
            result = run_training(held, _Told(progress, watched))
        except (KeyboardInterrupt, SystemExit):
            raised.append(JobCancelled(STOPPED))
            cancel_job(held, actor=None)
            raise raised[0] from None
        except Exception as error:
            raised.append(error)
            raise
        made.append(ModelVersion.objects.get(pk=result["version"]))
        return result

    # Somebody who asked for the very same at the same time has the same job: one of us claims it.
    if run_job(job.pk, work, refusals=refusals) is None:
        raise TrainingUnderWay(under_way(detector, job))
    if raised:
        raise raised[0]
    return made[0]
