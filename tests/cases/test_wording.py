"""Words that fit what the detector watches: money is defrauded, a host has an incident."""

import re

import pytest
from django.template.loader import render_to_string
from django.urls import reverse

from cases.case_alerts import open_case
from cases.models import Alert
from cases.services import label_alert, open_alerts
from scoring.models import Prediction
from tests.cases.alerts import alert_of
from tests.factories import START, scored, shipped_detector

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
SAMPLE = {
    "host": "db-01", "timestamp": START.isoformat(), "response_time": 90_000.0,
    "error_rate": 0.9, "cpu_usage": 99.0, "memory_usage": 99.0,
}  # fmt: skip


@pytest.mark.parametrize(("seconds", "words"), [
    (None, "\N{EN DASH}"), (1.05, "1 s"), (42, "42 s"), (90, "2 min"), (4990, "83 min"),
    (9300, "3 h"), (200_000, "2 d"),
])  # fmt: skip
def test_a_duration_stands_in_the_unit_in_which_it_reads_well(seconds, words):
    shown = render_to_string("cases/duration.html", {"seconds": seconds})
    assert re.sub("<[^>]*>", "", shown).strip() == words


def page_of(client, alert):
    return client.get(reverse("alert_detail", args=[alert.pk])).content.decode()


def test_a_payment_is_confirmed_as_fraud(client, analyst):
    client.force_login(analyst)
    page = page_of(client, alert_of())
    assert "Confirm fraud" in page
    assert "Confirm incident" not in page


@pytest.fixture
def host_alert(db):
    shipped_detector("anomaly")
    found = scored("anomaly", SAMPLE)
    Prediction.objects.filter(pk=found.pk).update(selection_reason="rule", decision="REVIEW")
    open_alerts([found.pk])
    return Alert.objects.get()


def words_of(page):
    """What people read, in lower case: no tags, no attributes."""
    return re.sub(r"<[^>]*>", " ", page).lower()


def test_what_carries_no_amount_is_confirmed_as_an_incident(client, analyst, host_alert):
    client.force_login(analyst)
    page = page_of(client, host_alert)
    assert "Confirm incident" in page
    assert "Confirm fraud" not in page


def test_no_page_of_a_host_speaks_of_fraud_or_money(client, analyst, lead, host_alert):
    label_alert(host_alert, disposition="fraud", reason_code="real_incident", actor=lead)
    client.force_login(analyst)
    row = host_alert.top_prediction
    for url in (
        host_alert.get_absolute_url(),
        row.get_absolute_url(),
        reverse("entity_detail", args=["anomaly", row.entity]),
        reverse("rule_list", args=["anomaly"]),
    ):
        words = words_of(client.get(url).content.decode())
        assert not re.search("fraud|legitimate|stolen|customer", words), url
    assert "closed as incident" in " ".join(words_of(page_of(client, host_alert)).split())


def test_the_dialogs_of_a_host_offer_reasons_that_a_host_can_have(client, analyst, host_alert):
    client.force_login(analyst)
    words = words_of(page_of(client, host_alert))
    assert "real incident" in words and "as incident" in " ".join(words.split())
    assert not re.search("fraud|as legitimate|stolen|customer|travel", words)


def test_a_case_of_hosts_is_closed_as_an_incident(client, analyst, host_alert):
    case = open_case([host_alert], title="Odd", actor=analyst)
    client.force_login(analyst)
    page = client.get(case.get_absolute_url()).content.decode()
    assert "Confirm incident" in page
    sent = {"disposition": "fraud", "reason_code": "real_incident"}
    assert client.post(reverse("case_close", args=[case.pk]), sent).status_code == 302
    assert "Fraud" not in client.get(case.get_absolute_url()).content.decode()
