"""A candidate is compared with the champion on the champion's own features."""

import pytest

from models_registry.datasets import DatasetError, read_rows, read_vectors
from models_registry.evaluating import evaluate_folds
from models_registry.evidence import evidence_for
from models_registry.fitting import QuietProgress
from models_registry.promotion import promote
from models_registry.training import train_version
from models_registry.verdicts import verdict_of
from scoring.models import Prediction
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config

pytestmark = pytest.mark.django_db


def features(*, include_current=True, window="7d"):
    """What the largest amounts were: the last hour's with the event itself, or without it."""
    shared = {"entity_key": "CUSTOMER_ID", "value": "TX_AMOUNT"}
    steps = [
        {"windows": ["1h"], "aggregations": ["max"], "include_current": include_current},
        {"windows": [window], "aggregations": ["max", "mean"], "include_current": True},
    ]
    kind = "time_window_aggregation"
    return {
        "name": "largest",
        "transformations": [{"type": kind, "config": shared | step} for step in steps],
    }


@pytest.fixture
def detector(db):
    detector = detector_of(learning_config() | {"features": features(), "rules": []})
    history(detector, events=1500)
    return detector


def redeclare(detector, **changed):
    detector.config["features"] = features(**changed)
    detector.save(update_fields=["config"])


def train(detector, progress=None):
    return train_version(
        detector, learner="logistic_regression", trained_by=None, job=None,
        progress=progress or QuietProgress(), now=KNOWN_AT,
    )  # fmt: skip


@pytest.mark.parametrize("changed", [{"include_current": False}, {"window": "1d"}])
def test_over_time_a_version_is_trained_anew_on_what_it_learnt_from(detector, changed):
    version, asked = train(detector), {"requested_by": None, "job": None, "now": KNOWN_AT}
    before = evaluate_folds(version, progress=QuietProgress(), **asked).metrics
    redeclare(detector, **changed)
    version.refresh_from_db()
    after = evaluate_folds(version, progress=QuietProgress(), **asked).metrics
    assert after["mean"] == pytest.approx(before["mean"], nan_ok=True)


@pytest.mark.parametrize("changed", [{"include_current": False}, {"window": "1d"}])
def test_the_champion_reads_what_it_learnt_from(detector, changed):
    """`include_current` changes a number and keeps its name."""
    first = train(detector)
    promote(first, actor=None)
    redeclare(detector, **changed)
    compared = train(detector).comparison
    assert compared["rows"] == first.metrics["rows"]
    assert compared["average_precision"]["champion"] == pytest.approx(
        first.metrics["average_precision"]
    )
    assert compared["cost"]["champion"] == pytest.approx(first.metrics["cost_per_event"])


def test_a_worse_candidate_has_no_passing_comparison(detector):
    first = train(detector)
    promote(first, actor=None)
    redeclare(detector, include_current=False)
    second = train(detector)
    assert second.metrics["average_precision"] < first.metrics["average_precision"] - 0.2
    assert second.comparison["verdict"] == "worse"
    assert not evidence_for(second, first).passed


def test_vectors_that_cannot_be_read_any_more_are_no_comparison(detector, monkeypatch):
    promote(train(detector), actor=None)
    redeclare(detector, include_current=False)

    def gone(*args, **kwargs):
        raise DatasetError("3 of the events are stored no more.")

    monkeypatch.setattr("models_registry.beside_champion.read_vectors", gone)
    said = []
    version = train(detector, QuietProgress(lambda fraction, text: said.append(text)))
    assert version.comparison == {}
    assert "No comparison with the champion: 3 of the events are stored no more." in said
    told = verdict_of(version, rival="v1", currency="EUR").headline
    assert told.endswith("could not be compared with the champion of its day: 3 of the events are "
                         "stored no more.")  # fmt: skip


def test_vectors_are_read_by_event_whatever_came_or_went_since(detector):
    rows = read_rows(detector, known_at=KNOWN_AT, report=lambda part: None)
    wanted, told = rows.ids[[700, 3]], []
    given = {"known_at": KNOWN_AT, "report": told.append}
    Prediction.objects.order_by("event_time", "id").first().delete()
    found = read_vectors(detector, detector.spec(), wanted, **given)
    assert found.tolist() == rows.vectors[[700, 3]].tolist()
    assert told[-1] == 1.0
    with pytest.raises(DatasetError, match="1 of the events"):
        read_vectors(detector, detector.spec(), rows.ids[:2], **given)
