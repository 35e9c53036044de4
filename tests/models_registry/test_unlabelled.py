"""Where silence says nothing: few events have labels, and alerts are shares of all of them."""

import pytest

from models_registry.core.threshold_curve import Curve
from models_registry.datasets import read_rows
from models_registry.evaluating import evaluate_as_of
from models_registry.fitting import QuietProgress
from models_registry.judging import risk_of
from models_registry.training import train_version
from scoring.deployment import loaded
from scoring.models import Label
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config

pytestmark = pytest.mark.django_db


def with_few_labels(*, events=2000, capacity=0.1):
    """A detector where one legitimate event in ten was labelled, and every fraud."""
    config = learning_config(unlabelled_is_legitimate=False)
    config["costs"]["capacity"] = capacity
    detector = detector_of(config)
    history(detector, events=events)
    quiet = Label.objects.filter(is_fraud=False).order_by("pk").values_list("pk", flat=True)
    for digit in range(1, 10):
        Label.objects.filter(pk__in=[pk for pk in quiet if pk % 10 == digit]).delete()
    return detector


def trained(detector):
    return train_version(
        detector,
        learner="logistic_regression",
        trained_by=None,
        job=None,
        progress=QuietProgress(),
        now=KNOWN_AT,
    )


def risks(version):
    """(of all validation events, of all test events)."""
    rows = read_rows(version.detector, known_at=KNOWN_AT, report=lambda part: None)
    risk = risk_of(loaded(version.digest).predictor, rows.vectors)
    split = version.dataset.detail["split"]
    start, end = (split[name] + split["delay"] for name in ("train_end", "validation_end"))
    validation = (rows.event_time >= start) & (rows.event_time < split["validation_end"])
    return risk[validation], risk[(rows.event_time >= end) & (rows.event_time < split["test_end"])]


def test_thresholds_are_set_to_the_capacity_of_all_events():
    version = trained(with_few_labels())
    review = loaded(version.digest).predictor.thresholds.review
    assert 0.08 < (risks(version)[0] >= review).mean() <= 0.1


def test_pages_tell_alerts_among_all_events():
    version = trained(with_few_labels())
    review, (_, test) = loaded(version.digest).predictor.thresholds.review, risks(version)
    flagged = float((test >= review).mean())
    curve = Curve(version.curves["thresholds"], version.detector.spec().costs)
    assert version.metrics["alert_rate"] == pytest.approx(flagged)
    assert version.metrics["rows"] < test.size / 2
    assert curve.at(review, 2.0).alert_rate == pytest.approx(flagged)
    assert curve.capacity_a_day == pytest.approx(0.1 * test.size / curve.days)


def test_an_evaluation_of_today_tells_them_as_training_did():
    version = trained(with_few_labels())
    found = evaluate_as_of(
        version, requested_by=None, job=None, progress=QuietProgress(), now=KNOWN_AT
    )
    # An event at the very end of the test part may fall to either side.
    for name in ("alert_rate", "precision", "value_detection_rate"):
        assert found.metrics[name] == pytest.approx(version.metrics[name], abs=0.005), name
