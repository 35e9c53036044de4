"""The queue and the alert page: order, filters, decisions, refusals, and who may."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from accounts.roles import ANALYST
from cases.case_alerts import open_case
from cases.models import Alert, Touch
from cases.resting import snooze_alert
from cases.services import assign_alert, label_alert, open_alerts
from scoring.models import Detector, Label
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, flagged
from tests.factories import payment, scored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
HTMX = {"HX-Request": "true"}
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def alerts_of(*users, **changed):
    """One alert a user, the amounts rising in that order."""
    for i, user in enumerate(users, start=1):
        open_alerts([row.pk for row in flagged(user, **{"amount": 20_000.0 + i} | changed)])
    return list(Alert.objects.order_by("pk"))


def shown(response):
    return [row.alert for row in response.context["rows"]]


def url(name, alert):
    return reverse(name, args=[alert.pk])


def test_the_queue_puts_the_largest_expected_loss_first_and_says_so(reader):
    small, large = alerts_of("a", "b")
    page = reader.get(reverse("queue"))
    assert shown(page) == [large, small]
    assert "Most saved by a minute of work first" in page.content.decode()


@pytest.mark.parametrize("sort", ["age", "score", "amount", "nonsense"])
def test_the_order_can_be_chosen(reader, sort):
    first, second = alerts_of("a", "b")
    expected = [first, second] if sort == "age" else [second, first]
    assert shown(reader.get(reverse("queue"), {"sort": sort})) == expected


def test_filters_narrow_the_queue(reader, analyst):
    mine, other = alerts_of("a", "b")
    assign_alert(mine, owner=analyst, actor=analyst)
    queue = reverse("queue")
    assert shown(reader.get(queue, {"owner": "me"})) == [mine]
    assert shown(reader.get(queue, {"owner": "none"})) == [other]
    assert len(shown(reader.get(queue, {"detector": "payments", "level": "HIGH"}))) == 2
    assert shown(reader.get(queue, {"level": "LOW"})) == []
    assert shown(reader.get(queue, {"detector": "cards"})) == []


def test_the_views_carry_counts(reader, analyst):
    mine, _ = alerts_of("a", "b")
    assign_alert(mine, owner=analyst, actor=analyst)
    tabs = reader.get(reverse("queue")).context["tabs"]
    assert {tab["label"]: tab["count"] for tab in tabs} == {
        "All": 2, "Mine": 1, "Unassigned": 1, "Critical": 0, "Snoozed": 0,
    }  # fmt: skip


def test_search_reads_reasons_and_events_and_finds_a_masked_entity_by_its_whole_name(reader):
    first, _ = alerts_of("somebody-special", "b")
    queue = reverse("queue")
    assert shown(reader.get(queue, {"q": "somebody-special"})) == [first]
    assert shown(reader.get(queue, {"q": "somebody"})) == []
    assert len(shown(reader.get(queue, {"q": "above 10,000"}))) == 2
    assert len(shown(reader.get(queue, {"q": "berlin"}))) == 2


def test_personal_data_is_masked_on_every_page(reader):
    (alert,) = alerts_of("somebody-special")
    pages = [reverse("queue"), url("alert_detail", alert), alert.top_prediction.get_absolute_url()]
    for page in pages:
        text = reader.get(page).content.decode()
        assert "somebody-special" not in text
        assert "••••cial" in text


@pytest.mark.parametrize("rows", [0, 3, 60])
def test_the_queue_costs_the_same_queries_for_any_number_of_rows(
    reader, django_assert_max_num_queries, rows
):
    alerts_of(*[f"user-{i}" for i in range(rows)])
    # Session, user, permissions (user's and groups'), banner; counts and their facets, saved views,
    # budget, ids of the page, its rows, newest id; the preview: the second look in hand,
    # events, labels, comments.
    with django_assert_max_num_queries(17):
        assert len(shown(reader.get(reverse("queue")))) == min(rows, 50)


def test_an_alert_costs_the_same_queries_for_any_number_of_events(
    reader, django_assert_max_num_queries
):
    for events in (1, 30):
        open_alerts([row.pk for row in flagged(*["a"] * events)])
        alert = Alert.objects.get()
        reader.get(url("alert_detail", alert))
        # The frame's five; alert, touch, its predictions, history (each with labels), past alerts,
        # comments.
        with django_assert_max_num_queries(13):
            reader.get(url("alert_detail", alert))


def test_page_fragment_and_preview_come_from_one_address(reader):
    (alert,) = alerts_of("a")
    page, fragment = reader.get("/"), reader.get("/", headers=HTMX)
    assert "<title>" in page.content.decode()
    assert "<title>" not in fragment.content.decode()
    preview = reader.get(url("alert_detail", alert), headers=HTMX | {"HX-Target": "preview"})
    assert "••••" in preview.content.decode()
    assert "<title>" not in preview.content.decode()


def test_new_alerts_wait_behind_a_button(reader):
    (old,) = alerts_of("a")
    alert_of("b")
    news = reader.get("/", {"since": old.pk}, headers=HTMX | {"HX-Target": "news"})
    assert "1 new" in news.content.decode()
    quiet = reader.get("/", {"since": "x" * 30}, headers=HTMX | {"HX-Target": "news"})
    assert "2 new" in quiet.content.decode()


def test_next_opens_the_first_alert_that_nobody_else_owns(reader, analyst):
    low, middle, high = alerts_of("a", "b", "c")
    assign_alert(high, owner=user_with_role(ANALYST), actor=analyst)
    assert reader.get("/", {"next": 1}).url == url("alert_detail", middle)
    assert reader.get("/", {"next": 1, "after": middle.pk}).url == url("alert_detail", low)
    assert reader.get("/", {"next": 1, "after": low.pk}).url == reverse("queue")


def test_an_empty_queue_says_what_comes_next(reader, analyst):
    alert = alert_of("a")
    snooze_alert(alert, until=timezone.now() + timedelta(days=1), actor=analyst)
    asleep = reader.get("/").content.decode()
    assert "Every alert is decided" not in asleep
    assert 'href="/?view=snoozed">See what is snoozed' in asleep
    label_alert(alert, actor=analyst, disposition="fraud", reason_code="card_testing")
    assert "Every alert is decided" in reader.get("/").content.decode()
    assert "Nothing matches" in reader.get("/", {"q": "x"}).content.decode()


def test_a_queue_in_which_nothing_ever_was_says_what_to_do_first(reader, client, engineer):
    shown = reader.get("/").content.decode()
    assert "No event yet" in shown and "Every alert is decided" not in shown
    assert "That is up to an engineer" in shown and "Go to the sources" not in shown
    Detector.objects.all().delete()
    assert "No detector yet" in reader.get("/").content.decode()
    client.force_login(engineer)
    assert f'href="{reverse("detector_new")}"' in client.get("/").content.decode()


def test_a_queue_says_that_no_event_needed_a_human_so_far(reader, champion):
    scored("payments", payment())
    assert "No event needed a human so far" in reader.get("/").content.decode()


def test_confirming_fraud_closes_labels_and_goes_on_within_the_filters(reader):
    second, first = alerts_of("a", "b")
    data = FRAUD | {"notes": "Called.", "back": "detector=payments"}
    answer = reader.post(url("alert_label", first), data)
    assert answer.url == f"{url('alert_detail', second)}?back=detector%3Dpayments"
    label = Label.objects.get()
    assert (label.is_fraud, label.reason_code, label.notes) == (True, "card_testing", "Called.")


@pytest.mark.parametrize("wrong", [{"reason_code": ""}, {"reason_code": "travel"}])
def test_a_refused_decision_keeps_what_was_typed(reader, wrong):
    (alert,) = alerts_of("a")
    answer = reader.post(url("alert_label", alert), FRAUD | {"notes": "Long note"} | wrong)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "Choose a reason that belongs to this outcome." in text
    assert "Long note" in text


def test_a_closed_alert_says_so_and_is_not_closed_again(reader):
    (alert,) = alerts_of("a")
    colleague = user_with_role(ANALYST)
    label_alert(alert, **FRAUD, actor=colleague)
    answer = reader.post(url("alert_label", alert), FRAUD | {"notes": "Seen by phone"})
    page = answer.content.decode()
    assert (answer.status_code, Label.objects.count()) == (422, 1)
    assert page.count("closed already") == 1
    for shown_at in (page, reader.get(url("alert_detail", alert) + "?act=fraud").content.decode()):
        assert "card testing" in shown_at and f"by {colleague.name}" in shown_at
        assert "Choose the reason" not in shown_at and 'data-dialog="decide-fraud"' not in shown_at
    kept = page[page.index('action="' + url("alert_comment", alert)) :]
    assert "Your note was not kept" in kept and "Seen by phone" in kept


def test_a_decision_that_is_sent_twice_counts_once_and_can_be_undone(reader, settings):
    first, second = alerts_of("a", "b")
    sent = FRAUD | {"notes": "Seen by phone"}
    answers = [reader.post(url("alert_label", second), sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert (Label.objects.count(), second.comments.count()) == (1, 1)
    page = reader.get(url("alert_detail", first)).content.decode()
    assert page.count(reverse("undo_closing", args=[second.closings.get().batch])) == 2
    other = FRAUD | {"notes": "And by letter"}
    assert reader.post(url("alert_label", second), other).status_code == 422
    settings.ALERT_UNDO_MINUTES = 0
    assert reader.post(url("alert_label", second), sent).status_code == 422


def test_a_snooze_that_comes_too_late_keeps_what_was_typed(reader, lead):
    (alert,) = alerts_of("a")
    label_alert(alert, **FRAUD, actor=lead)
    answer = reader.post(url("alert_snooze", alert), {"for": "4h", "note": "Calls back at 5"})
    page = answer.content.decode()
    assert answer.status_code == 422 and "closed already" in page
    assert ">Calls back at 5</textarea>" in page


def test_an_analyst_takes_and_returns_an_alert_but_gives_it_to_nobody_else(reader, analyst):
    (alert,) = alerts_of("a")
    colleague = user_with_role(ANALYST)
    for owner, expected in (("me", analyst), ("", None)):
        reader.post(url("alert_assign", alert), {"owner": owner})
        alert.refresh_from_db()
        assert alert.owner == expected
    answer = reader.post(url("alert_assign", alert), {"owner": colleague.pk})
    assert answer.status_code == 422


def test_a_lead_gives_an_alert_to_a_colleague(client, lead, outsider):
    (alert,) = alerts_of("a")
    colleague = user_with_role(ANALYST)
    client.force_login(lead)
    client.post(url("alert_assign", alert), {"owner": colleague.pk})
    alert.refresh_from_db()
    assert alert.owner == colleague
    assert client.post(url("alert_assign", alert), {"owner": outsider.pk}).status_code == 422


def test_a_case_is_opened_over_an_alert_once(reader):
    (alert,) = alerts_of("a")
    answer = reader.post(url("alert_open_case", alert), {"title": "Odd payments"})
    alert.refresh_from_db()
    assert answer.url == alert.case.get_absolute_url()
    again = reader.post(url("alert_open_case", alert), {"title": "Typed title"})
    assert again.status_code == 422
    assert "Typed title" in again.content.decode()
    assert reader.post(url("alert_open_case", alert), {"title": " "}).status_code == 422


def test_the_pages_say_by_which_numbers_others_speak_of_them(reader, analyst):
    (alert,) = alerts_of("a")
    case = open_case([alert], title="Odd", actor=analyst)
    assert f"· alert {alert.pk}</span>" in reader.get(url("alert_detail", alert)).content.decode()
    assert f">case {case.pk}</span>" in reader.get(case.get_absolute_url()).content.decode()


def test_looking_opens_a_touch_and_the_next_step_closes_it(reader, analyst):
    first, second = alerts_of("a", "b")
    for alert in (first, first, second):
        reader.get(url("alert_detail", alert))
    touches = {touch.alert_id: touch.closed_at for touch in Touch.objects.all()}
    assert touches[first.pk] is not None
    assert touches[second.pk] is None
    assert len(touches) == Touch.objects.count()
    reader.post(url("alert_label", second), FRAUD)
    assert not Touch.objects.filter(alert=second, closed_at=None).exists()


def test_a_preview_is_no_touch(reader):
    (alert,) = alerts_of("a")
    reader.get(url("alert_detail", alert), headers=HTMX | {"HX-Target": "preview"})
    assert not Touch.objects.exists()


ACTS = ["alert_label", "alert_assign", "alert_open_case"]


@pytest.mark.parametrize("name", ["alert_detail", *ACTS])
def test_a_stranger_signs_in_first_and_an_outsider_is_refused(client, outsider, name):
    (alert,) = alerts_of("a")
    send = client.get if name == "alert_detail" else client.post
    assert reverse("login") in send(url(name, alert)).url
    client.force_login(outsider)
    assert send(url(name, alert)).status_code == 403


@pytest.mark.parametrize("name", ACTS)
def test_who_only_reads_cannot_decide(client, engineer, name):
    (alert,) = alerts_of("a")
    client.force_login(engineer)
    page = client.get(url("alert_detail", alert))
    assert page.status_code == 200
    assert url(name, alert) not in page.content.decode()
    assert client.post(url(name, alert), FRAUD).status_code == 403
    assert client.get(url(name, alert)).status_code == 403


def test_an_outsider_sees_no_queue(client, outsider):
    client.force_login(outsider)
    assert client.get("/").status_code == 403


def test_what_does_not_exist_is_404(reader):
    assert reader.get(reverse("alert_detail", args=[99])).status_code == 404
    assert reader.post(reverse("alert_label", args=[99]), FRAUD).status_code == 404


def test_an_alert_in_a_case_points_to_it(reader, analyst):
    (alert,) = alerts_of("a")
    case = open_case([alert], title="Odd", actor=analyst)
    assert case.get_absolute_url() in reader.get(url("alert_detail", alert)).content.decode()
    assert not AuditEntry.objects.filter(action="alert.closed").exists()
