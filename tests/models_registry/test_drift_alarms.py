"""A level that comes and goes at a bound is one alarm: told once, and a reason to train once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from models_registry.drift_models import DriftCheck
from models_registry.monitoring import measure
from models_registry.recent_predictions import read_recent
from models_registry.retraining import is_due
from notifications.models import Notification
from scoring import deployment
from tests.models_registry.drifting import serve, stored_events
from tests.models_registry.due import policy
from tests.models_registry.test_monitoring import HOUR, kept
from tests.models_registry.test_retraining import version_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def found(payments_detector, owner):
    """Keeps a check in which one feature has a status, so many hours from now."""
    detector = serve(payments_detector)
    stored_events(detector)
    bundle = deployment.serving_of(detector).bundle
    stable = measure(detector, bundle, read_recent(detector, bundle), now=timezone.now())

    def keep(status, after, name="amount"):
        place = next(i for i, one in enumerate(stable) if one.name == name)
        drifts = list(stable)
        drifts[place] = type(stable[place])(**(fields_of(stable[place]) | {"status": status}))
        return kept(detector, drifts, after=after)

    return keep


def fields_of(drift):
    return {name: getattr(drift, name) for name in type(drift).__dataclass_fields__}


def bells():
    return Notification.objects.filter(kind="drift.alarm").count()


@pytest.mark.parametrize("low", ["moderate", "stable"])
def test_an_alarm_that_comes_back_within_a_day_is_the_same(found, low):
    began = found("major", HOUR).alarm_since
    rung = bells()
    assert rung
    for hour in range(2, 12, 2):
        found(low, hour * HOUR)
        assert found("major", (hour + 1) * HOUR).alarm_since == began
    assert bells() == rung
    # The audit trail tells each of them.
    assert AuditEntry.objects.filter(action="drift.alarm").count() == 6


def test_an_alarm_that_gets_worse_is_news(found):
    found("moderate", HOUR)
    rung = bells()
    worse = found("major", 2 * HOUR)
    assert worse.alarm_since == worse.checked_at
    assert bells() > rung


def test_an_alarm_of_another_feature_is_news(found):
    found("major", HOUR)
    rung = bells()
    found("stable", 2 * HOUR)
    other = found("major", 3 * HOUR, "channel")
    assert other.alarm_since == other.checked_at
    assert bells() > rung


def test_an_alarm_that_comes_back_after_more_than_a_day_is_another(found):
    began = found("major", HOUR).alarm_since
    found("moderate", 2 * HOUR)
    found("moderate", DAY)
    again = found("major", DAY + 2 * HOUR)
    assert again.alarm_since == again.checked_at > began
    assert AuditEntry.objects.filter(action="drift.alarm").count() == 2


def test_an_alarm_that_comes_and_goes_is_a_reason_to_train_once(found):
    detector = found("major", -5 * HOUR).detector
    version_of(detector, 1, at=timezone.now() - 30 * DAY)
    policy(detector, on_drift=True)
    assert "is major since" in is_due(detector, now=timezone.now())
    version_of(detector, 2, at=timezone.now() - 3 * HOUR)
    found("stable", -2 * HOUR)
    found("major", -1 * HOUR)
    assert is_due(detector, now=timezone.now()) == ""
    assert DriftCheck.objects.first().status == "major"
