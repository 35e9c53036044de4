"""Who asked for a change of rules or settings learns what became of it, by whom and why."""

import pytest
from django.urls import reverse

from notifications.models import Notification
from notifications.selectors import list_receipts
from scoring.models import Detector
from scoring.policies import set_policy
from scoring.rule_approvals import (
    approve_request,
    refuse_request,
    request_move,
    request_settings,
    request_thresholds,
    withdraw_request,
)
from scoring.rule_request_models import RuleRequest

pytestmark = pytest.mark.django_db


def told_to(user):
    return [receipt.notification.subject for receipt in list_receipts(user)]


def page_of(version):
    return reverse("rule_detail", args=["payments", version.rule.code])


def decided_on(client, user, page, *args):
    client.force_login(user)
    return client.get(reverse(page, args=args)).context["decided"]


def test_who_may_decide_hears_that_a_change_waits(payments_detector, lead, second, analyst):
    asked = request_settings(payments_detector, audit_rate=0.5, actor=lead, reason="A wave.")
    assert told_to(second) == [
        f"Waits for a second person: Other settings for {payments_detector.name}"
    ]
    assert told_to(lead) == told_to(analyst) == []
    news = Notification.objects.get(kind="rule.asked")
    assert news.text == f"{lead.name} asks for it. “A wave.”"
    assert news.url == f"{reverse('policy', args=['payments'])}#request-{asked.pk}"


def test_who_wrote_what_would_go_live_is_not_asked_for_it(draft, lead, second):
    draft.author = second
    draft.save(update_fields=["author"])
    request_move(draft, to="live", seen="draft", actor=lead)
    assert told_to(second) == []


def test_who_asked_hears_that_it_was_refused_by_whom_and_why(live, lead, second):
    asked = request_thresholds(live.rule, parameters={"limit": 800}, base=1, actor=lead)
    refuse_request(asked, actor=second, note="Too high.")
    assert told_to(lead) == ["Refused: Other thresholds for GIFT v1"]
    news = Notification.objects.get(kind="rule.decided")
    assert (news.text, news.about) == (f"By {second.name}. Too high.", "payments")
    assert news.url == f"{page_of(live)}#request-{asked.pk}"


def test_who_asked_hears_that_it_was_approved(draft, lead, second):
    approve_request(request_move(draft, to="live", seen="draft", actor=lead), actor=second)
    assert told_to(lead) == ["Approved: GIFT v1 goes live"]
    assert Notification.objects.get(kind="rule.decided").text == f"By {second.name}."


def test_who_asked_hears_that_it_is_outdated_also_by_what_they_did_themselves(
    payments_detector, lead
):
    request_settings(payments_detector, audit_rate=0.5, actor=lead)
    set_policy(payments_detector, audit_rate=0.2, author=lead)
    assert told_to(lead) == [f"Outdated: Other settings for {payments_detector.name}"]
    assert Notification.objects.get(kind="rule.decided").text == "The settings were changed since."


def test_what_somebody_ended_themselves_they_are_not_told(draft, lead, settings):
    withdraw_request(request_move(draft, to="live", seen="draft", actor=lead), actor=lead)
    settings.FOUR_EYES = False
    request_move(draft, to="live", seen="draft", actor=lead, reason="Nobody else is here.")
    assert told_to(lead) == []


def test_the_policys_page_tells_how_requests_of_its_settings_ended(
    client, live, payments_detector, lead, second
):
    asked = request_settings(payments_detector, audit_rate=0.5, actor=lead)
    refuse_request(asked, actor=second, note="Nobody has the time.")
    asked = request_move(live, to="retired", seen="live", actor=lead)
    withdraw_request(asked, actor=lead)
    (one,) = decided_on(client, lead, "policy", "payments")
    assert (one.asked.status, one.notes) == ("refused", ["Audit rate 0.50% → 50.00%"])
    page = client.get(reverse("policy", args=["payments"])).content.decode()
    assert f"decided by {second.name}" in page and "Nobody has the time." in page


def test_the_list_of_rules_tells_how_requests_of_all_of_them_ended(
    client, live, payments_detector, lead, second
):
    settings = request_settings(payments_detector, audit_rate=0.5, actor=lead)
    moved = request_move(live, to="retired", seen="live", actor=lead)
    approve_request(moved, actor=second)
    refuse_request(settings, actor=second, note="No.")
    found = decided_on(client, lead, "rule_list", "payments")
    assert [one.asked for one in found] == [settings, moved]  # The last decided, not asked, first.
    page = client.get(reverse("rule_list", args=["payments"])).content.decode()
    assert page_of(live) in page.split(f'id="request-{moved.pk}"')[1]


def test_a_request_of_settings_shows_where_the_declaration_cannot_be_read(
    client, payments_detector, lead
):
    request_settings(payments_detector, audit_rate=0.5, actor=lead)
    Detector.objects.update(config={"broken": True})
    client.force_login(lead)
    assert client.get(reverse("rules_overview")).status_code == 200
    assert RuleRequest.objects.get().is_pending
