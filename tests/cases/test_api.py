"""Alerts and cases over the API: who may read them, what stands there, page by page."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cases.case_alerts import open_case
from cases.casework import close_case
from cases.models import Alert, Case
from cases.second_looks import take_second_look
from cases.tagging import set_tags
from tests.accounts.factories import key_for
from tests.cases.alerts import alert_of, case_of, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
ALERTS, CASES = "/api/v1/alerts", "/api/v1/cases"
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}


@pytest.fixture
def reader(api):
    return api("cases:read")


def ids(answer, name="alerts"):
    assert answer.status_code == 200, answer.json()
    return [row["id"] for row in answer.json()[name]]


def test_an_alert_says_what_its_row_says_and_what_it_holds(reader, analyst):
    alert = alert_of("user-1")
    body = reader.get(f"{ALERTS}/{alert.pk}").json()
    told = {name: body[name] for name in ("id", "detector", "status", "level", "case", "owner")}
    assert told == {
        "id": alert.pk, "detector": "payments", "status": "open", "level": alert.level_name,
        "case": None, "owner": "",
    }  # fmt: skip
    assert (body["exposure"], body["currency"]) == ("20000.00", "EUR")
    assert body["entity_token"] == alert.entity and "user-1" not in str(body)
    assert body["predictions"] == [str(alert.top_prediction_id)]
    assert reader.get(ALERTS).json() == {
        "alerts": [{k: v for k, v in body.items() if k != "predictions"}], "next_cursor": None,
    }  # fmt: skip


def test_a_case_says_what_its_row_says_and_what_it_holds(reader, analyst):
    case = case_of(analyst, "user-1", "user-2")
    set_tags(case, names=["mule"], actor=analyst)
    body = reader.get(f"{CASES}/{case.pk}").json()
    assert (body["title"], body["status"], body["owner"]) == ("Odd", "open", analyst.username)
    assert (body["tags"], body["alerts_count"], body["predictions_count"]) == (["mule"], 2, 2)
    assert body["exposure"] == [{"currency": "EUR", "amount": "40000.00"}]
    assert sorted(body["alerts"]) == sorted(case.alerts.values_list("pk", flat=True))
    assert ids(reader.get(CASES), "cases") == [case.pk]


def test_pages_hang_together_though_alerts_come_and_go(reader):
    rows = [alert.pk for alert in reversed(waiting(5))]
    first = reader.get(ALERTS, {"limit": 2})
    assert ids(first) == rows[:2]
    alert_of("came-later")
    Alert.objects.filter(pk=rows[1]).update(status="closed", closed_at=timezone.now())
    second = reader.get(ALERTS, {"limit": 2, "cursor": first.json()["next_cursor"]})
    assert ids(second) == rows[2:4]
    last = reader.get(ALERTS, {"limit": 2, "cursor": second.json()["next_cursor"]})
    assert (ids(last), last.json()["next_cursor"]) == (rows[4:], None)


def test_lists_are_narrowed(reader, analyst):
    lone, other = alert_of("a"), alert_of("b")
    case = open_case([other], title="Odd", actor=analyst)
    old = timezone.now() - timedelta(days=9)
    Alert.objects.filter(pk=lone.pk).update(opened_at=old)
    Case.objects.filter(pk=case.pk).update(opened_at=old)
    since = {"since": (old + timedelta(days=1)).isoformat()}
    assert ids(reader.get(ALERTS, {"status": "open"})) == [lone.pk]
    assert ids(reader.get(ALERTS, {"status": "in_case", "detector": "payments"})) == [other.pk]
    assert ids(reader.get(ALERTS, since)) == [other.pk]
    assert ids(reader.get(CASES, {"status": "open", "detector": "payments"}), "cases") == [case.pk]
    assert ids(reader.get(CASES, since), "cases") == []


@pytest.mark.parametrize("address", [ALERTS, CASES])
@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({"status": "lost"}, 422, "status"),
        ({"since": "yesterday"}, 422, "since"),
        ({"limit": "0"}, 422, "limit"),
        ({"limit": "201"}, 422, "limit"),
        ({"cursor": "x"}, 422, "cursor"),
        ({"cursor": "9" * 30}, 422, "cursor"),
        ({"detector": "none\0"}, 404, None),
    ],
)
def test_what_cannot_be_asked_is_told_with_its_field(reader, address, asked, status, field):
    answer = reader.get(address, asked)
    assert answer.status_code == status
    assert field is None or answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("address", [ALERTS, CASES, f"{ALERTS}/999", f"{CASES}/999"])
def test_only_who_may_reads_and_nobody_writes(api, reader, client, address, outsider):
    assert Client().get(address).status_code == 401
    assert api("predictions:read", "models:read").get(address).status_code == 403
    client.force_login(outsider)
    assert client.get(address).status_code == 403
    assert reader.post(address, {}).status_code == 405
    assert reader.get(address).status_code == (404 if address.endswith("999") else 200)


def test_a_person_who_may_see_alerts_reads_them_without_a_key(client, analyst):
    (alert,) = waiting(1)
    client.force_login(analyst)
    assert ids(client.get(ALERTS)) == [alert.pk]


@pytest.mark.usefixtures("draw_everything")
def test_who_holds_a_second_look_reads_no_outcome_by_their_key(analyst, second, lead):
    case = case_of(analyst, "a")
    set_tags(case, names=["confirmed"], actor=analyst)
    close_case(case, actor=analyst, **FRAUD)
    alert = case.alerts.get()
    assert take_second_look(second).alert_id == alert.pk
    for user, told in ((second, ""), (lead, "fraud")):
        _, secret = key_for(user, scopes=("cases:read",))
        theirs = Client(headers={"authorization": f"Token {secret}"})
        found = theirs.get(ALERTS, {"status": "closed"}).json()["alerts"]
        assert [row["disposition"] for row in found] == [told]
        assert theirs.get(f"{ALERTS}/{alert.pk}").json()["disposition"] == told
        body = theirs.get(f"{CASES}/{case.pk}").json()
        assert (body["disposition"], bool(body["tags"]), bool(body["owner"])) == (
            told, bool(told), bool(told),
        )  # fmt: skip
