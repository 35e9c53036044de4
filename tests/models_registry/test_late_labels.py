"""Labels that came after their part was closed: not learnt yet, and whoever trains is told so."""

from datetime import timedelta

import pytest

from models_registry.datasets import DatasetError
from models_registry.fitting import QuietProgress
from models_registry.training import train_version
from scoring.models import Label
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config

pytestmark = pytest.mark.django_db


@pytest.fixture
def detector():
    return detector_of(learning_config())


def train(detector, learner="logistic_regression"):
    """(what it told, the version)."""
    told = []
    progress = QuietProgress(lambda fraction, text: told.append(text))
    version = train_version(
        detector, learner=learner, trained_by=None, job=None, progress=progress, now=KNOWN_AT
    )
    return [text for text in told if "called bad only after" in text], version


def label_late(detector, count=None):
    """The oldest frauds were called so an hour before the training."""
    frauds = Label.objects.filter(detector=detector, is_fraud=True).order_by("event_time")
    late = list(frauds.values_list("pk", flat=True)[:count])
    Label.objects.filter(pk__in=late).update(label_time=KNOWN_AT - timedelta(hours=1))
    return len(late)


def test_a_training_without_positives_says_that_their_labels_came_too_late(detector):
    history(detector, events=400)
    label_late(detector)
    with pytest.raises(
        DatasetError, match=r"Only 0 labelled .* called bad only after 2\d{3}-"
    ) as e:
        train(detector)
    assert "label_time" in str(e.value) and "longer label_delay" in str(e.value)


def test_what_is_learnt_as_not_bad_though_it_is_known_by_now_is_counted_in_the_log(detector):
    history(detector)
    late = label_late(detector, 5)
    told, version = train(detector)
    assert [text.split(" ")[0] for text in told] == [str(late)]
    assert (
        version.dataset.positives - late >= version.dataset.detail["parts"]["training"]["positives"]
    )


def test_where_labels_came_in_time_nothing_is_said(detector):
    history(detector)
    assert train(detector)[0] == []


def test_an_algorithm_that_needs_no_labels_is_told_of_none(detector):
    history(detector)
    label_late(detector, 5)
    assert train(detector, "isolation_forest")[0] == []
