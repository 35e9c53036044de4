"""What is done with alerts in hand, over the pages: bulk acts, locks, live news; and who may."""

import html
import re
from urllib.parse import unquote

import pytest
from django.urls import reverse

from accounts.roles import ANALYST, LEAD
from cases.locking import take_lock
from cases.models import Alert, Case
from cases.queue_models import AlertComment
from scoring.models import Label
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, lea_dorn, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
HTMX = {"HX-Request": "true"}
NEWS = HTMX | {"HX-Target": "news"}
CONTENT = HTMX | {"HX-Target": "content"}
CARD_TESTING = "label:fraud:card_testing"


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


@pytest.fixture
def chief(client, lead):
    client.force_login(lead)
    return client


def shown(response):
    return [row.alert for row in response.context["rows"]]


def text(response):
    return response.content.decode()


# --- Bulk ----------------------------------------------------------------------------------------


def bulk(client, act, *alerts, **more):
    data = {"act": act, "alert": [alert.pk for alert in alerts], **more}
    return client.post(reverse("alerts_bulk"), data, headers=CONTENT)


def test_many_are_labelled_in_one_request_and_the_answer_is_the_list_with_an_undo(reader):
    rows = [alert_of(user) for user in ("a", "b", "c")]
    answer = bulk(reader, CARD_TESTING, *rows[:2], note="Same device.")
    assert shown(answer) == [rows[2]]
    assert "2 closed." in text(answer)
    assert answer["HX-Trigger"] == '{"bulk-done": 2}'
    (undo,) = re.findall(r'action="(/alerts/undo/[^"]+)"', text(answer))
    assert reader.post(undo).status_code == 302
    assert Alert.objects.filter(status="open").count() == 3
    assert not Label.objects.exists()


def test_undo_leads_back_to_the_queue_as_it_was_narrowed(reader):
    rows = [alert_of(user) for user in ("a", "b", "c")]
    for told in (
        bulk(reader, CARD_TESTING, *rows[:2], query="detector=payments&sort=age"),
        bulk(reader, CARD_TESTING, rows[2], query="detector=payments&sort=age"),
    ):
        undo = re.findall(r'action="(/alerts/undo/[^"]+)"', text(told))[-1]
        where = reader.post(html.unescape(undo)).url
        assert "detector=payments" in unquote(where) and "sort=age" in unquote(where)


def test_a_closed_alert_offers_its_undo_to_whoever_closed_it_while_that_may_be(
    reader, lead, client, settings
):
    rows = [alert_of(user) for user in ("a", "b")]
    bulk(reader, CARD_TESTING, *rows)
    address = reverse("alert_detail", args=[rows[0].pk])
    (undo,) = re.findall(r'action="(/alerts/undo/[^"]+)"', text(reader.get(address)))
    settings.ALERT_UNDO_MINUTES = 0
    assert "/alerts/undo/" not in text(reader.get(address))
    settings.ALERT_UNDO_MINUTES = 10
    assert reader.post(undo, {"alert": rows[0].pk}).url == address
    assert [alert.status for alert in Alert.objects.order_by("pk")] == ["open", "closed"]
    client.force_login(lead)
    other = client.get(reverse("alert_detail", args=[rows[1].pk]))
    assert "/alerts/undo/" not in text(other)


def test_many_that_sleep_are_woken_together(reader):
    rows = waiting(2)
    assert 'value="wake:now"' not in text(reader.get(reverse("queue")))
    bulk(reader, "snooze:4h", *rows)
    assert 'value="wake:now"' in text(reader.get(reverse("queue") + "?view=snoozed"))
    answer = bulk(reader, "wake:now", *rows, query="view=snoozed", note="Too early.")
    assert "2 in the queue again." in text(answer)
    assert set(Alert.objects.values_list("snoozed_until", flat=True)) == {None}
    assert AlertComment.objects.filter(text="Too early.").count() == 2


def test_everything_that_matches_is_taken_up_to_the_bound(reader, monkeypatch):
    monkeypatch.setattr("cases.bulk.MOST", 4)
    waiting(6, exposure=10)
    waiting_big = Alert.objects.order_by("pk").first()
    Alert.objects.filter(pk=waiting_big.pk).update(exposure=900)
    answer = bulk(reader, "assign:me", all=1, query="high=100")
    assert "4 assigned." in text(answer)
    assert Alert.objects.get(pk=waiting_big.pk).owner is None


