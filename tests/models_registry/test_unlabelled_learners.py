"""Learners that need no labels, where silence says nothing: they learn from every event."""

import numpy as np
import pytest

from models_registry.core.splits import LabelHistory, SplitError, TimeSplit
from models_registry.datasets import DatasetError
from models_registry.evaluating import EvaluationError, evaluate_as_of, evaluate_folds
from models_registry.fitting import QuietProgress
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from scoring.deployment import loaded
from scoring.models import Label
from tests.models_registry.learning import (
    KNOWN_AT,
    detector_of,
    first_version,
    history,
    learning_config,
)

DAY = 86400.0
NOBODY = LabelHistory(np.array([], np.intp), np.array([], np.int8), np.array([], float))
SPLIT = TimeSplit(0.0, 7 * DAY, 21 * DAY, 35 * DAY, 7 * DAY)


def without_labels():
    """A detector where nobody reports, and nobody ever labelled anything."""
    config = learning_config(unlabelled_is_legitimate=False)
    config["costs"]["capacity"] = 0.05
    detector = detector_of(config)
    history(detector, events=1200)
    Label.objects.all().delete()
    return detector


def trained(detector, learner="isolation_forest"):
    return first_version(detector, learner)


def test_a_learner_that_needs_no_labels_learns_from_events_without_one():
    days = np.arange(40) * DAY
    given = LabelHistory(np.array([3]), np.array([1], np.int8), np.array([4 * DAY]))
    parts = SPLIT.apply(days, given, matured_is_genuine=False, needs_labels=False)
    assert parts.train.rows.tolist() == list(range(7))
    assert parts.train.labels.tolist() == [-1, -1, -1, 1, -1, -1, -1]
    assert (parts.train.labelled, parts.train.positives) == (1, 1)
    assert parts.validation.rows.size == parts.test.rows.size == 0
    assert parts.test.span.tolist() == list(range(28, 35))


def test_a_part_without_events_is_named_all_the_same():
    with pytest.raises(SplitError, match="The test part has no event"):
        SPLIT.apply(np.arange(20) * DAY, NOBODY, matured_is_genuine=False, needs_labels=False)


@pytest.mark.django_db
@pytest.mark.parametrize("learner", ["isolation_forest", "one_class_svm", "autoencoder", "ecod"])
def test_a_detector_without_any_label_is_trained_to_its_capacity(learner):
    version = trained(without_labels(), learner)
    bundle = loaded(version.digest)
    assert bundle.predictor.calibration.kind == "none"
    assert bundle.predictor.thresholds.block > 1.0
    assert 0.0 < version.metrics["alert_rate"] < 0.2
    assert (version.metrics["rows"], version.metrics["average_precision"]) == (0, None)
    assert bundle.manifest["training"]["rows"] > 500
    assert "labels" not in bundle.manifest["outcome_reference"]


@pytest.mark.django_db
def test_fraud_labels_alone_are_too_little_for_a_learner_that_needs_both_kinds():
    detector = detector_of(learning_config(unlabelled_is_legitimate=False))
    history(detector, events=400)
    Label.objects.filter(is_fraud=False).delete()
    with pytest.raises(DatasetError, match=r"All \d+ labelled .* Label legitimate events too"):
        trained(detector, "logistic_regression")
    assert not ModelVersion.objects.exists()
    assert trained(detector).label == "v1"


@pytest.mark.django_db
def test_with_a_champion_it_says_why_it_was_not_compared():
    detector = without_labels()
    promote(trained(detector), actor=None)
    version = trained(detector, "ecod")
    assert version.comparison == {}
    assert version.metrics["not_compared"] == "no event of its test part has a label."


@pytest.mark.django_db
def test_it_is_judged_over_time_too_and_as_of_today_says_what_is_missing():
    version = trained(without_labels())
    asked = {"requested_by": None, "job": None, "progress": QuietProgress(), "now": KNOWN_AT}
    folds = evaluate_folds(version, **asked).metrics
    assert 0.0 < folds["mean"]["alert_rate"] < 0.2
    assert folds["mean"]["recall"] is None
    with pytest.raises(EvaluationError, match="labels have to come, and have a label"):
        evaluate_as_of(version, **asked)
