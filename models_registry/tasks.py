"""Celery doors to training and drift checks. Each may run twice."""

import logging

from celery import shared_task
from django.utils import timezone

from jobs.dispatch import announce_job
from jobs.services import run_job
from jobs.workflow import JobStatus
from models_registry.backtesting import BACKTEST, run_backtest
from models_registry.evaluating import run_evaluation
from models_registry.evaluation_jobs import EVALUATE
from models_registry.explaining import EXPLAIN_VERSION, run_explanation
from models_registry.fault_telling import tell_faults
from models_registry.guarding import watch_promotions
from models_registry.models import ModelVersion
from models_registry.monitoring import (
    CHECK_DRIFT,
    NoModel,
    check_new_champion,
    forget_old_checks,
    request_drift_check,
    run_drift_check,
    was_outrun,
)
from models_registry.retraining import (
    TRAIN,
    TrainingUnderWay,
    is_due,
    request_training,
    scheduled,
)
from models_registry.reviewing import tell_reviews
from models_registry.shadow_judging import (
    SHADOW,
    request_judgement,
    run_shadow_job,
    versions_with_jobs,
)
from models_registry.shadow_judging import is_due as is_judgement_due
from models_registry.shadow_models import Shadow
from models_registry.shadow_scoring import Turn, shadow_some
from models_registry.shadowing import (
    choose_shadows,
    displaced_shadows,
    forget_scores,
    running_shadows,
)
from models_registry.timetable import RETRAIN_ON_TIME, make_missing_timetables
from models_registry.tracking import (
    TRACK_VERSION,
    overdue_runs,
    request_tracking,
    run_tracking,
)
from models_registry.training import run_training
from scoring.core.reader import SpecError
from scoring.models import Detector

logger = logging.getLogger(__name__)


@shared_task(name=TRAIN)
def train_task(job_id: int) -> None:
    """Run a training job."""
    job = run_job(job_id, run_training)
    made = (job.result or {}).get("version") if job else None
    version = ModelVersion.objects.filter(pk=made).first() if made else None
    tracking = request_tracking(version) if version else None
    if tracking is not None:
        announce_job(tracking)


@shared_task(name=CHECK_DRIFT)
def check_drift_task(job_id: int) -> None:
    """Run a drift check, and queue another one where a new champion came meanwhile."""
    job = run_job(job_id, run_drift_check)
    if job is not None and was_outrun(job):
        check_new_champion(Detector.objects.get(slug=job.params["detector"]))


@shared_task(name=EVALUATE)
def evaluate_task(job_id: int) -> None:
    """Run an evaluation job."""
    run_job(job_id, run_evaluation)


@shared_task(name=BACKTEST)
def backtest_task(job_id: int) -> None:
    """Run a backtest."""
    run_job(job_id, run_backtest)


@shared_task(name=EXPLAIN_VERSION)
def explain_version_task(job_id: int) -> None:
    """Run an explanation job."""
    run_job(job_id, run_explanation)


@shared_task(name=TRACK_VERSION)
def track_version_task(job_id: int) -> None:
    """Run a job that logs a version at the tracking server, and queue the next where that went."""
    job = run_job(job_id, run_tracking)
    if job is not None and job.status == JobStatus.SUCCEEDED:
        _track_next()


@shared_task(name="models_registry.track_overdue")
def track_overdue() -> None:
    """Queue again what the tracking server did not take."""
    _track_next()


def _track_next() -> None:
    """The one that waited longest. A server that says nothing keeps one thread of a worker waiting
    and not all of them, while alerts are to be opened and people to be told."""
    run = next(iter(overdue_runs()), None)
    job = request_tracking(run.version) if run else None
    if job is not None:
        announce_job(job)


@shared_task(name="models_registry.retrain_due")
def retrain_due() -> None:
    """Queue a training for every detector that is due by its policy."""
    make_missing_timetables()
    for detector in Detector.objects.filter(enabled=True):
        try:
            reason = is_due(detector, now=timezone.now())
            if reason:
                _train(detector, reason)
        except SpecError as error:
            logger.warning("%s cannot be trained: %s", detector.slug, error)
        except Exception:  # Whatever is wrong with one must not keep the others from learning.
            logger.exception("Whether %s is due could not be told.", detector.slug)


@shared_task(name=RETRAIN_ON_TIME)
def retrain_on_time(slug: str) -> None:
    """Queue a training because the detector's timetable says so."""
    detector = Detector.objects.filter(slug=slug, enabled=True).first()
    if detector is None:
        return
    reason = scheduled(detector, now=timezone.now())
    if reason:
        _train(detector, reason)


def _train(detector: Detector, reason: str) -> None:
    """Queue a training as declared, unless somebody has just asked for another one."""
    try:
        announce_job(request_training(detector, requested_by=None, reason=reason))
    except TrainingUnderWay as other:
        logger.info("%s is not trained because %s: %s", detector.slug, reason, other)


@shared_task(name="models_registry.check_drift_everywhere")
def check_drift_everywhere() -> None:
    """Queue a drift check of every model that serves, and forget checks that are too old."""
    forget_old_checks(timezone.now())
    for detector in Detector.objects.filter(enabled=True):
        try:
            announce_job(request_drift_check(detector, requested_by=None))
        except NoModel as error:
            if error.__cause__ is None:  # Rules alone serve it.
                continue
            logger.warning("%s cannot be checked for drift: %s", detector.slug, error)
        except SpecError as error:
            logger.warning("%s cannot be checked for drift: %s", detector.slug, error)


SHADOW_AT_ONCE = 5000


@shared_task(name=SHADOW)
def shadow_task(job_id: int) -> None:
    """Run a shadow job."""
    run_job(job_id, run_shadow_job)


@shared_task(name="models_registry.shadow_traffic")
def shadow_traffic() -> None:
    """Score what came of late with every challenger in shadow; a job takes a long backlog.

    One that made room for newer ones is judged as its labels mature. One that cannot be chosen or
    scored keeps none of the others. Where a job is at it, it is left to the job.
    """
    now = timezone.now()
    shadows = []
    for detector in Detector.objects.filter(enabled=True):
        try:
            choose_shadows(detector, now=now)
            shadows += displaced_shadows(detector, now=now)
        except Exception:
            logger.exception("The challengers of %s could not be chosen.", detector.slug)
    shadows += running_shadows()
    busy = versions_with_jobs(shadow.version for shadow in shadows)
    for shadow in shadows:
        if shadow.version_id in busy:
            continue
        try:
            running = shadow.state == Shadow.State.RUNNING
            turn = shadow_some(shadow, now=now, most=SHADOW_AT_ONCE) if running else Turn.DONE
            if turn is Turn.MORE or is_judgement_due(shadow, now=now):
                announce_job(request_judgement(shadow.version, requested_by=None))
        except Exception:
            logger.exception("%s could not score in shadow.", shadow.version)


@shared_task(name="models_registry.watch_promotions")
def watch_promotions_task() -> int:
    """Look at every new champion; how many were rolled back."""
    return len(watch_promotions(now=timezone.now()))


@shared_task(name="models_registry.tell_reviews")
def tell_reviews_task() -> int:
    """Tell of champions whose review date is near or past."""
    return tell_reviews(now=timezone.now())


@shared_task(name="models_registry.tell_faults")
def tell_faults_task() -> int:
    """Tell of bundles, declarations, rules and lists that do not do what they say."""
    return tell_faults(now=timezone.now())


@shared_task(name="models_registry.forget_shadows")
def forget_shadows() -> int:
    """Delete shadow scores that are past the time for which they are kept."""
    return forget_scores(now=timezone.now())