@pytest.mark.parametrize(("most", "said"), [(55, "The first 55 of 60"), (60, "All 60")])
def test_the_page_says_how_many_of_all_that_match_one_act_takes(reader, monkeypatch, most, said):
    monkeypatch.setattr("cases.queue_views.MOST", most)
    waiting(60)
    page = text(reader.get(reverse("queue")))
    assert f'data-select-matching="{said} that match"' in page
    assert f"Select {said.lower()} that match" in page


@pytest.mark.parametrize(
    ("act", "more", "said"),
    [
        ("label:fraud:travel", {}, "Choose a reason that belongs"),
        ("label:odd", {}, "Say whether it is fraud"),
        ("snooze:9y", {}, "Choose how long"),
        ("case:new", {"title": " "}, "Give the case a title"),
        ("comment:add", {}, "Write something first"),
        ("assign:other", {"owner": "7"}, "Choose somebody"),
        ("assign:odd", {}, "Choose yourself"),
        ("dance", {}, "Choose what to do"),
        (CARD_TESTING, {"note": "n" * 4001}, "The note is too long"),
    ],
)
def test_a_wrong_act_is_refused_inside_the_dialog_and_changes_nothing(reader, act, more, said):
    (alert,) = waiting(1)
    answer = bulk(reader, act, alert, **more)
    assert (answer.status_code, answer["HX-Retarget"]) == (422, "#bulk-problem")
    assert said in text(answer)
    alert.refresh_from_db()
    assert (alert.status, alert.owner, alert.snoozed_until) == ("open", None, None)
    assert bulk(reader, "assign:me").status_code == 422


def test_without_scripts_the_answer_is_a_page(reader):
    rows = waiting(2)
    data = {"act": "snooze:4h", "alert": [row.pk for row in rows], "query": "level=HIGH"}
    answer = reader.post(reverse("alerts_bulk"), data, follow=True)
    assert "2 snoozed." in text(answer)
    assert answer.request["QUERY_STRING"] == "level=HIGH"


def test_merge_needs_the_permission_for_cases_and_opens_one(reader):
    rows = waiting(2)
    assert "2 merged into one case" in text(bulk(reader, "case:new", *rows, title="Ring"))
    assert Alert.objects.values_list("case", flat=True).distinct().count() == 1


def test_what_was_done_leads_to_what_came_of_it(reader):
    rows = waiting(4)
    told = text(bulk(reader, "case:new", *rows[:2], title="<b>Ring</b>"))
    case = Case.objects.get()
    assert f'<a href="{case.get_absolute_url()}">Case {case.pk}</a>: 2 merged' in told
    given = {"disposition": "fraud", "reason_code": "card_testing", "back": "level=HIGH"}
    page = reader.post(reverse("alert_label", args=[rows[2].pk]), given, follow=True)
    way = f'<a href="{rows[2].get_absolute_url()}?back=level%3DHIGH">alert {rows[2].pk}</a>'
    assert f"Closed {way}: fraud, card testing." in text(page)
    page = reader.post(reverse("alert_snooze", args=[rows[3].pk]), {"for": "4h"}, follow=True)
    assert f'<a href="{rows[3].get_absolute_url()}">alert {rows[3].pk}</a>' in text(page)


def test_a_reason_of_a_refusal_stays_text_beside_the_link(reader, lead):
    rows = waiting(2)
    lead.display_name = "<i>Lea</i>"
    lead.save()
    take_lock(rows[0], lead)
    told = text(bulk(reader, "case:new", *rows, title="Ring"))
    assert "&lt;i&gt;Lea&lt;/i&gt;" in told and "<i>Lea" not in told


def previewed(answer):
    return answer.context["preview"].alert


def test_after_an_act_the_row_at_the_cursor_is_previewed(reader):
    waiting(5)
    rows = shown(reader.get(reverse("queue")))
    stays = bulk(reader, "assign:me", rows[0], cursor=rows[2].pk, place=1)
    assert previewed(stays) == rows[2]
    follows = bulk(reader, CARD_TESTING, rows[1], cursor=rows[1].pk, place=1)
    assert previewed(follows) == rows[2]
    last = bulk(reader, CARD_TESTING, rows[4], cursor=rows[4].pk, place=3)
    assert previewed(last) == rows[3]
    for wrong in ({}, {"cursor": "x", "place": "-1"}, {"cursor": "9" * 40, "place": "9" * 40}):
        assert previewed(bulk(reader, "assign:me", rows[3], **wrong)) == rows[0]


