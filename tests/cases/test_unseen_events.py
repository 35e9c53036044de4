"""Whoever decides has seen what they decide about: events that came meanwhile are told first."""

import html
import re

import pytest
from django.urls import reverse

from cases.casework import ask_to_close, close_case
from cases.models import Alert
from cases.services import open_alerts
from cases.workflow import MoveRefused
from scoring.models import Label
from tests.cases.alerts import alert_of, case_of, flagged

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
HARMLESS = {"disposition": "false_positive", "reason_code": "travel"}
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
TRAVEL = "label:false_positive:travel"
CONTENT = {"HX-Request": "true", "HX-Target": "content"}


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def more_of(user):
    """One more event joins the alert of this user."""
    (prediction,) = flagged(user)
    open_alerts([prediction.pk])


def sent_from(page, name):
    """What the form whose button is `name` says about what was seen."""
    form = next(part for part in page.split("<form") if name in part)
    return re.search(r'name="seen"\s+value="(\d+)"', form)[1]


def rows_of(reader):
    page = reader.get(reverse("queue")).content.decode()
    return re.findall(r'name="alert"\s+value="([^"]+)"', page), page


def bulk(reader, act, rows, **more):
    data = {"act": act, "alert": rows, **more}
    return reader.post(reverse("alerts_bulk"), data, headers=CONTENT).content.decode()


def test_an_alert_is_not_closed_over_an_event_that_came_while_its_page_was_open(reader):
    alert = alert_of("a")
    page = reader.get(reverse("alert_detail", args=[alert.pk])).content.decode()
    typed = HARMLESS | {"notes": "Called.", "seen": sent_from(page, 'value="travel"')}
    more_of("a")
    answer = reader.post(reverse("alert_label", args=[alert.pk]), typed)
    page = answer.content.decode()
    assert answer.status_code == 422 and not Label.objects.exists()
    assert "1 more event came since you opened this page: look again." in page
    assert "Called." in page
    typed["seen"] = sent_from(page, 'value="travel"')
    assert reader.post(reverse("alert_label", args=[alert.pk]), typed).status_code == 302
    assert Label.objects.count() == 2


def test_the_page_tells_what_came_while_somebody_reads_it(reader):
    alert = alert_of("a")
    address = reverse("alert_detail", args=[alert.pk]) + "?back=detector%3Dpayments"
    page = reader.get(address).content.decode()
    renew = html.unescape(re.search(r'hx-post="([^"]+/lock/[^"]*)"', page)[1])
    assert "new event" not in reader.post(renew).content.decode()
    more_of("a")
    told = reader.post(renew).content.decode()
    assert "1 new event<" in told and f'href="{address}"' in told
    again = html.unescape(re.search(r'hx-post="([^"]+)"', told)[1])
    assert "1 new event<" in reader.post(again).content.decode()


def test_a_snooze_does_not_put_an_event_to_sleep_that_nobody_saw(reader):
    alert = alert_of("a")
    more_of("a")
    reader.post(reverse("alert_snooze", args=[alert.pk]), {"for": "4h", "seen": "1"})
    assert Alert.objects.get().snoozed_until is None
    reader.post(reverse("alert_snooze", args=[alert.pk]), {"for": "4h", "seen": "2"})
    assert Alert.objects.get().snoozed_until is not None


@pytest.mark.parametrize(("act", "done"), [(TRAVEL, "closed"), ("snooze:4h", "snoozed")])
def test_of_many_only_those_are_done_that_hold_what_their_rows_showed(reader, act, done):
    alert_of("a"), alert_of("b")
    rows, _ = rows_of(reader)
    more_of("b")
    assert f"1 {done}, 1 refused: other events since you looked (1)." in bulk(reader, act, rows)
    rows, _ = rows_of(reader)
    assert f"{len(rows)} {done}." in bulk(reader, act, rows)


def test_everything_that_matches_is_what_matched_when_the_page_was_made(reader):
    seen = alert_of("a")
    _, page = rows_of(reader)
    newest = re.search(r'name="newest"\s+value="(\d+)"', page)[1]
    later = alert_of("b")
    bulk(reader, TRAVEL, [], all="1", newest=newest)
    assert Alert.objects.get(pk=seen.pk).status == "closed"
    assert Alert.objects.get(pk=later.pk).status == "open"


def test_a_case_is_not_closed_over_an_event_that_came_while_its_page_was_open(reader, analyst):
    case = case_of(analyst, "a")
    page = reader.get(reverse("case_detail", args=[case.pk])).content.decode()
    typed = FRAUD | {"move": "close", "seen": sent_from(page, 'id="close"')}
    more_of("a")
    answer = reader.post(reverse("case_close", args=[case.pk]), typed)
    assert answer.status_code == 422 and not Label.objects.exists()
    page = answer.content.decode()
    assert "1 more event came since you opened this page" in page
    typed["seen"] = sent_from(page, 'id="close"')
    assert reader.post(reverse("case_close", args=[case.pk]), typed).status_code == 302


def test_nor_is_its_closing_asked_for(analyst, settings):
    settings.CASE_APPROVAL_LIMIT = 0
    case = case_of(analyst, "a")
    for close in (close_case, ask_to_close):
        with pytest.raises(MoveRefused):
            close(case, **FRAUD, actor=analyst, seen=2)
    assert ask_to_close(case, **FRAUD, actor=analyst, seen=1).evidence == 1


@pytest.mark.parametrize("odd", ["", "-1", "many", "9" * 40])
def test_what_is_no_number_of_events_was_seen_by_nobody(reader, odd):
    alert = alert_of("a")
    answer = reader.post(reverse("alert_label", args=[alert.pk]), HARMLESS | {"seen": odd})
    assert answer.status_code == 422
