"""Who holds a second look learns nowhere what the first analyst found."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.roles import LEAD
from cases import linking
from cases.attaching import attach
from cases.case_models import CaseMerge
from cases.casework import close_case
from cases.closing import undo_closing
from cases.linking import index_links
from cases.merging import merge_case
from cases.models import Alert
from cases.queue_models import Closing
from cases.resting import comment_on_alert
from cases.second_look_models import SecondLook
from cases.second_looks import (
    answer_second_look,
    settle_second_look,
    take_second_look,
)
from cases.services import label_alert, open_alerts
from cases.signing import sign_closed_alerts
from cases.tagging import set_tags
from scoring.labelling import record_label
from scoring.models import Label
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of, flagged

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("payments_detector", "draw_everything"),
]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
FALSE = {"disposition": "false_positive", "reason_code": "travel"}
FOUND = "what the first analyst noted"


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


def test_an_alert_of_the_entity_that_was_closed_since_leads_the_holder_there(held, client, analyst):
    open_alerts([flagged("a")[0].pk])
    newer = label_alert(
        Alert.objects.exclude(pk=held.pk).get(), actor=analyst, notes="Again", **FRAUD
    )
    assert body(client, "alert_detail", newer.pk, status=302) == ""
    asked = {"HX-Request": "true", "HX-Target": "preview"}
    assert "Again" not in body(client, "alert_detail", newer.pk, **asked)
    client.force_login(analyst)
    assert "Card testing".lower() in body(client, "alert_detail", newer.pk)


def test_a_case_leads_the_holder_to_the_second_look(analyst, second, client, judge):
    case = case_of(analyst, "a")
    close_case(case, actor=analyst, **FRAUD)
    client.force_login(judge)
    body(client, "case_detail", case.pk)
    client.force_login(second)
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


def test_a_rule_that_is_tried_tells_the_holder_no_label_of_the_entity(held, client, analyst):
    label_alert(alert_of("b"), actor=analyst, **FALSE)
    typed = {"act": "try", "code": "ANY", "when": "amount > 0", "text": "Any", "outcome": "REVIEW"}

    def tried():
        trial = client.post(reverse("rule_new", args=["payments"]), typed).context["trial"]
        return (trial.matched, trial.fraud, trial.legitimate, {one.is_fraud for one in trial.shown})

    assert tried() == (2, 0, 1, {None, False})
    client.force_login(analyst)
    assert tried() == (2, 1, 1, {True, False})


# --- Lists ---------------------------------------------------------------------------------------


def test_the_preview_in_the_queue_shows_the_holder_what_was_known_before(held, client, analyst):
    newer = alert_of("a")
    context = client.get(reverse("queue")).context
    assert context["preview"].alert == newer
    assert not any(event.labels.all() for event in context["events"])
    client.force_login(analyst)
    assert any(event.labels.all() for event in client.get(reverse("queue")).context["events"])


def test_the_preview_shows_the_holder_no_note_on_the_alert(held, client, analyst):
    comment_on_alert(held, text=f"Again: {FOUND}", actor=analyst)
    asked = {"HX-Request": "true", "HX-Target": "preview"}
    assert FOUND not in body(client, "alert_detail", held.pk, **asked)
    client.force_login(analyst)
    assert FOUND in body(client, "alert_detail", held.pk, **asked)


def news(client, *alerts):
    query = {"since": 0, "watched": ".".join(str(alert.pk) for alert in alerts)}
    headers = {"HX-Request": "true", "HX-Target": "news"}
    return client.get(reverse("queue"), query, headers=headers).content.decode()


def test_the_news_of_the_queue_tell_the_holder_that_it_is_closed_and_no_more(held, client, analyst):
    told = news(client, held)
    assert "Closed" in told and "Closed: " not in told
    other = label_alert(alert_of("b"), actor=analyst, **FRAUD)
    assert news(client, other).count("Closed: fraud") == 1
    client.force_login(analyst)
    assert "Closed: fraud" in news(client, held)


def test_similar_alerts_leave_out_the_one_the_holder_judges(held, client, analyst):
    known = label_alert(alert_of("b"), actor=analyst, **FALSE)
    sign_closed_alerts(everything=True)
    address = reverse("alert_similar", args=[alert_of("c").pk])
    context = client.get(address).context
    assert [line["row"].alert for line in context["similar"]] == [known]
    assert context["verdict"] == "0 of 1 were fraud"
    client.force_login(analyst)
    assert client.get(address).context["verdict"] == "1 of 2 was fraud"


@pytest.mark.parametrize("asked", [{}, {"outcome": "fraud"}])
def test_the_rows_behind_a_chart_leave_it_out(held, client, analyst, asked):
    other = label_alert(alert_of("b"), actor=analyst, **FRAUD)
    waits = alert_of("c")

    def rows():
        context = client.get(reverse("dashboard_alerts"), asked).context
        return {row.alert for row in context["rows"]}

    shown = {other} if asked else {other, waits}
    assert rows() == shown
    client.force_login(analyst)
    assert rows() == shown | {held}


@pytest.mark.parametrize("asked", [{}, {"truth": "fraud"}])
def test_the_events_behind_a_chart_leave_its_entity_out(held, client, analyst, asked):
    def entities():
        context = client.get(reverse("dashboard_events"), {**day, **asked}).context
        return {row["event"].entity for row in context["rows"]}

    day = {"day_from": f"{held.first_event_at:%Y-%m-%d}", "day_to": f"{held.last_event_at:%F}"}
    label_alert(other := alert_of("b"), actor=analyst, **FRAUD)
    assert entities() == {other.entity}
    client.force_login(analyst)
    assert entities() == {other.entity, held.entity}


@pytest.fixture
def held_case(analyst, second, client):
    """A closed case at whose alert the signed-in colleague holds a second look."""
    case = case_of(analyst, "a")
    case.owner = analyst
    case.save()
    close_case(case, actor=analyst, **FRAUD)
    assert take_second_look(second).alert.case_id == case.pk
    client.force_login(second)
    return case


def exported(client):
    response = client.get(reverse("case_export", args=["csv"]), {"status": "all"})
    return next(
        csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig")))
    )


def test_the_list_of_cases_and_its_table_tell_the_holder_no_outcome(held_case, client, analyst):
    address, asked = reverse("case_list"), {"status": "all"}
    assert "Closed, fraud" not in client.get(address, asked).content.decode()
    line = exported(client)
    assert (line["Case"], line["Status"]) == (str(held_case.pk), "Closed")
    assert [line[name] for name in ("Outcome", "Reason", "Owner")] == ["", "", ""]
    client.force_login(analyst)
    assert "Closed, fraud" in client.get(address, asked).content.decode()
    line = exported(client)
    assert [line[name] for name in ("Outcome", "Reason", "Owner")] == [
        *("Fraud", "card_testing", analyst.username)
    ]


def test_neither_tags_nor_a_filter_tell_the_holder_how_and_by_whom_it_ended(
    held_case, client, analyst
):
    set_tags(held_case, names=["confirmed mule"], actor=analyst)
    for asked in ({}, {"owner": analyst.pk}, {"tag": "confirmed mule"}, {"owner": "none"}):
        page = client.get(reverse("case_list"), {"status": "all", **asked}).context
        found = [] if asked else [held_case]
        assert list(page["page_obj"]) == found
        assert [tuple(row.tags) for row in page["rows"]] == [() for _ in found]
        owners = next(s for s in page["selects"] if s["name"] == "owner")["options"]
        assert not [label for _, label in owners if analyst.username in label or "(1)" in label]
        closed = next(tab for tab in page["tabs"] if tab["label"] == "Closed")
        assert closed["count"] == len(found)
    assert exported(client)["Tags"] == ""
    client.force_login(analyst)
    assert list(
        client.get(reverse("case_list"), {"status": "all", "owner": "me"}).context["page_obj"]
    )
    assert exported(client)["Tags"] == "confirmed mule"


def test_the_case_that_a_merge_took_the_alert_out_of_tells_the_holder_as_little(
    analyst, lead, second, client
):
    source, target = case_of(analyst, "a"), case_of(lead, "b")
    source.owner = analyst
    source.save()
    set_tags(source, names=["confirmed mule"], actor=analyst)
    merge_case(source, target=target, actor=lead)
    close_case(target, actor=lead, **FRAUD)
    (moved,) = CaseMerge.objects.get().alerts.all()
    SecondLook.objects.exclude(alert=moved).delete()
    assert take_second_look(second).alert == moved
    client.force_login(second)
    for asked in ({}, {"owner": analyst.pk}, {"tag": "confirmed mule"}):
        page = client.get(reverse("case_list"), {"status": "merged", **asked}).context
        assert [row.case for row in page["rows"]] == ([] if asked else [source])
        assert [tuple(row.tags) for row in page["rows"]] == ([] if asked else [()])
    listed = client.get(reverse("api_cases"), {"status": "merged"}).json()["cases"]
    assert [(row["owner"], row["tags"]) for row in listed] == [("", [])]
    assert client.get(reverse("api_case", args=[source.pk])).json()["owner"] == ""
    lines = client.get(reverse("case_export", args=["csv"]), {"status": "merged"})
    assert b"confirmed mule" not in b"".join(lines.streaming_content)


def test_other_cases_stay_as_they_are(held_case, client, lead):
    other = case_of(lead, "b")
    close_case(other, actor=lead, **FALSE)
    shown = client.get(reverse("case_list"), {"status": "all"}).content.decode()
    assert shown.count("Closed, false positive") == 1


def test_links_tell_the_holder_no_bad_event_of_the_entity(held, client, analyst, monkeypatch):
    monkeypatch.setattr(linking, "GRACE", timedelta(seconds=-1))
    own, other = flagged("a", "b", device_id="shared")
    assert own.entity == held.entity
    index_links()
    addresses = [("entity_links", "payments", row.entity) for row in (own, other)]
    for address in addresses:
        page = body(client, *address)
        assert "shared by" in page and "bad event" not in page
    client.force_login(analyst)
    assert all("1 bad event" in body(client, *address) for address in addresses)


def test_files_of_the_case_lead_the_holder_to_the_second_look(
    analyst, second, client, settings, tmp_path, judge
):
    """Also those of the case that the alert came from."""
    settings.ATTACHMENT_DIR = tmp_path
    source, target = case_of(analyst, "a"), case_of(analyst, "b")
    said = SimpleUploadedFile("call.csv", b"It,is\nclearly,fraud\n")
    files = [attach(case, file=said.open(), actor=analyst) for case in (source, target)]
    merge_case(source, target=target, actor=analyst)
    target.refresh_from_db()
    close_case(target, actor=analyst, **FRAUD)
    SecondLook.objects.exclude(alert__entity=CaseMerge.objects.get().alerts.get().entity).delete()
    client.force_login(judge)
    for file in files:
        body(client, "case_detail", file.case_id)
        body(client, "case_attachment", file.case_id, file.pk)
    client.force_login(second)
    assert take_second_look(second) is not None
    for file in files:
        body(client, "case_detail", file.case_id, status=302)
        body(client, "case_attachment", file.case_id, file.pk, status=302)


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