def test_a_lead_gives_many_to_a_colleague(chief):
    colleague, rows = user_with_role(ANALYST), waiting(2)
    bulk(chief, "assign:other", *rows, owner=colleague.pk)
    assert set(Alert.objects.values_list("owner", flat=True)) == {colleague.pk}


# --- Locks, news, comments -----------------------------------------------------------------------


def test_opening_the_page_of_an_alert_locks_it_and_leaving_lets_go(reader, analyst):
    (alert,) = waiting(1)
    answer = reader.post(reverse("alert_lock", args=[alert.pk]), headers=HTMX)
    assert "Locked by you" in text(answer)
    alert.refresh_from_db()
    late = reverse("alert_release", args=[alert.pk])
    reader.post(late, {"until": "2020-01-01T00:00:00+00:00"})
    alert.refresh_from_db()
    assert alert.locked_by == analyst
    reader.post(late, {"until": alert.locked_until.isoformat()})
    alert.refresh_from_db()
    assert alert.locked_by is None
    take_lock(alert, analyst)
    reader.post(late, {"until": ""})
    alert.refresh_from_db()
    assert alert.locked_by == analyst


def test_whoever_comes_second_is_told_and_a_lead_takes_over(client, analyst, lead):
    (alert,) = waiting(1)
    take_lock(alert, lea_dorn(LEAD))
    url = reverse("alert_take_over", args=[alert.pk])
    client.force_login(analyst)
    page = client.get(alert.get_absolute_url())
    assert "Locked by Lea Dorn" in text(page)
    assert "Take over" not in text(page)
    assert client.post(url).status_code == 403
    client.force_login(lead)
    assert "Take over" in text(client.get(alert.get_absolute_url()))
    client.post(url)
    alert.refresh_from_db()
    assert alert.locked_by == lead


def test_labelling_what_somebody_else_has_in_hands_is_refused_with_the_name(reader):
    (alert,) = waiting(1)
    take_lock(alert, lea_dorn())
    data = {"disposition": "fraud", "reason_code": "card_testing"}
    answer = reader.post(reverse("alert_label", args=[alert.pk]), data)
    assert answer.status_code == 422
    assert "locked by Lea Dorn" in text(answer)


DECISIONS = ("decide-fraud", "decide-false_positive", "decide-case", "decide-inconclusive")
BARRED = (*DECISIONS, "decide-assign", "snooze-dialog")


def offered(response):
    """The forms that the buttons of an alert's page, or of what is swapped in it, lead to."""
    return {name for name in BARRED if f'data-dialog="{name}"' in text(response)}


def renewed(client, alert, **asked):
    asked = {"seen": 1, "away": 0} | asked
    return client.post(reverse("alert_lock", args=[alert.pk], query=asked), headers=HTMX)


def test_while_a_colleague_has_it_in_hands_no_button_leads_to_a_decision(reader, lead):
    (alert,) = waiting(1)
    page = alert.get_absolute_url()
    assert offered(reader.get(page)) == set(BARRED)
    take_lock(alert, lea_dorn())
    shown = reader.get(page)
    assert offered(shown) == set()
    barred = re.findall(r'disabled\s+title="Lea Dorn has it in hands"', text(shown))
    assert len(barred) == len(BARRED)
    assert "unless renewed. A lead may take it over." in text(shown)
    assert 'id="decide"' not in text(reader.get(page, {"act": "fraud"}))
    reader.force_login(lead)  # Who may take it over may also give it to somebody.
    assert offered(reader.get(page)) == {"decide-assign"}
    assert 'id="decide"' in text(reader.get(page, {"act": "assign"}))


def test_the_buttons_of_an_open_page_follow_whose_hands_it_is_in(reader, analyst):
    (alert,) = waiting(1)
    assert "hx-swap-oob" not in text(renewed(reader, alert))
    dorn = lea_dorn()
    Alert.objects.update(locked_by=dorn)
    taken = renewed(reader, alert)
    assert text(taken).count("hx-swap-oob") == 2 and offered(taken) == set()
    assert "away=1" in text(taken) and "hx-swap-oob" not in text(renewed(reader, alert, away=1))
    Alert.objects.update(locked_until=None)
    assert offered(renewed(reader, alert, away=1)) == set(BARRED)


