"""Four eyes on rules: who may ask, who may decide, what stands meanwhile, what comes too late."""

import ast
import threading
from copy import deepcopy
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import ANALYST
from accounts.services import set_roles
from scoring.models import Detector
from scoring.policies import PolicyRefused, set_policy
from scoring.policy_models import RuleVersion
from scoring.rule_approvals import (
    SelfApproval,
    approve_request,
    move_freely,
    refuse_request,
    request_move,
    request_settings,
    request_thresholds,
    withdraw_request,
)
from scoring.rule_editing import RuleText, create_rule, move_version, save_draft
from scoring.rule_request_models import RuleRequest
from scoring.shortfalls import rule_shortfalls
from tests.factories import risky_payment, scored
from tests.scoring.gift import GIFT

pytestmark = pytest.mark.django_db


def asked_live(version, actor, **more):
    return request_move(version, to="live", seen=version.stage, actor=actor, **more)


def stage_of(version):
    return RuleVersion.objects.get(pk=version.pk).stage


def test_one_asks_and_another_approves(draft, lead, second):
    asked = asked_live(draft, lead, reason="Gift cards.")
    assert (asked.status, stage_of(draft)) == ("pending", "draft")
    approve_request(asked, actor=second, note="Agreed.")
    assert (asked.status, asked.decided_by, stage_of(draft)) == ("approved", second, "live")


def test_what_the_model_was_trained_without_makes_no_rule_live(champion, lead, analyst):
    config = deepcopy(champion.config)
    window = {"entity_key": "user_id", "windows": ["9m"], "aggregations": ["count"]}
    config["features"]["transformations"].append(
        {"type": "time_window_aggregation", "config": window}
    )
    Detector.objects.filter(pk=champion.pk).update(config=config)
    detector = Detector.objects.get(pk=champion.pk)
    pace = RuleText("user_id_count_9m > limit", "A quick pace.", parameters={"limit": 3})
    draft = create_rule(detector, code="PACE", said=pace, author=analyst)
    shadow = move_version(draft, to="shadow", seen="draft", author=analyst)
    assert "PACE reads user_id_count_9m" in rule_shortfalls(detector, [shadow])[0]
    with pytest.raises(PolicyRefused, match="user_id_count_9m: the model that serves"):
        asked_live(shadow, lead)
    assert not RuleRequest.objects.exists()
    assert stage_of(shadow) == "shadow"


def test_until_it_is_decided_what_stands_goes_on_deciding(live, lead, second):
    asked = request_move(live, to="retired", seen="live", actor=lead)
    assert [h["code"] for h in scored("payments", risky_payment(amount=700.0)).rule_hits] == [
        "GIFT"
    ]
    approve_request(asked, actor=second)
    assert scored("payments", risky_payment(amount=700.0)).rule_hits == []


def test_nobody_approves_what_they_asked_for(draft, lead):
    asked = asked_live(draft, lead)
    with pytest.raises(SelfApproval, match="a second person"):
        approve_request(asked, actor=lead)
    with pytest.raises(SelfApproval, match="withdraw it instead"):
        refuse_request(asked, actor=lead, note="No.")
    assert stage_of(draft) == "draft"


def test_whoever_wrote_it_is_not_the_second_person(payments_detector, lead, second):
    draft = create_rule(payments_detector, code="GIFT", said=GIFT, author=lead)
    with pytest.raises(SelfApproval, match="You wrote version 1"):
        approve_request(asked_live(draft, second), actor=lead)


def test_whoever_wrote_it_may_approve_that_it_goes(payments_detector, lead, second):
    version = create_rule(payments_detector, code="GIFT", said=GIFT, author=lead)
    move_version(version, to="live", seen="draft", author=second)
    approve_request(request_move(version, to="retired", seen="live", actor=second), actor=lead)
    assert stage_of(version) == "retired"


def test_the_database_itself_refuses_self_approval(draft, lead):
    asked = asked_live(draft, lead)
    with pytest.raises(IntegrityError), transaction.atomic():
        RuleRequest.objects.filter(pk=asked.pk).update(status="approved", decided_by=lead)
    with pytest.raises(IntegrityError), transaction.atomic():
        RuleRequest.objects.filter(pk=asked.pk).update(status="approved", decided_by=None)


def test_a_rule_has_one_request_at_a_time(draft, lead, second):
    asked_live(draft, lead)
    with pytest.raises(PolicyRefused, match=f"a change by {lead.name} waits"):
        asked_live(draft, second)


def test_a_move_that_decides_nothing_needs_nobody(draft, lead):
    with pytest.raises(PolicyRefused, match="needs nobody's approval"):
        request_move(draft, to="shadow", seen="draft", actor=lead)
    assert not RuleRequest.objects.exists()


def test_what_went_live_meanwhile_is_not_taken_out_by_one_person(live, lead):
    with pytest.raises(PolicyRefused, match="a second person has to approve"):
        move_freely(live, to="retired", seen="live", actor=lead)
    assert stage_of(live) == "live"


