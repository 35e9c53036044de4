"""What somebody asked for about rules ends where what it would change is changed."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from scoring.core.types import Stage
from scoring.models import Detector
from scoring.policies import PolicyRefused, set_policy
from scoring.policy_models import RuleVersion
from scoring.rule_approvals import (
    approve_request,
    request_move,
    request_settings,
    request_thresholds,
)
from scoring.rule_editing import create_rule, move_version, save_draft
from scoring.rule_request_models import RuleRequest
from tests.scoring.gift import GIFT

pytestmark = pytest.mark.django_db


def test_a_request_that_no_longer_holds_is_outdated(live, lead, second):
    asked = request_thresholds(live.rule, parameters={"limit": 800}, base=1, actor=lead)
    move_version(live, to="retired", seen="live", author=second)
    asked.refresh_from_db()
    assert (asked.status, asked.note) == ("outdated", "Another version is live since: none.")
    assert AuditEntry.objects.filter(action="rule.request_outdated").count() == 1
    with pytest.raises(PolicyRefused, match="Another version is live since: none"):
        approve_request(asked, actor=second)


def test_what_is_outdated_waits_no_more_and_can_be_asked_anew(client, live, lead, second):
    asked = request_move(live, to="retired", seen="live", actor=lead)
    move_version(live, to="shadow", seen="live", author=second)
    assert RuleRequest.objects.get().status == "outdated"
    client.force_login(second)
    assert not client.get(reverse("rules_overview")).context["waiting"]
    again = request_move(live, to="live", seen="shadow", actor=lead)
    assert (again.status, again.pk != asked.pk) == ("pending", True)


def test_a_request_that_is_carried_out_stands_as_approved_alone(live, lead, second):
    asked = request_move(live, to="retired", seen="live", actor=lead)
    approve_request(asked, actor=second)
    asked.refresh_from_db()
    assert (asked.status, asked.decided_by) == ("approved", second)
    assert not AuditEntry.objects.filter(action="rule.request_outdated").exists()


def test_another_term_of_a_models_review_outdates_no_request_of_settings(
    payments_detector, lead, second
):
    asked = request_settings(payments_detector, audit_rate=0.02, actor=lead)
    set_policy(payments_detector, review_after=86400.0, author=second)
    approve_request(asked, actor=second)
    assert Detector.objects.get().policy_settings == {"audit_rate": 0.02, "review_after": 86400.0}


def test_a_new_draft_outdates_what_was_asked_for_about_the_former_one(
    payments_detector, analyst, lead
):
    draft = create_rule(payments_detector, code="GIFT", said=GIFT, author=analyst)
    asked = request_move(draft, to="live", seen="draft", actor=lead)
    newer = save_draft(draft.rule, said=GIFT, base=1, author=analyst)
    asked.refresh_from_db()
    assert (asked.status, asked.note) == ("outdated", "Version 1 is retired by now.")
    entry = AuditEntry.objects.get(action="rule.request_outdated")
    assert (entry.detail["request"], entry.detail["note"]) == (asked.pk, asked.note)
    assert request_move(newer, to="live", seen="draft", actor=lead).status == "pending"


def test_a_new_draft_leaves_what_waits_about_the_live_version(live, lead, analyst):
    asked = request_thresholds(live.rule, parameters={"limit": 800}, base=1, actor=lead)
    save_draft(live.rule, said=GIFT, base=1, author=analyst)
    asked.refresh_from_db()
    assert asked.status == "pending"


def test_a_request_that_is_found_outdated_when_it_is_approved_is_audited(live, lead, second):
    asked = request_move(live, to="retired", seen="live", actor=lead)
    RuleVersion.objects.filter(pk=live.pk).update(stage=Stage.RETIRED)  # By an earlier release.
    for _ in range(2):
        with pytest.raises(PolicyRefused, match="Another version is live since: none"):
            approve_request(asked, actor=second)
    asked.refresh_from_db()
    assert (asked.status, asked.decided_by) == ("outdated", None)
    assert AuditEntry.objects.filter(action="rule.request_outdated").count() == 1
