"""Which events explain what a version goes by."""

import numpy as np
import pytest

from models_registry.core.global_explanation import ExplanationError
from models_registry.explaining import unseen_vectors
from models_registry.fitting import QuietProgress
from models_registry.training import train_version
from scoring.deployment import loaded
from scoring.models import Prediction
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config

pytestmark = pytest.mark.django_db


def trained(detector):
    return train_version(
        detector, learner="logistic_regression", trained_by=None, job=None,
        progress=QuietProgress(), now=KNOWN_AT,
    )  # fmt: skip


@pytest.fixture
def detector(db):
    detector = detector_of(learning_config() | {"rules": []})
    history(detector, events=1500)
    return detector


def redeclared(detector):
    """The detector with a window that no stored vector has."""
    config = {"entity_key": "CUSTOMER_ID", "value": "TX_AMOUNT", "windows": ["5d"]}
    step = {"type": "time_window_aggregation", "config": config | {"aggregations": ["max"]}}
    detector.config["features"]["transformations"].append(step)
    detector.save(update_fields=["config"])
    return detector


def test_a_version_whose_features_no_vector_was_logged_with_is_explained_too(detector):
    version = trained(redeclared(detector))
    bundle = loaded(version.digest)
    vectors = unseen_vectors(version, bundle)
    assert vectors.shape[1] == len(bundle.plan.names)
    assert np.isfinite(vectors[:, bundle.plan.names.index("CUSTOMER_ID_max_TX_AMOUNT_5d")]).all()


def test_without_any_event_of_its_test_days_that_is_told(detector):
    version = trained(redeclared(detector))
    Prediction.objects.filter(event_time__lte=version.dataset.last_event_at).delete()
    with pytest.raises(ExplanationError, match="No stored event is left of its test days"):
        unseen_vectors(version, loaded(version.digest))