BARE = {"move_version", "tune_rule", "set_policy"}


def test_pages_and_api_change_what_decides_through_approvals_alone():
    """The bare acts are called by approvals; a term of a model's review is the registry's."""
    root = Path(__file__).parents[2]
    callers = set()
    for app in ("scoring", "models_registry", "cases", "riskplatform"):
        for path in (root / app).rglob("*.py"):
            tree = ast.parse(path.read_text())
            names = {
                alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            if names & BARE:
                callers.add(str(path.relative_to(root)))
    assert callers == {"scoring/rule_approvals.py", "models_registry/retraining.py"}


def test_thresholds_wait_for_a_second_person(live, lead, second):
    asked = request_thresholds(live.rule, parameters={"limit": 800}, base=1, actor=lead)
    assert live.rule.versions.get(stage="live").parameters == {"limit": 500}
    # A draft that somebody saves meanwhile takes nothing from the request.
    save_draft(live.rule, said=GIFT, base=1, author=second)
    approve_request(asked, actor=second)
    now = live.rule.versions.get(stage="live")
    assert (now.number, now.parameters, now.author) == (3, {"limit": 800}, lead)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"limit": 500}, "that it has already"),
        ({"limit": "many"}, "number"),
        ({"other": 1}, "new parameter"),
    ],
)
def test_thresholds_that_cannot_be_are_not_asked_for(live, lead, parameters, said):
    with pytest.raises(PolicyRefused, match=said):
        request_thresholds(live.rule, parameters=parameters, base=1, actor=lead)
    assert not RuleRequest.objects.exists()


def test_settings_wait_for_a_second_person(payments_detector, lead, second):
    asked = request_settings(payments_detector, audit_rate=0.02, actor=lead)
    assert Detector.objects.get().policy_settings == {}
    approve_request(asked, actor=second)
    assert Detector.objects.get().policy_settings["audit_rate"] == 0.02


def test_settings_that_change_nothing_are_not_asked_for(payments_detector, lead):
    rate = payments_detector.spec().audit_rate
    with pytest.raises(PolicyRefused, match="has already"):
        request_settings(payments_detector, audit_rate=rate, actor=lead)


def test_settings_that_were_changed_meanwhile_outdate_the_request(payments_detector, lead, second):
    asked = request_settings(payments_detector, audit_rate=0.02, actor=lead)
    set_policy(payments_detector, audit_rate=0.03, author=second)
    with pytest.raises(PolicyRefused, match="were changed since"):
        approve_request(asked, actor=second)
    assert Detector.objects.get().policy_settings["audit_rate"] == 0.03


def test_a_refusal_needs_a_note_and_changes_nothing(draft, lead, second):
    asked = asked_live(draft, lead)
    with pytest.raises(PolicyRefused, match="Say why"):
        refuse_request(asked, actor=second, note=" ")
    refuse_request(asked, actor=second, note="Too broad.")
    assert (asked.status, asked.note, stage_of(draft)) == ("refused", "Too broad.", "draft")
    with pytest.raises(PolicyRefused, match="no longer open: refused"):
        approve_request(asked, actor=second)


def test_only_whoever_asked_withdraws(draft, lead, second):
    asked = asked_live(draft, lead)
    with pytest.raises(SelfApproval, match="Only who asked"):
        withdraw_request(asked, actor=second)
    withdraw_request(asked, actor=lead)
    assert asked.status == "withdrawn"
    assert asked_live(draft, second).is_pending


def test_the_audit_trail_names_both(draft, lead, second):
    approve_request(asked_live(draft, lead, reason="Gift cards."), actor=second)
    rows = AuditEntry.objects.filter(action__startswith="rule.").order_by("number")
    assert [(row.action, row.actor and row.actor.username) for row in rows] == [
        ("rule.created", "analyst"),
        ("rule.change_requested", "lead"),
        ("rule.live", "lead"),
        ("rule.change_approved", "second_lead"),
    ]
    said = list(rows)[-1].detail
    assert (said["requested_by"], said["approved_by"], said["four_eyes"]) == (
        "lead", "second_lead", True,
    )  # fmt: skip


def test_where_one_person_decides_they_say_why_and_it_counts_at_once(draft, lead, settings):
    settings.FOUR_EYES = False
    with pytest.raises(PolicyRefused, match="Deciding alone needs a written reason"):
        asked_live(draft, lead)
    asked = asked_live(draft, lead, reason="Nobody else is here.")
    assert (asked.alone, asked.status, stage_of(draft)) == (True, "approved", "live")
    assert AuditEntry.objects.get(action="rule.change_approved").detail["four_eyes"] is False


