"""Celery doors to training. Each may run twice."""

from celery import shared_task
from django.utils import timezone

from jobs.dispatch import announce_job
from jobs.services import run_job
from models_registry.evaluating import run_evaluation
from models_registry.evaluation_jobs import EVALUATE
from models_registry.monitoring import CHECK_DRIFT, run_drift_check
from models_registry.retraining import TRAIN, is_due, request_training
from models_registry.training import run_training
from scoring.models import Detector


@shared_task(name=TRAIN)
def train_task(job_id: int) -> None:
    """Run a training job."""
    run_job(job_id, run_training)


@shared_task(name=CHECK_DRIFT)
def check_drift_task(job_id: int) -> None:
    """Run a drift check."""
    run_job(job_id, run_drift_check)


@shared_task(name=EVALUATE)
def evaluate_task(job_id: int) -> None:
    """Run an evaluation job."""
    run_job(job_id, run_evaluation)


@shared_task(name="models_registry.retrain_due")
def retrain_due() -> None:
    """Queue a training for every detector that is due."""
    for detector in Detector.objects.filter(enabled=True):
        if is_due(detector, now=timezone.now()):
            announce_job(request_training(detector, requested_by=None))
