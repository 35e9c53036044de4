"""Who holds a second look learns nowhere what the first analyst found, and is nobody who knows."""

import pytest
from django.urls import reverse

from accounts.roles import ANALYST, LEAD
from cases.casework import approve_closing, ask_to_close, close_case
from cases.closing import undo_closing
from cases.handovers import assign_case
from cases.models import Alert
from cases.queue_models import Closing
from cases.second_look_models import SecondLook
from cases.second_looks import answer_second_look, settle_second_look, take_second_look
from cases.services import assign_alert, comment_on_case, label_alert, open_alerts
from cases.work_queue_models import WorkQueue
from scoring.labelling import record_label
from scoring.models import Label
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of, flagged

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
FALSE = {"disposition": "false_positive", "reason_code": "travel"}
FOUND = "what the first analyst noted"


@pytest.fixture(autouse=True)
def draw_everything(settings):
    settings.SECOND_LOOK_SHARE = 1.0


@pytest.fixture
def second(db):
    return user_with_role(ANALYST, username="second-analyst")


@pytest.fixture
def judge(db):
    return user_with_role(LEAD, username="judge")


@pytest.fixture
def held(analyst, second, client):
    """An alert at which the signed-in colleague holds a second look."""
    alert = label_alert(alert_of("a"), actor=analyst, notes=FOUND, **FRAUD)
    assert take_second_look(second).alert_id == alert.pk
    client.force_login(second)
    return alert


def body(client, *address, status=200, **headers):
    response = client.get(reverse(address[0], args=address[1:]), headers=headers)
    assert response.status_code == status
    return response.content.decode()


# --- Who is given a look -------------------------------------------------------------------------


def test_the_owner_of_an_alert_gets_no_second_look_at_it(analyst, second, lead):
    alert = alert_of("a")
    assign_alert(alert, owner=second, actor=lead)
    label_alert(alert, actor=lead, **FRAUD)
    assert take_second_look(second) is None
    assert take_second_look(analyst).alert_id == alert.pk


def test_who_opened_or_worked_on_a_case_gets_no_second_look_at_it(analyst, second, lead):
    talked, owner = (user_with_role(ANALYST, username=name) for name in ("talked", "owner"))
    case = case_of(second, "a")
    comment_on_case(case, text="Odd.", actor=talked)
    assign_case(case, owner=owner, actor=lead)
    close_case(case, actor=analyst, **FRAUD)
    for user in (second, talked, owner, lead, analyst):
        assert take_second_look(user) is None, user
    other = user_with_role(ANALYST, username="other")
    assert take_second_look(other) is not None


def test_who_approved_a_closing_gets_no_second_look_at_it(analyst, second, lead):
    WorkQueue.objects.all().delete()
    WorkQueue.objects.create(name="All", approval_limit=1)
    case = case_of(analyst, "a")
    ask_to_close(case, actor=analyst, **FRAUD)
    approve_closing(case, actor=lead)
    assert take_second_look(lead) is None
    assert take_second_look(analyst) is None
    assert take_second_look(second) is not None


# --- What the holder sees ------------------------------------------------------------------------


def test_after_an_undo_the_holder_sees_the_alert_again(held, client, analyst):
    body(client, "alert_detail", held.pk, status=302)
    undo_closing(Closing.objects.get(), actor=analyst)
    body(client, "alert_detail", held.pk)


def test_a_refused_decision_shows_the_holder_no_outcome(held, client):
    response = client.post(reverse("alert_label", args=[held.pk]), FRAUD)
    assert response.status_code == 302 and response.url == reverse("second_looks")


def known(client, *address):
    """(labels of events, outcomes of alerts) that a page is made from."""
    context = client.get(reverse(address[0], args=address[1:])).context
    rows = context["timeline"].rows if "timeline" in context else context["history"].rows
    alerts = context["timeline"].alerts if "timeline" in context else context["alerts"]
    return [row.is_fraud for row in rows], [alert.disposition for alert in alerts]


