"""Labels on pages while a detector's windows are made anew: refused soon, told, nothing kept."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction
from django.urls import reverse

from cases import labels
from cases.bulk import label_many, undo_batch
from cases.case_alerts import open_case
from cases.casework import close_case
from cases.labels import BUSY, Busy
from cases.models import Alert, Case
from cases.services import label_alert, open_alerts
from scoring import labelling
from scoring.models import Label
from scoring.rebuilding import rebuild_windows
from tests.cases.alerts import alert_of
from tests.factories import card, scored

FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}


def card_alert(number):
    """An alert of a detector whose windows learn labels."""
    prediction = scored("cards", card(number, CUSTOMER_ID=number, TX_AMOUNT=500.0))
    open_alerts([prediction.pk])
    return Alert.objects.get(links__prediction=prediction)


@pytest.fixture
def busy(monkeypatch):
    """The detectors whose windows were asked for, each in vain."""
    asked = []

    def never(detector_id, seconds=0.0):
        assert seconds == labels.PATIENCE
        asked.append(detector_id)
        return False

    monkeypatch.setattr(labelling, "wait_for_windows", never)
    return asked


def nothing_changed(alert):
    alert.refresh_from_db()
    return (alert.status, Label.history.count()) == ("open", 0)


@pytest.mark.django_db
def test_the_page_of_an_alert_says_so_and_keeps_what_was_typed(
    cards_detector, client, analyst, busy
):
    alert = card_alert(1)
    client.force_login(analyst)
    form = FRAUD | {"notes": "The customer denies it."}
    page = client.post(reverse("alert_label", args=[alert.pk]), form)
    assert page.status_code == 422
    assert BUSY in page.content.decode()
    assert "The customer denies it." in page.content.decode()
    assert nothing_changed(alert)


@pytest.mark.django_db
def test_a_case_is_not_closed_in_part(cards_detector, payments_detector, analyst, busy):
    case = open_case([alert_of("a"), card_alert(1)], title="Odd", actor=analyst)
    with pytest.raises(Busy):
        close_case(case, **FRAUD, actor=analyst)
    assert Case.objects.get().status == "open"
    assert {alert.status for alert in case.alerts.all()} == {"in_case"}
    assert Label.history.count() == 0


@pytest.mark.django_db
def test_of_many_those_of_other_detectors_are_closed_and_one_alone_waits(
    cards_detector, payments_detector, analyst, busy
):
    alerts = [card_alert(1), card_alert(2), alert_of("a"), card_alert(3)]
    outcome = label_many(alerts, **FRAUD, actor=analyst, note="")
    assert outcome.sentence("closed") == (
        "1 closed, 3 refused: its detector's windows are being made anew (3)."
    )
    assert busy == [cards_detector.pk]


@pytest.mark.django_db
def test_a_closing_is_not_undone_in_part(cards_detector, analyst, monkeypatch):
    outcome = label_many([card_alert(1), card_alert(2)], **FRAUD, actor=analyst, note="")
    monkeypatch.setattr(labelling, "wait_for_windows", lambda *_: False)
    assert len(undo_batch(outcome.batch, actor=analyst).refused) == 2
    assert {alert.status for alert in Alert.objects.all()} == {"closed"}
    assert Label.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_an_analyst_does_not_wait_until_windows_are_made_anew(cards_detector, analyst, monkeypatch):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    monkeypatch.setattr(labels, "PATIENCE", 0.1)
    alert = card_alert(1)

    def close():
        try:
            label_alert(alert, **FRAUD, actor=analyst)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            rebuild_windows(cards_detector)
            with pytest.raises(Busy):
                elsewhere.submit(close).result(10)
        assert nothing_changed(alert)
        elsewhere.submit(close).result(10)
    assert Label.objects.count() == 1
