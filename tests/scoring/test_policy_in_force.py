"""The policy in force, as everybody reads it who reads rules: why an event was reviewed."""

from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from accounts.quantities import threshold
from scoring.core.decision import RULES_ALONE
from scoring.models import Deployment, Detector
from scoring.ordering import add_list_entry, snooze_rule
from scoring.policies import publish, set_policy
from scoring.policy_in_force import policy_in_force
from scoring.policy_models import Rule, RuleVersion
from scoring.selectors import detector_list
from tests.factories import payment, scored, shipped_detector

pytestmark = pytest.mark.django_db
PAGE = "policy"


@pytest.fixture(autouse=True)
def nothing_cached():
    cache.clear()


def in_force(slug="payments"):
    detector = detector_list().get(slug=slug)
    return policy_in_force(detector, detector.spec(), timezone.now())


def step(title, slug="payments"):
    return next(found for found in in_force(slug).steps if found.title.startswith(title))


def page(client, user, slug="payments"):
    client.force_login(user)
    return " ".join(client.get(reverse(PAGE, args=[slug])).content.decode().split())


def test_an_analyst_reads_what_decides_and_finds_no_form(client, analyst, champion):
    set_policy(champion, audit_rate=0.02, review_after=30 * 86400.0, author=analyst)
    text = page(client, analyst)
    bounds = in_force().thresholds
    for said in (
        "Screening says block", "The deny list", "The allow list", "A live rule blocks",
        f"The risk is {threshold(bounds.review)} or more", "HIGH_AMOUNT",
        "match score of 0.9 or more", "2.0 % of what is approved", "% of the events",
        "past that, rules decide alone", "Without a score",
    ):  # fmt: skip
        assert said in text.replace("\N{NARROW NO-BREAK SPACE}", " "), said
    assert 'name="audit_percent"' not in text


def test_who_may_change_it_reads_the_same_beside_the_form(client, lead, champion):
    text = page(client, lead)
    assert "Screening says block" in text
    assert 'name="audit_percent"' in text


def test_the_steps_stand_in_the_order_in_which_they_decide(champion):
    titles = [found.title for found in in_force().steps]
    words = ("Screening", "The deny list", "The allow list", "A live rule blocks")
    assert all(title.startswith(word) for title, word in zip(titles, words, strict=False))
    assert [str(found.outcome) for found in in_force().steps if "risk" not in found.title] == [
        "BLOCK", "BLOCK", "APPROVE", "BLOCK", "REVIEW", "APPROVE"
    ]  # fmt: skip
    assert all(title.startswith("The risk") for title in titles[4:-2])


def test_rules_stand_where_they_decide_as_they_are_in_force(champion):
    RuleVersion.objects.filter(rule__code="HIGH_AMOUNT").update(outcome="BLOCK")
    RuleVersion.objects.filter(rule__code="VELOCITY_MULTI_CITY").update(stage="shadow")
    publish(champion)
    assert step("A live rule blocks").rules == ("HIGH_AMOUNT",)
    asking = step("A live rule, or screening, asks for a review").rules
    assert not {"HIGH_AMOUNT", "VELOCITY_MULTI_CITY"} & set(asking)


def test_weights_stand_with_the_risk(champion):
    RuleVersion.objects.filter(rule__code="HIGH_AMOUNT").update(outcome="", weight=0.25)
    publish(champion)
    assert "HIGH_AMOUNT (0.25)" in " ".join(step("The risk").notes)


def test_a_detector_without_policy_is_decided_by_its_declared_rules(payments_detector):
    Detector.objects.update(policy_digest="")
    RuleVersion.objects.all().delete()
    assert "HIGH_AMOUNT" in step("A live rule, or screening, asks for a review").rules


def test_rules_alone_have_thresholds_of_their_own(payments_detector):
    found = in_force()
    assert (found.model, found.thresholds) == ("", RULES_ALONE)
    assert "score null" in found.without_a_score


def test_a_model_that_never_blocks_says_so(champion, monkeypatch):
    never = replace(RULES_ALONE, block=1.1)
    monkeypatch.setattr("scoring.policy_in_force.RULES_ALONE", never)
    monkeypatch.setattr("scoring.policy_in_force.bundle_of", lambda *_: (Mock(predictor=None), ""))
    [found] = [one for one in in_force().steps if one.title.startswith("The risk")]
    assert (found.outcome, found.notes[-1]) == ("REVIEW", "It never blocks by itself.")


def test_orders_are_counted(client, analyst, lead, champion):
    given = {"kind": "deny", "field": "user_id", "reason": "Ring", "expires_at": None}
    add_list_entry(champion, value="user-1", author=lead, **given)
    rule = Rule.objects.get(code="HIGH_AMOUNT")
    until = timezone.now() + timedelta(days=1)
    snooze_rule(rule, token="e", shown="x", reason="Known", until=until, author=lead)
    assert step("The deny list").notes == ("1 value in force.",)
    assert step("The allow list").notes == ("No value in force.",)
    assert in_force().snoozes == 1
    assert "1 snooze" in page(client, analyst)


def test_screening_as_set_here_stands_in_its_steps(champion, lead):
    set_policy(
        champion, author=lead,
        screening={"review": 0.8, "block": 1.5, "embargoed": ["KP"], "high_risk": []},
    )  # fmt: skip
    blocks = " ".join(step("Screening says block").notes)
    assert "never by a name" in blocks
    assert "KP" in blocks
    asks = " ".join(step("A live rule, or screening, asks for a review").notes)
    assert "match score of 0.8 or more" in asks


def test_a_detector_that_screens_nothing_says_so(client, analyst):
    shipped_detector("anomaly")
    assert step("Screening", "anomaly").notes == ("This detector screens nothing.",)
    assert "This detector screens nothing." in page(client, analyst, "anomaly")


def test_an_overdue_model_is_told(client, analyst, champion):
    set_policy(champion, review_after=86400.0, author=analyst)
    Deployment.objects.update(installed_at=timezone.now() - timedelta(days=2))
    assert in_force().overdue
    assert scored("payments", payment()).degraded
    assert "is past its review date" in page(client, analyst)


def test_a_broken_live_rule_is_told_where_the_decision_is_explained(client, analyst, champion):
    versions = RuleVersion.objects.filter(rule__code="HIGH_AMOUNT")
    versions.update(when="user_name == 'Ada'")
    publish(champion)
    assert "every event that would be approved is reviewed" in page(client, analyst)