@pytest.mark.parametrize(
    ("status", "told"), [("closed", "Decided meanwhile"), ("in_case", "In a case by now")]
)
def test_an_open_page_tells_that_somebody_decided_it_meanwhile(reader, status, told):
    (alert,) = waiting(1)
    Alert.objects.update(status=status)
    answer = renewed(reader, alert)
    assert told in text(answer) and not offered(answer) & {*DECISIONS, "snooze-dialog"}
    assert "hx-post" not in text(answer)


def news_of(client, page, **changed):
    asked = {name: page.context[name] for name in ("since", "watched", "state", "waiting")}
    return client.get("/", asked | changed, headers=NEWS)


def test_news_are_silent_until_something_changes_and_then_mark_rows_in_place(reader):
    first, second = waiting(2)
    page = reader.get("/")
    assert news_of(reader, page).status_code == 204
    take_lock(first, lea_dorn())
    Alert.objects.filter(pk=second.pk).update(status="closed", disposition="fraud")
    told = news_of(reader, page)
    assert "Locked by Lea Dorn" in text(told)
    assert "Closed: fraud" in text(told)
    assert text(told).count("hx-swap-oob") == 4
    assert "<tr" not in text(told)
    assert news_of(reader, told).status_code == 204


def test_new_alerts_are_counted_within_the_filters(reader):
    waiting(1)
    page = reader.get("/", {"level": "HIGH"})
    alert_of("later")
    assert "1 new" in text(news_of(reader, page, level="HIGH"))
    assert news_of(reader, page, level="LOW").status_code == 204


def test_news_cost_the_same_queries_for_any_number_of_rows(reader, django_assert_max_num_queries):
    for n in (2, 50):
        Alert.objects.all().delete()
        waiting(n)
        page = reader.get("/")
        # Session, user, permissions (two); the count, the rows.
        with django_assert_max_num_queries(6):
            news_of(reader, page, state="x")


def test_an_alert_is_snoozed_commented_on_and_woken_from_its_page(reader):
    first, second = waiting(2)
    one = reverse("alert_snooze", args=[first.pk])
    answer = reader.post(one, {"for": "4h", "back": "level=HIGH"})
    assert answer.url == f"{second.get_absolute_url()}?back=level%3DHIGH"
    reader.post(reverse("alert_comment", args=[first.pk]), {"text": "Called them."})
    assert "Called them." in text(reader.get(first.get_absolute_url()))
    reader.post(one, {"for": "wake"})
    first.refresh_from_db()
    assert first.snoozed_until is None
    for data in ({"for": "9y"}, {"for": "wake"}):
        assert reader.post(one, data).status_code == 302
    reader.post(reverse("alert_comment", args=[first.pk]), {"text": " "})
    assert AlertComment.objects.count() == 1


# --- Who may -------------------------------------------------------------------------------------

POSTS = {
    "alerts_bulk": "cases.view_alert", "queue_budget": "cases.triage_alert",
    "view_save": "cases.view_alert",
}  # fmt: skip
OF_ALERT = ("alert_lock", "alert_release", "alert_snooze", "alert_comment", "alert_take_over")


@pytest.mark.parametrize("name", [*POSTS, *OF_ALERT])
def test_a_stranger_signs_in_an_outsider_is_refused_and_get_is_not_allowed(client, outsider, name):
    (alert,) = waiting(1)
    url = reverse(name, args=[alert.pk] if name in OF_ALERT else [])
    assert reverse("login") in client.post(url).url
    client.force_login(outsider)
    assert client.post(url).status_code == 403


@pytest.mark.parametrize("name", OF_ALERT)
def test_who_only_reads_takes_nothing_in_hands(client, engineer, name):
    (alert,) = waiting(1)
    client.force_login(engineer)
    assert client.post(reverse(name, args=[alert.pk])).status_code == 403
    page = text(client.get("/"))
    assert "bulk-dialog" not in page
    assert "data-row-select" not in page


def test_who_only_reads_acts_on_nothing_in_bulk_and_next_locks_nothing(client, engineer):
    (alert,) = waiting(1)
    client.force_login(engineer)
    assert bulk(client, CARD_TESTING, alert).status_code == 403
    assert client.get("/?next=1").url == alert.get_absolute_url()
    alert.refresh_from_db()
    assert alert.locked_by is None
