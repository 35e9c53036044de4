"""A training that was cancelled stops at once, whatever it is at, and registers nothing."""

import pytest

from jobs.progress import JobCancelled
from models_registry.models import Dataset, ModelVersion
from models_registry.training import train_version
from tests.models_registry.learning import (
    KNOWN_AT,
    CancelledAt,
    detector_of,
    history,
    learning_config,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("stage", "not_begun"),
    [
        ("Reading logged events", "digest_of"),
        ("Calibrating and choosing thresholds", "evaluate_rows"),
        ("Judging on the test part", "_compare"),
    ],
)
def test_a_training_that_was_cancelled_begins_nothing_more(monkeypatch, stage, not_begun):
    detector = detector_of(learning_config())
    history(detector, events=400)
    begun = []
    monkeypatch.setattr(f"models_registry.training.{not_begun}", lambda *a, **k: begun.append(a))
    progress = CancelledAt(stage)
    with pytest.raises(JobCancelled):
        train_version(
            detector,
            learner="logistic_regression",
            trained_by=None,
            job=None,
            progress=progress,
            now=KNOWN_AT,
        )
    assert (progress.stages[-1], begun) == (stage, [])
    assert not ModelVersion.objects.exists() and not Dataset.objects.exists()
