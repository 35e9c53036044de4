"""When a detector learns again: by hand, or when its last version is old and labels have come.

Imports no learner, so that pages may ask for a training without loading one.
"""

from datetime import datetime, timedelta

from accounts.models import User
from jobs.models import Job
from jobs.services import enqueue_job
from models_registry.models import ModelVersion
from models_registry.selectors import training_key
from scoring.models import Detector, Label

TRAIN = "models_registry.train"


def request_training(detector: Detector, *, requested_by: User | None, learner: str = "") -> Job:
    """Queue a training; the one that is under way already, if there is one."""
    return enqueue_job(
        kind=TRAIN,
        params={"detector": detector.slug, "learner": learner or detector.spec().training.learner},
        unique_key=training_key(detector),
        requested_by=requested_by,
        subject=detector.name,
    )


def is_due(detector: Detector, *, now: datetime) -> bool:
    """Its newest version is older than `retrain_every`, and a label came since."""
    newest = ModelVersion.objects.filter(detector=detector).order_by("-number").first()
    labels = Label.objects.filter(detector=detector)
    if newest is None:
        return labels.exists()
    age = timedelta(seconds=detector.spec().training.retrain_every)
    return (
        now - newest.trained_at >= age and labels.filter(recorded_at__gt=newest.trained_at).exists()
    )
