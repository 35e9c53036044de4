"""Versions and their data, as training would leave them."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import factory

from models_registry.evaluation_models import ThresholdMove
from models_registry.models import Dataset, ModelVersion
from scoring.models import Detector
from tests.factories import config_of

THEN = datetime(2026, 6, 1, tzinfo=UTC)
METRICS = {
    "rows": 900,
    "positives": 40,
    "roc_auc": 0.91,
    "average_precision": 0.61,
    "recall_at_1pct_fpr": 0.55,
    "precision": 0.5,
    "recall": 0.6,
    "f1": 0.545,
    "alert_rate": 0.01,
    "brier": 0.0123,
    "cost_per_event": 0.25,
}
CURVES = {
    "roc": [[0.0, 0.0], [0.1, 0.8], [1.0, 1.0]],
    "precision_recall": [[0.2, 0.9], [1.0, 0.1]],
    "calibration": [{"probability": 0.1, "observed": 0.12, "count": 50.0}],
    "cost": [[0.0, 2.0], [0.1, 0.2], [0.9, 0.5]],
}


def comparison(digest: str = "e" * 64, **changed: Any) -> dict[str, Any]:
    """A comparison that the candidate wins; `changed` overrides its top level."""
    precision = {"champion": 0.5, "candidate": 0.61, "difference": 0.11, "low": 0.02, "high": 0.2}
    cost = {"champion": 0.3, "candidate": 0.25, "difference": -0.05, "low": -0.1, "high": -0.01}
    return {
        "rows": 900,
        "positives": 40,
        "least_positives": 20,
        "blocks": 25.0,
        "least_blocks": 6,
        "unit": "entity",
        "level": 0.975,
        "average_precision": precision,
        "cost": cost,
        "verdict": "better",
        "cheaper": "better",
        "champion_saw_test_rows": False,
        "champion_digest": digest,
    } | changed


class DatasetFactory(factory.django.DjangoModelFactory[Dataset]):
    """Needs `detector`."""

    class Meta:
        model = Dataset

    digest = factory.Sequence(lambda n: f"{n:064d}")
    known_at = first_event_at = last_event_at = THEN
    rows = 5000
    positives = 120
    feature_names = factory.LazyFunction(lambda: ["amount"])
    detail = factory.LazyFunction(lambda: {"labelled": 4000})


class VersionFactory(factory.django.DjangoModelFactory[ModelVersion]):
    """Needs `detector`; the bundle named by `digest` need not exist."""

    class Meta:
        model = ModelVersion

    number = factory.Sequence(lambda n: n + 1)
    learner = "logistic_regression"
    digest = factory.Sequence(lambda n: f"{n:064x}")
    dataset = factory.SubFactory(DatasetFactory, detector=factory.SelfAttribute("..detector"))
    # Copies: a test that changes its version's metrics changes nobody else's.
    metrics = factory.LazyFunction(lambda: deepcopy(METRICS))
    curves = factory.LazyFunction(lambda: deepcopy(CURVES))
    trained_at = THEN
    training_seconds = 3.0


def moved_from(base: ModelVersion, version: ModelVersion) -> ModelVersion:
    """`version`, noted as the model of `base` with other thresholds."""
    terms = {"review_before": 0.5, "block_before": 0.9, "review": 0.4, "block": 0.9}
    ThresholdMove.objects.create(version=version, base=base, reason="Too many reviews.", **terms)
    return version


def make_detector(slug: str) -> Detector:
    """A detector with the declaration of the shipped `payments` and its own slug."""
    config = config_of("payments") | {"slug": slug, "name": slug.capitalize()}
    return Detector.objects.create(slug=slug, name=slug.capitalize(), config=config)
