"""Orders that stand for an alert of many events: whose are told, and what reading them costs."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cases.models import Alert
from cases.selectors import other_predictions
from cases.services import open_alerts
from scoring.ordering import add_list_entry, revoke_list_entry
from scoring.policy_models import ListEntry
from scoring.standing_orders import MOST, orders_now
from tests.cases.alerts import flagged
from tests.cases.test_alert_page import ordered

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


def alert_over(*places):
    """An alert over one event a place, the first one on top, and its events."""
    rows = [flagged("user-1", location=place)[0] for place in places]
    open_alerts([row.pk for row in rows])
    Alert.objects.update(top_prediction=rows[0])
    return Alert.objects.get(links__prediction=rows[0]), rows


def test_newer_orders_of_other_events_push_out_none_of_the_event_that_is_shown(lead):
    alert, (top, *others) = alert_over("Berlin", *(f"Town {i}" for i in range(MOST + 1)))
    ordered(alert, lead, field="location", value="Berlin")
    for other in others:
        ordered(alert, lead, field="location", value=other.event["location"])
    found = orders_now(top, alert.detector.spec(), timezone.now(), others)
    assert (len(found), found[0].of, found[0].elsewhere) == (MOST, "location Berlin", False)
    assert [order.of for order in found[1:3]] == [f"location Town {i}" for i in (MOST, MOST - 1)]


def test_an_order_of_another_event_does_not_hide_that_those_of_this_one_are_over(
    client, analyst, lead
):
    (early,) = flagged("user-1", location="Lagos")
    entry = add_list_entry(
        early.detector,
        kind="deny",
        field="location",
        value="Berlin",
        reason="Told by the bank",
        expires_at=None,
        author=lead,
    )
    ListEntry.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    (top,) = flagged("user-1", location="Berlin")
    assert top.list_hits
    open_alerts([early.pk, top.pk])
    Alert.objects.update(top_prediction=top)
    alert = Alert.objects.get(links__prediction=top)
    revoke_list_entry(entry, author=lead)
    ordered(alert, lead, field="location", value="Lagos")
    client.force_login(analyst)
    answer = client.get(alert.get_absolute_url())
    assert [order.elsewhere for order in answer.context["orders"]] == [True]
    assert "No order of these stands any more." in answer.content.decode()


def test_the_newest_other_events_are_read_without_all_of_the_alert():
    alert, rows = alert_over("Berlin", "Lagos", "Lima", "Rome")
    with CaptureQueriesContext(connection) as asked:
        found = other_predictions(alert, limit=2)
    assert {row.pk for row in found} == {row.pk for row in rows[2:]}
    (query,) = asked
    wide, narrow = query["sql"].split(" IN (SELECT ")
    assert "alertprediction" not in wide and "LIMIT 2" in narrow
