"""An approved event that was drawn for audit opens an alert, which says why it is there."""

from datetime import timedelta

import pytest
from django.utils import timezone

from cases.models import Alert
from cases.selectors import predictions_without_alert
from cases.services import open_alerts
from scoring.policies import set_policy
from tests.factories import payment, scored

pytestmark = pytest.mark.django_db


def test_a_drawn_event_opens_an_alert_that_says_so(client, lead, payments_detector):
    set_policy(payments_detector, audit_rate=1.0, author=lead)
    found = scored("payments", payment())
    open_alerts([found.pk])
    alert = Alert.objects.get()
    client.force_login(lead)
    page = client.get(alert.get_absolute_url()).content.decode()
    assert "Random audit: approved, drawn for review" in page
    row = client.get("/").context["rows"][0]
    assert row.line.reason == "Random audit: approved, drawn for review"


@pytest.mark.parametrize("first", ["drawn", "flagged"])
def test_an_unscored_audit_adds_nothing_to_what_an_alert_may_lose(lead, payments_detector, first):
    set_policy(payments_detector, audit_rate=1.0, author=lead)
    drawn, flagged = (scored("payments", payment(amount=amount)) for amount in (9_000.0, 20_000.0))
    assert (drawn.decision, flagged.decision) == ("APPROVE", "REVIEW")
    for row in (drawn, flagged) if first == "drawn" else (flagged, drawn):
        open_alerts([row.pk])
    alert = Alert.objects.get()
    assert (alert.expected_loss, alert.exposure) == (0.5 * 20_000.0, 29_000)


def test_an_alert_of_unscored_audits_alone_expects_no_loss(lead, payments_detector):
    set_policy(payments_detector, audit_rate=1.0, author=lead)
    open_alerts([scored("payments", payment(amount=amount)).pk for amount in (10.0, 9_000.0)])
    assert Alert.objects.get().expected_loss == 0.0


@pytest.mark.parametrize(("rate", "missed"), [(1.0, 1), (0.0, 0)])
def test_the_sweep_finds_drawn_events_and_no_others(payments_detector, lead, rate, missed):
    set_policy(payments_detector, audit_rate=rate, author=lead)
    scored("payments", payment())
    later = timezone.now() + timedelta(minutes=5)
    assert len(predictions_without_alert(later)) == missed