@pytest.mark.parametrize("name", ["entity_detail", "entity_timeline"])
def test_the_pages_of_the_entity_show_the_holder_what_was_known_before(held, client, name, analyst):
    address = (name, "payments", held.entity)
    assert known(client, *address) == ([None], [""])
    client.force_login(analyst)
    assert known(client, *address) == ([True], ["fraud"])


def test_labels_from_before_the_closing_stay_to_judge_by(held, client):
    label = record_label(held.top_prediction, is_fraud=False, source=Label.Source.IMPORT)
    Label.objects.filter(pk=label.pk).update(label_time=held.opened_at)
    assert known(client, "entity_detail", "payments", held.entity) == ([False], [""])


def test_the_preview_shows_the_holder_what_was_known_before(held, client, analyst):
    address = reverse("alert_detail", args=[held.pk])
    asked = {"HX-Request": "true", "HX-Target": "preview"}
    first = client.get(address, headers=asked).context["events"]
    assert [list(event.labels.all()) for event in first] == [[]]
    client.force_login(analyst)
    assert client.get(address, headers=asked).context["events"][0].labels.all()


def test_the_prediction_shows_the_holder_what_was_known_before(held, client, analyst):
    earlier = record_label(
        held.top_prediction, is_fraud=False, source=Label.Source.IMPORT, notes="said long before"
    )
    Label.objects.filter(pk=earlier.pk).update(label_time=held.opened_at)
    address = ("prediction_detail", held.top_prediction_id)
    shown = body(client, *address)
    assert "said long before" in shown and FOUND not in shown
    client.force_login(analyst)
    assert FOUND in body(client, *address)


def test_a_newer_alert_of_the_entity_tells_the_holder_no_outcome(held, client, analyst):
    open_alerts([flagged("a")[0].pk])
    newer = Alert.objects.exclude(pk=held.pk).get()
    address = reverse("alert_detail", args=[newer.pk])
    assert [old.reason_words for old in client.get(address).context["past"]] == [""]
    client.force_login(analyst)
    assert [old.reason_words for old in client.get(address).context["past"]] == ["Card testing"]


def test_a_case_leads_the_holder_to_the_second_look(analyst, second, client):
    case = case_of(analyst, "a")
    close_case(case, actor=analyst, **FRAUD)
    client.force_login(second)
    body(client, "case_detail", case.pk)
    assert take_second_look(second) is not None
    for address in (
        ("case_detail", case.pk),
        ("case_report", case.pk),
        ("case_report_pdf", case.pk),
        ("case_alerts_export", case.pk, "csv"),
    ):
        assert FRAUD["reason_code"] not in body(client, *address, status=302)
    client.force_login(analyst)
    body(client, "case_detail", case.pk)


# --- What comes of it ----------------------------------------------------------------------------


@pytest.mark.parametrize("found", [FRAUD, FALSE])
def test_a_settlement_against_a_closed_case_stands_in_its_timeline(analyst, second, judge, found):
    case = case_of(analyst, "a")
    close_case(case, actor=analyst, **FRAUD)
    look = take_second_look(second)
    answer_second_look(look, actor=second, notes="", **FALSE)
    settle_second_look(look, actor=judge, notes="They were abroad.", **found)
    told = case.timeline.filter(kind="settled")
    if found == FRAUD:
        assert not told.exists()
        return
    event = told.get()
    assert (event.actor, event.text) == (judge, "They were abroad.")
    assert event.detail == {"alert": look.alert_id, "outcome": "false_positive"}


def test_a_settlement_is_told_on_the_page_of_the_case(analyst, second, judge, client):
    case = case_of(analyst, "a")
    close_case(case, actor=analyst, **FRAUD)
    look = take_second_look(second)
    answer_second_look(look, actor=second, notes="", **FALSE)
    settle_second_look(look, actor=judge, notes="", **FALSE)
    client.force_login(judge)
    shown = body(client, "case_detail", case.pk)
    assert f"settled the second look at alert {look.alert_id} otherwise: false positive" in shown
    assert SecondLook.objects.get().status == "settled"
