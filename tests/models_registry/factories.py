"""Rows of the registry: versions with numbers, curves and a comparison, without any training."""

from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone

from models_registry.models import Dataset, ModelVersion
from scoring.models import Detector
from tests.factories import config_of

METRICS = {
    "rows": 5000,
    "positives": 60,
    "roc_auc": 0.97,
    "average_precision": 0.81,
    "recall_at_1pct_fpr": 0.72,
    "value_detection_rate": 0.64,
    "cost_per_event": 0.25,
    "brier": 0.008,
    "calibration_error": 0.002,
    "entity_precision_at_100": 0.31,
    "precision": 0.6,
    "recall": 0.7,
    "f1": 0.65,
    "alert_rate": 0.01,
}
CURVES = {
    "precision_recall": [[0.0, 1.0], [0.5, 0.9], [1.0, 0.01]],
    "roc": [[0.0, 0.0], [0.1, 0.9], [1.0, 1.0]],
    "calibration": [
        {"probability": 0.1, "observed": 0.12, "count": 4000},
        {"probability": 0.8, "observed": 0.75, "count": 50},
    ],
    "cost": [[0.01, 0.4], [0.1, 0.25], [0.9, 0.6]],
}


def comparison(
    champion_digest: str = "0" * 64,
    *,
    verdict: str = "better",
    cheaper: str = "better",
    **changed: Any,
) -> dict[str, Any]:
    """What training stores beside a candidate that it compared with the champion."""
    return {
        "rows": 5000,
        "positives": 60,
        "average_precision": {
            "champion": 0.7, "candidate": 0.81, "difference": 0.11, "low": 0.02, "high": 0.2,
        },
        "cost": {
            "champion": 0.3, "candidate": 0.25, "difference": -0.05, "low": -0.08, "high": -0.01,
        },
        "verdict": verdict,
        "cheaper": cheaper,
        "champion_saw_test_rows": False,
        "champion_digest": champion_digest,
    } | changed  # fmt: skip


def make_detector(slug: str) -> Detector:
    """A detector of the shipped `payments` declaration under another name."""
    config = config_of("payments") | {"slug": slug, "name": slug}
    return Detector.objects.create(slug=slug, name=slug, config=config)


class DatasetFactory(factory.django.DjangoModelFactory[Dataset]):
    class Meta:
        model = Dataset

    digest = "d" * 64
    known_at = factory.LazyFunction(timezone.now)
    first_event_at = factory.LazyFunction(lambda: timezone.now() - timedelta(days=60))
    last_event_at = factory.LazyFunction(timezone.now)
    rows = 20_000
    positives = 240
    feature_names = factory.LazyAttribute(lambda made: list(made.detector.spec().feature_names))
    detail = factory.LazyFunction(lambda: {"labelled": 20_000})


class VersionFactory(factory.django.DjangoModelFactory[ModelVersion]):
    class Meta:
        model = ModelVersion

    number = factory.Sequence(lambda n: n + 100)
    learner = "lightgbm"
    digest = factory.Sequence(lambda n: f"{n:064x}")
    dataset = factory.SubFactory(DatasetFactory, detector=factory.SelfAttribute("..detector"))
    metrics = factory.LazyFunction(METRICS.copy)
    curves = factory.LazyFunction(CURVES.copy)
    trained_at = factory.LazyFunction(timezone.now)
    training_seconds = 12.5
