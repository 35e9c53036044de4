"""Who is told of what happens with alerts and cases: the right people, once, never the actor."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.roles import ANALYST, LEAD
from cases.assigning import assign_waiting
from cases.bulk import assign_many
from cases.case_alerts import open_case
from cases.casework import approve_closing, ask_to_close, close_case, move_case, return_case
from cases.escalating import escalate_overdue
from cases.handovers import assign_case, hand_over
from cases.models import Alert, Case
from cases.resting import comment_on_alert
from cases.services import assign_alert, comment_on_case, label_alert, open_alerts
from cases.work_queue_models import QueueMember, WorkQueue
from notifications.models import Delivery, Notification, Preference, Receipt
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of, flagged
from tests.notifications.factories import route_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}


def told(kind):
    rows = Receipt.objects.filter(kind=kind).order_by("user__username")
    return list(rows.values_list("user__username", flat=True))


def escalate(*, times=2):
    """Escalate everything, and look again as often."""
    past = timezone.now() - timedelta(minutes=1)
    Alert.objects.update(escalate_at=past)
    Case.objects.update(escalate_at=past)
    for _ in range(times):
        escalate_overdue(timezone.now())


# --- What is late ---------------------------------------------------------------------------------


def test_the_lead_of_the_queue_is_told_once_of_what_is_late(analyst, lead):
    user_with_role(LEAD, username="elsewhere")
    WorkQueue.objects.update(lead=lead)
    case_of(analyst, "a")
    alert = alert_of("b")
    escalate()
    assert told("sla.due") == ["lead", "lead"]
    urls = set(Notification.objects.filter(kind="sla.due").values_list("url", flat=True))
    assert urls == {Case.objects.get().get_absolute_url(), alert.get_absolute_url()}


def test_without_a_lead_the_owner_is_told_and_without_an_owner_every_lead(analyst, lead):
    user_with_role(LEAD, username="another")
    assign_alert(alert_of("a"), owner=analyst, actor=lead)
    escalate()
    assert told("sla.due") == ["analyst"]
    alert_of("b")
    escalate()
    assert told("sla.due") == ["analyst", "another", "lead"]


def test_when_the_lead_has_left_every_lead_is_told(lead):
    gone = user_with_role(LEAD, username="gone")
    gone.is_active = False
    gone.save(update_fields=["is_active"])
    WorkQueue.objects.update(lead=gone)
    alert_of("a")
    escalate()
    assert told("sla.due") == ["lead"]


def test_a_queue_that_tells_nobody_tells_nobody(lead):
    route_for(kinds=["sla.due"])
    WorkQueue.objects.update(lead=lead, escalation_notifies=False)
    alert_of("a")
    escalate()
    assert (told("sla.due"), Delivery.objects.count()) == ([], 0)


def test_what_is_late_goes_to_the_routes_of_its_detector(analyst, lead):
    payments = route_for("slack", kinds=["sla.due"], about="payments")
    route_for("slack", kinds=["sla.due"], about="fraud")
    case_of(analyst, "a")
    alert_of("b")
    escalate()
    assert [row.route for row in Delivery.objects.filter(user=None)] == [payments] * 2


def test_many_that_are_late_become_one_line_a_queue(lead, settings):
    settings.EMAIL_HOST = "mail.bank.example"
    other = user_with_role(LEAD, username="other")
    lead.email, other.email = "lead@bank.example", "other@bank.example"
    lead.save(update_fields=["email"])
    other.save(update_fields=["email"])
    WorkQueue.objects.update(lead=lead)
    for i in range(40):
        alert_of(f"user-{i}")
    escalate()
    assert Receipt.objects.filter(kind="sla.due", user=lead).count() == 31
    mails = Delivery.objects.filter(channel="email", notification__kind="sla.due")
    assert mails.filter(user=lead).count() == 31
    assert Notification.objects.filter(subject__startswith="More than 30").count() == 1
    # Another team's lead hears of theirs.
    Alert.objects.all().delete()
    WorkQueue.objects.create(name="Other", position=1, lead=other)
    alert_of("b")
    escalate()
    assert Receipt.objects.filter(kind="sla.due", user=other).count() == 1


# --- Routes of one detector -----------------------------------------------------------------------

NEWS = ["case.opened", "case.moved", "case.closed", "case.asked", "case.handed_over"]
NEWS += ["alert.assigned", "case.mention", "sla.due"]


def sent_by(route):
    rows = Delivery.objects.filter(route=route).values_list("notification__kind", flat=True)
    return sorted(rows)


def test_a_route_of_one_detector_gets_the_whole_life_of_its_cases(analyst, lead, settings):
    payments, other = (route_for("slack", kinds=NEWS, about=slug) for slug in ("payments", "x"))
    second = user_with_role(ANALYST, username="second")
    case = case_of(analyst, "a")
    move_case(case, move="investigate", actor=analyst)
    hand_over(case, to=second, note="Call back.", actor=analyst)
    comment_on_case(case, text="@lead: look.", actor=analyst)
    settings.CASE_APPROVAL_LIMIT = Decimal(15_000)
    ask_to_close(case, **FRAUD, actor=analyst)
    return_case(case, actor=lead, note="Call the customer.")
    escalate()
    ask_to_close(case, **FRAUD, actor=analyst)
    approve_closing(case, actor=lead)
    told = [*NEWS, "case.asked", "case.moved"]
    told.remove("alert.assigned")
    assert sent_by(payments) == sorted(told)
    assert sent_by(other) == []


def test_a_route_of_one_detector_hears_of_its_alerts_that_are_given_and_talked_about(analyst, lead):
    payments, other = (route_for("slack", kinds=NEWS, about=slug) for slug in ("payments", "x"))
    alert = assign_alert(alert_of("a"), owner=analyst, actor=lead)
    comment_on_alert(alert, text="@lead: look.", actor=analyst)
    assert sent_by(payments) == ["alert.assigned", "case.mention"]
    assert sent_by(other) == []


def test_a_case_of_two_detectors_is_news_of_both_and_named_after_the_riskiest(
    analyst, cards_detector
):
    slugs = ["payments", cards_detector.slug, "x"]
    routes = [route_for("slack", kinds=["case.opened"], about=slug) for slug in slugs]
    less, more = alert_of("a"), alert_of("b")
    Alert.objects.filter(pk=less.pk).update(level=1)
    Alert.objects.filter(pk=more.pk).update(level=2, detector=cards_detector)
    open_case([less, more], title="Both", actor=analyst)
    assert [sent_by(route) for route in routes] == [["case.opened"], ["case.opened"], []]
    assert Notification.objects.get().about == cards_detector.slug


# --- Two people -----------------------------------------------------------------------------------


@pytest.fixture
def limited(settings):
    settings.CASE_APPROVAL_LIMIT = Decimal(15_000)


def test_who_may_approve_is_told_of_a_request_and_who_asked_of_the_return(limited, analyst, lead):
    user_with_role(LEAD, username="asker")
    case = case_of(analyst, "a")
    Case.objects.update(owner=None, opened_by=lead)
    ask_to_close(case, **FRAUD, actor=analyst, notes="@lead, he called back.")
    assert told("case.asked") == ["asker", "lead"]
    assert told("case.mention") == ["lead"]
    return_case(case, actor=lead, note="Call the customer.")
    assert told("case.moved") == ["analyst"]
    assert "returned" in Notification.objects.get(kind="case.moved").text


def test_a_lead_who_asks_is_not_told_of_it(limited, lead):
    second = user_with_role(LEAD, username="second")
    ask_to_close(case_of(lead, "a"), **FRAUD, actor=lead)
    assert told("case.asked") == [second.username]


def test_who_approves_is_not_told_of_it_and_who_found_it_is(limited, analyst, lead):
    case = case_of(analyst, "a")
    ask_to_close(case, **FRAUD, actor=analyst)
    Receipt.objects.all().delete()
    route_for("slack", kinds=["alert.closed"])
    for user in (analyst, lead):
        Preference.objects.create(user=user, chosen={"alert.closed": ["bell"]})
    Case.objects.update(owner=lead)
    Alert.objects.update(owner=lead)
    approve_closing(case, actor=lead)
    assert list(Receipt.objects.values_list("user__username", "kind")) == [
        ("analyst", "case.closed")
    ]
    assert analyst.name in Notification.objects.get(kind="alert.closed").text


# --- What systems read ---------------------------------------------------------------------------


def test_a_system_reads_which_of_its_own_events_an_alert_was_about(analyst, monkeypatch):
    route_for("webhook", kinds=["alert.closed"])
    monkeypatch.setattr("cases.telling.MOST_EVENTS", 1)
    predictions = flagged("a", "a")
    open_alerts([one.pk for one in predictions])
    label_alert(Alert.objects.get(), actor=analyst, **FRAUD)
    data = Notification.objects.get(kind="alert.closed").data
    newest = sorted(predictions, key=lambda one: (one.event_time, one.pk), reverse=True)[:1]
    assert data["events"] == [
        {"prediction_id": str(one.pk), "external_id": one.external_id} for one in newest
    ]
    assert (data["events_in_all"], data["disposition"]) == (2, "fraud")


def test_nothing_is_looked_up_for_an_alert_that_nobody_hears_of(analyst, monkeypatch):
    monkeypatch.setattr("cases.telling._alert_data", pytest.fail)
    label_alert(alert_of("a"), actor=analyst, **FRAUD)
    assert not Notification.objects.filter(kind="alert.closed").exists()


# --- Being given something ------------------------------------------------------------------------


def test_who_is_given_an_alert_is_told_once_and_nobody_of_what_they_take(analyst, lead):
    alert = assign_alert(alert_of("a"), owner=analyst, actor=lead)
    assign_alert(alert, owner=analyst, actor=lead)
    assign_alert(alert_of("b"), owner=analyst, actor=analyst)
    assign_alert(alert_of("c"), owner=None, actor=lead)
    assert told("alert.assigned") == ["analyst"]
    assert Notification.objects.get(kind="alert.assigned").url == alert.get_absolute_url()


def test_many_alerts_given_at_once_are_one_line(analyst, lead):
    alerts = [alert_of(name) for name in "abc"]
    assign_alert(alerts[0], owner=analyst, actor=analyst)
    fresh = list(Alert.objects.order_by("pk"))
    assign_many(fresh, owner=analyst, actor=lead, note="")
    news = Notification.objects.get(kind="alert.assigned")
    assert news.subject == "2 alerts are yours now"
    assert told("alert.assigned") == ["analyst"]


def test_what_a_queue_gives_out_is_told_to_who_gets_it(lead):
    queue = WorkQueue.objects.create(name="Team", position=1, assignment="round_robin")
    for name in ("ann", "ben"):
        user = user_with_role(ANALYST, username=name)
        QueueMember.objects.create(queue=queue, user=user)
    case = case_of(lead, "z")
    Case.objects.update(owner=None)
    for name in "abcd":
        alert_of(name)
    assert assign_waiting(timezone.now()) == 5
    assert told("alert.assigned") == ["ann", "ben"]
    assert told("case.handed_over") == ["ann"]
    assert case.timeline.last().kind == "assigned"


def test_a_case_that_is_given_or_handed_over_is_told_to_who_gets_it(analyst, lead):
    second = user_with_role(ANALYST, username="second")
    case = case_of(analyst, "a")
    hand_over(case, to=second, note="Call back.", actor=analyst)
    assert told("case.handed_over") == ["second"]
    assign_case(case, owner=second, actor=lead)
    assert told("case.handed_over") == ["second", "second"]
    assign_case(case, owner=lead, actor=lead)
    assert told("case.handed_over") == ["second", "second"]


# --- Mentions -------------------------------------------------------------------------------------


def test_who_is_mentioned_is_told_once_and_not_the_author_or_who_may_not_read_it(
    analyst, lead, outsider
):
    case = case_of(analyst, "a")
    comment_on_case(case, text="@lead @analyst @outsider @lead: look.", actor=analyst)
    assert told("case.mention") == ["lead"]
    close_case(case, **FRAUD, actor=analyst, notes="Nothing more.")
    assert told("case.mention") == ["lead"]
