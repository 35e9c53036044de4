"""A detector learns again by hand, or when it is old and labels have come."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Job
from models_registry.retraining import is_due, request_training
from models_registry.tasks import retrain_due
from scoring.labelling import record_label
from scoring.models import Label
from tests.factories import card, scored
from tests.models_registry.learning import version_of

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(
        "jobs.dispatch.current_app.send_task", lambda name, args: messages.append(name)
    )
    return messages


def label_now(detector):
    number = Label.objects.count()
    record_label(scored(detector.slug, card(number)), is_fraud=True, source=Label.Source.ANALYST)


def test_a_detector_without_a_version_is_due_with_its_first_label(cards_detector):
    now = timezone.now()
    assert not is_due(cards_detector, now=now)
    label_now(cards_detector)
    assert is_due(cards_detector, now=now)


def test_an_old_version_and_a_new_label_make_it_due(cards_detector):
    version_of(cards_detector, 1, at=timezone.now() - timedelta(days=8))
    assert not is_due(cards_detector, now=timezone.now())
    label_now(cards_detector)
    assert is_due(cards_detector, now=timezone.now())


def test_a_young_version_is_not_due(cards_detector):
    trained = timezone.now()
    version_of(cards_detector, 1, at=trained)
    label_now(cards_detector)
    assert not is_due(cards_detector, now=trained + WEEK - timedelta(seconds=1))
    assert is_due(cards_detector, now=trained + WEEK)


def test_asking_twice_queues_one_training(cards_detector, owner):
    first = request_training(cards_detector, requested_by=owner)
    again = request_training(cards_detector, requested_by=None)
    assert first.pk == again.pk
    assert first.params == {"detector": "cards", "learner": "lightgbm"}


def test_the_schedule_queues_and_announces_what_is_due(
    cards_detector, fraud_detector, sent, django_capture_on_commit_callbacks
):
    label_now(cards_detector)
    with django_capture_on_commit_callbacks(execute=True):
        retrain_due()
    assert Job.objects.get().params["detector"] == "cards"
    assert sent == ["models_registry.train"]


def test_the_schedule_leaves_disabled_detectors_alone(cards_detector, sent):
    label_now(cards_detector)
    cards_detector.enabled = False
    cards_detector.save(update_fields=["enabled"])
    retrain_due()
    assert not Job.objects.exists()
