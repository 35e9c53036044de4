"""Detectors with a retraining policy, an old version, labels and drift."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from models_registry.models import ModelVersion
from models_registry.retraining_models import RetrainingPolicy
from scoring.labelling import record_label
from scoring.models import Deployment, Detector, Label
from tests.factories import card, scored
from tests.models_registry.drifting import kept_check
from tests.models_registry.learning import version_of


def label_now(detector: Detector) -> None:
    number = Label.objects.count()
    record_label(scored(detector.slug, card(number)), is_fraud=True, source=Label.Source.ANALYST)


def policy(detector: Detector, **changed: Any) -> RetrainingPolicy:
    """Everything off but what is given."""
    off = {"on_age": False, "age_hours": 168, "quiet_hours": 1}
    return RetrainingPolicy.objects.create(detector=detector, **(off | changed))


def old_version(detector: Detector, *, days: float = 30) -> ModelVersion:
    return version_of(detector, 3, at=timezone.now() - timedelta(days=days))


def label_old_events(detector: Detector, count: int) -> None:
    for _ in range(count):
        label_now(detector)  # Events of 2020: matured long ago.


def drifts(detector: Detector) -> Detector:
    """v3 serves, was trained 30 days ago, and is in major drift for 2 hours."""
    version = old_version(detector)
    Deployment.objects.update(digest=version.digest, version="v3")
    since = timezone.now() - timedelta(hours=2)
    kept_check(detector, bundle_digest=version.digest, alarm_since=since, model_version="v3")
    return detector
