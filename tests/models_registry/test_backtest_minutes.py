"""Minutes of people that a backtest reckons with: from their stays on alerts."""

from datetime import timedelta

import pytest
from django.utils import timezone

from cases.models import Alert, Touch
from cases.services import open_alerts
from models_registry import backtesting
from tests.factories import risky_payment, scored

pytestmark = pytest.mark.django_db


def test_minutes_come_from_stays_once_there_are_enough(payments_detector, lead):
    rows = [scored("payments", risky_payment(user_id=f"u{i}")) for i in range(25)]
    open_alerts([row.pk for row in rows])
    now = timezone.now()
    for row in rows:
        alert = row.alert_link.alert
        Touch.objects.create(
            user=lead, alert=alert, opened_at=now - timedelta(minutes=6), closed_at=now
        )
    assert backtesting.minutes_per_event(payments_detector, now) == pytest.approx(6.0)
    Touch.objects.filter(pk__in=list(Touch.objects.values_list("pk", flat=True)[:10])).delete()
    assert backtesting.minutes_per_event(payments_detector, now) is None


def test_minutes_end_with_the_closing_of_an_alert(payments_detector, lead):
    rows = [scored("payments", risky_payment(user_id=f"u{i}")) for i in range(25)]
    open_alerts([row.pk for row in rows])
    now, minute = timezone.now(), timedelta(minutes=1)
    closed = now - 30 * minute
    Alert.objects.update(status="closed", disposition="fraud", closed_at=closed)
    for row in rows:
        for begun, ended in ((closed - 6 * minute, closed + minute), (closed + minute, now)):
            Touch.objects.create(
                user=lead, alert=row.alert_link.alert, opened_at=begun, closed_at=ended
            )
    assert backtesting.minutes_per_event(payments_detector, now) == pytest.approx(6.0)
