"""Where silence says nothing: few events have labels, and alerts are shares of all of them."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from models_registry.core.threshold_curve import Curve
from models_registry.datasets import read_rows
from models_registry.evaluating import evaluate_as_of
from models_registry.fitting import QuietProgress
from models_registry.judging import risk_of
from models_registry.monitoring import _matured, check_drift
from models_registry.promotion import promote
from scoring.deployment import loaded
from scoring.models import Label, Prediction
from tests.models_registry.learning import (
    DELAY,
    KNOWN_AT,
    detector_of,
    first_version,
    history,
    learning_config,
)

pytestmark = pytest.mark.django_db


def with_few_labels(*, events=2000, capacity=0.1):
    """A detector where one legitimate event in ten was labelled, and every fraud."""
    config = learning_config(unlabelled_is_legitimate=False)
    config["costs"]["capacity"] = capacity
    detector = detector_of(config)
    history(detector, events=events)
    # By their order: where keys begin is the database's to say.
    quiet = Label.objects.filter(is_fraud=False).order_by("event_time", "pk")
    keys = list(quiet.values_list("pk", flat=True))
    for place in range(1, 10):
        Label.objects.filter(pk__in=keys[place::10]).delete()
    return detector


def trained(detector):
    return first_version(detector)


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
    # An event at the very end of the test part may fall to either side: one of some hundred.
    for name in ("alert_rate", "precision", "value_detection_rate"):
        assert found.metrics[name] == pytest.approx(version.metrics[name], abs=0.01), name


def lived_again(version):
    """The version serves, and scored itself what it had not learnt from; how many events."""
    promote(version, actor=None)
    rows = read_rows(version.detector, known_at=KNOWN_AT, report=lambda part: None)
    split = version.dataset.detail["split"]
    start, end = split["validation_end"] + split["delay"], split["test_end"]
    unseen = (rows.event_time >= start) & (rows.event_time < end)
    risk = risk_of(loaded(version.digest).predictor, rows.vectors)[unseen]
    every = list(Prediction.objects.order_by("event_time", "id"))
    found = [row for row, is_unseen in zip(every, unseen, strict=True) if is_unseen]
    for row, value in zip(found, risk.tolist(), strict=True):
        row.score = row.probability = value
        row.bundle_digest, row.received_at = version.digest, timezone.now()
    fields = ["score", "probability", "bundle_digest", "received_at"]
    Prediction.objects.bulk_update(found, fields, batch_size=500)
    return len(found)


@pytest.mark.slow
def test_nothing_drifts_where_nothing_moved():
    version = trained(with_few_labels(events=9000))
    events = lived_again(version)
    check = check_drift(version.detector, now=timezone.now())
    assert check.rows == events > 1000  # Fewer have no verdict.
    told = {row.name: row.status for row in check.statistics.all()}
    # Longer windows were still filling up while it learnt.
    unmoved = ("TX_AMOUNT", "night", "score", "alert rate")
    assert {name: told[name] for name in unmoved} == dict.fromkeys(unmoved, "stable")


def test_the_fraud_rate_is_that_of_labelled_events_then_as_now():
    version = trained(with_few_labels())
    bundle = loaded(version.digest)
    frauds, matured = _matured(version.detector, bundle, KNOWN_AT)
    reference = bundle.manifest["outcome_reference"]["labels"]
    assert 0.2 < reference["share"] == pytest.approx(frauds / matured, abs=0.1)
    fitted = bundle.manifest["training"]["last_fitted_at"]
    known = Label.objects.filter(event_time__gt=datetime.fromtimestamp(fitted, UTC))
    assert matured == known.filter(event_time__lte=KNOWN_AT - DELAY).count()