@pytest.mark.django_db(transaction=True)
def test_of_two_who_approve_at_once_one_is_told(draft, lead, second, owner):
    asked = asked_live(draft, lead)
    said = []

    def approve(user):
        try:
            approve_request(RuleRequest.objects.get(pk=asked.pk), actor=user)
            said.append("approved")
        except PolicyRefused as refusal:
            said.append(str(refusal))
        finally:
            connection.close()

    threads = [threading.Thread(target=approve, args=[user]) for user in (second, owner)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(text[:8] for text in said) == ["This req", "approved"]


# --- Pages ---------------------------------------------------------------------------------------


def url_of(name, *more):
    return reverse(name, args=["payments", *more])


def text_of(response):
    return response.content.decode()


def asked_on_the_page(client, user, **more):
    client.force_login(user)
    sent = {"version": 1, "seen": "draft", "to": "live", "reason": "Gift cards."}
    assert client.post(url_of("rule_move", "GIFT"), sent | more).status_code == 302
    return RuleRequest.objects.get()


def test_a_request_is_shown_on_the_overview_and_the_rules_page(
    client, draft, lead, second, analyst
):
    asked = asked_on_the_page(client, lead)
    own = text_of(client.get(url_of("rule_detail", "GIFT")))
    assert f"withdraw-{asked.pk}" in own
    assert f"approve-{asked.pk}" not in own
    client.force_login(second)
    for url in (url_of("rule_detail", "GIFT"), reverse("rules_overview")):
        page = text_of(client.get(url))
        assert "GIFT v1 goes live" in page
        assert "Gift cards." in page
        assert f"approve-{asked.pk}" in page
    client.force_login(analyst)
    assert f"approve-{asked.pk}" not in text_of(client.get(url_of("rule_detail", "GIFT")))


def test_the_second_person_approves_on_the_page(client, draft, lead, second):
    asked = asked_on_the_page(client, lead)
    client.force_login(second)
    url = url_of("rule_request_approve", asked.pk)
    assert client.get(url).status_code == 405
    assert client.post(url).status_code == 302
    assert stage_of(draft) == "live"
    assert f"decided by {second.name}" in text_of(client.get(url_of("rule_detail", "GIFT")))


def test_a_refusal_without_a_note_keeps_the_page_and_says_so(client, draft, lead, second):
    asked = asked_on_the_page(client, lead)
    client.force_login(second)
    answer = client.post(url_of("rule_request_refuse", asked.pk), {"note": ""})
    assert answer.status_code == 422
    assert "Say why" in text_of(answer)


def test_self_approval_is_refused_on_the_page_with_what_was_typed(client, draft, lead):
    asked = asked_on_the_page(client, lead)
    answer = client.post(url_of("rule_request_approve", asked.pk), {"note": "I agree with me"})
    assert answer.status_code == 422
    assert "a second person has to approve it" in text_of(answer)
    assert stage_of(draft) == "draft"


@pytest.mark.parametrize("what", ["approve", "refuse", "withdraw"])
def test_analysts_and_outsiders_decide_nothing(client, draft, lead, analyst, outsider, what):
    asked = asked_on_the_page(client, lead)
    url = url_of(f"rule_request_{what}", asked.pk)
    client.logout()
    assert client.post(url).status_code == 302
    for user in (analyst, outsider):
        client.force_login(user)
        assert client.post(url, {"note": "x"}).status_code == 403
    assert RuleRequest.objects.get().is_pending


def test_a_request_of_another_detector_is_not_found(client, draft, lead, second, fraud_detector):
    asked = asked_on_the_page(client, lead)
    client.force_login(second)
    url = reverse("rule_request_approve", args=["fraud", asked.pk])
    assert client.post(url).status_code == 404


def test_a_reason_that_is_lacking_is_asked_for_and_the_page_warns(client, draft, lead, settings):
    settings.FOUR_EYES = False
    client.force_login(lead)
    sent = {"version": 1, "seen": "draft", "to": "live", "reason": "short"}
    answer = client.post(url_of("rule_move", "GIFT"), sent)
    assert answer.status_code == 422
    page = text_of(answer)
    assert 'value="short"' in page
    assert "one person decides alone" in page


def test_a_data_engineer_asks_and_a_lead_approves(client, payments_detector, engineer, lead):
    create_rule(payments_detector, code="GIFT", said=GIFT, author=engineer)
    asked = asked_on_the_page(client, engineer)
    client.force_login(lead)
    assert client.post(url_of("rule_request_approve", asked.pk)).status_code == 302


def test_requests_about_settings_are_decided_on_the_policy_page(
    client, payments_detector, lead, second
):
    asked = request_settings(payments_detector, audit_rate=0.02, actor=lead)
    client.force_login(second)
    assert "Audit rate 0.50% → 2.00%" in text_of(client.get(url_of("policy")))
    answer = client.post(url_of("rule_request_approve", asked.pk))
    assert answer.headers["Location"] == url_of("policy")


def test_what_somebody_asked_for_who_may_change_rules_no_more_is_outdated(draft, lead, second):
    asked = asked_live(draft, lead)
    set_roles(lead, roles=[ANALYST], actor=None)
    with pytest.raises(PolicyRefused, match="lead, who asked for it, may not change rules any"):
        approve_request(asked, actor=second)
    assert (RuleRequest.objects.get().status, stage_of(draft)) == ("outdated", "draft")
    assert asked_live(draft, second).is_pending
