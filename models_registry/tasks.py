"""Celery doors to training. Each may run twice."""

from celery import shared_task
from django.utils import timezone

from jobs.dispatch import announce_job
from jobs.services import run_job
from models_registry.explaining import EXPLAIN_VERSION, run_explanation
from models_registry.models import ModelVersion
from models_registry.monitoring import CHECK_DRIFT, run_drift_check
from models_registry.retraining import TRAIN, is_due, request_training
from models_registry.tracking import (
    TRACK_VERSION,
    overdue_runs,
    request_tracking,
    run_tracking,
)
from models_registry.training import run_training
from scoring.models import Detector


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
    """Run a drift check."""
    run_job(job_id, run_drift_check)


@shared_task(name=EXPLAIN_VERSION)
def explain_version_task(job_id: int) -> None:
    """Run an explanation job."""
    run_job(job_id, run_explanation)


@shared_task(name=TRACK_VERSION)
def track_version_task(job_id: int) -> None:
    """Run a job that logs a version at the tracking server."""
    run_job(job_id, run_tracking)


@shared_task(name="models_registry.track_overdue")
def track_overdue() -> None:
    """Queue again what the tracking server did not take."""
    for run in overdue_runs():
        job = request_tracking(run.version)
        if job is not None:
            announce_job(job)


@shared_task(name="models_registry.retrain_due")
def retrain_due() -> None:
    """Queue a training for every detector that is due."""
    for detector in Detector.objects.filter(enabled=True):
        if is_due(detector, now=timezone.now()):
            announce_job(request_training(detector, requested_by=None))
