"""What comes while a version is trained is not in it, and counts for the next training."""

from datetime import timedelta

import pytest
from django.utils import timezone

from models_registry.retraining import is_due, outlook
from scoring.models import Label
from tests.models_registry.due import drifts, label_old_events, old_version, policy
from tests.models_registry.learning import version_of

pytestmark = pytest.mark.django_db


def read_before(version, hours):
    """Its training took so long: what it learnt from was read so many hours before it was made."""
    read_at = version.trained_at - timedelta(hours=hours)
    version.dataset.detail = {"read_at": read_at.isoformat()}
    version.dataset.save(update_fields=["detail"])


def test_labels_that_came_while_it_was_trained_count_for_the_next(cards_detector):
    version = old_version(cards_detector, days=2)
    given = policy(cards_detector, on_labels=True, labels=1, on_age=True, age_hours=24)
    label_old_events(cards_detector, 1)
    Label.objects.update(recorded_at=version.trained_at - timedelta(hours=1))
    assert is_due(cards_detector, now=timezone.now()) == ""
    read_before(version, hours=2)
    found = outlook(cards_detector, given, now=timezone.now())
    assert [bool(trigger.reason) for trigger in found.triggers] == [True, False, True]


def test_events_that_matured_while_it_was_trained_count_for_the_next(cards_detector):
    version = old_version(cards_detector, days=2)
    policy(cards_detector, on_labels=True, labels=1)
    delay = timedelta(seconds=cards_detector.spec().training.label_delay)
    label_old_events(cards_detector, 1)
    event_time = version.trained_at - delay - timedelta(hours=1)
    Label.objects.update(event_time=event_time, recorded_at=event_time + timedelta(hours=1))
    assert is_due(cards_detector, now=timezone.now()) == ""
    read_before(version, hours=2)
    assert "1 label matured" in is_due(cards_detector, now=timezone.now())


def test_an_alarm_that_began_while_a_version_was_trained_makes_the_next_due(cards_detector):
    drifting = drifts(cards_detector)
    policy(drifting, on_drift=True)
    version = version_of(drifting, 4, at=timezone.now() - timedelta(hours=1, minutes=30))
    assert is_due(drifting, now=timezone.now()) == ""
    read_before(version, hours=1)
    assert is_due(drifting, now=timezone.now()).startswith("drift of v3 is major since 2")
