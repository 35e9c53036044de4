"""Words that fit what the detector watches: money is defrauded, a host has an incident."""

import pytest
from django.urls import reverse

from cases.models import Alert
from cases.services import open_alerts
from scoring.models import Prediction
from tests.cases.alerts import alert_of
from tests.factories import START, scored, shipped_detector

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
SAMPLE = {
    "host": "db-01", "timestamp": START.isoformat(), "response_time": 90_000.0,
    "error_rate": 0.9, "cpu_usage": 99.0, "memory_usage": 99.0,
}  # fmt: skip


def page_of(client, alert):
    return client.get(reverse("alert_detail", args=[alert.pk])).content.decode()


def test_a_payment_is_confirmed_as_fraud(client, analyst):
    client.force_login(analyst)
    page = page_of(client, alert_of())
    assert "Confirm fraud" in page
    assert "Confirm incident" not in page


def test_what_carries_no_amount_is_confirmed_as_an_incident(client, analyst):
    shipped_detector("anomaly")
    found = scored("anomaly", SAMPLE)
    Prediction.objects.filter(pk=found.pk).update(selection_reason="rule", decision="REVIEW")
    open_alerts([found.pk])
    client.force_login(analyst)
    page = page_of(client, Alert.objects.get())
    assert "Confirm incident" in page
    assert "Confirm fraud" not in page
