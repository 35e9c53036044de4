"""Lists and snoozes as people keep them: they count, end, and never show personal data."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from scoring import ordering
from scoring.ordering import add_list_entry, listable, revoke_list_entry, revoke_snooze, snooze_rule
from scoring.policies import PolicyRefused
from scoring.policy_models import ListEntry, Rule, Snooze
from tests.factories import payment, risky_payment, scored

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def orders_count_at_once(monkeypatch):
    monkeypatch.setattr(ordering, "SETTLING", timedelta(0))


def deny(detector, author, value="user-1", **changed):
    given = {"kind": "deny", "field": "user_id", "reason": "Chargebacks", "expires_at": None}
    return add_list_entry(detector, value=value, author=author, **given | changed)


def test_the_deny_list_blocks_and_the_allow_list_approves(payments_detector, lead):
    entry = deny(payments_detector, lead)
    blocked = scored("payments", payment(user_id="user-1"))
    assert (blocked.decision, blocked.selection_reason) == ("BLOCK", "rule")
    assert blocked.list_hits == [
        {"entry_id": entry.pk, "kind": "deny", "field": "user_id", "reason": "Chargebacks"}
    ]
    deny(payments_detector, lead, value="user-2", kind="allow")
    allowed = scored("payments", risky_payment(user_id="user-2"))
    assert (allowed.decision, allowed.rule_hits[0]["code"]) == ("APPROVE", "HIGH_AMOUNT")


def test_a_revoked_entry_and_an_expired_one_count_no_more(payments_detector, lead):
    entry = deny(payments_detector, lead)
    assert revoke_list_entry(entry, author=lead)
    assert not revoke_list_entry(entry, author=lead)
    assert scored("payments", payment(user_id="user-1")).decision == "APPROVE"
    deny(payments_detector, lead, expires_at=timezone.now() + timedelta(days=1))
    ListEntry.objects.update(expires_at=timezone.now())
    assert scored("payments", payment(user_id="user-1")).decision == "APPROVE"


def test_an_order_counts_a_moment_later_when_it_is_committed(payments_detector, lead, monkeypatch):
    monkeypatch.setattr(ordering, "SETTLING", timedelta(minutes=1))
    entry = deny(payments_detector, lead)
    assert entry.created_at > timezone.now()


def test_personal_data_stands_encrypted_on_a_list(payments_detector, lead):
    entry = deny(payments_detector, lead, field="user_name", value="Ada Lovelace")
    assert entry.shown.startswith("enc:")
    found = scored("payments", payment(user_id="someone", user_name="Ada Lovelace"))
    assert found.decision == "BLOCK"
    assert "Lovelace" not in json.dumps(found.list_hits)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"kind": "grey"}, "kind"),
        ({"field": "amount"}, "field"),
        ({"field": "timestamp"}, "field"),
        ({"value": " "}, "value"),
        ({"reason": " "}, "reason"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expires_at"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(payments_detector, lead, changed, field):
    with pytest.raises(PolicyRefused) as refused:
        deny(payments_detector, lead, **changed)
    assert [name for name, _ in refused.value.problems] == [field]


def test_times_ids_and_fractions_are_not_listable(payments_detector):
    names = listable(payments_detector.spec())
    assert {"user_id", "location"} <= set(names)
    assert not {"timestamp", "transaction_id", "amount"} & set(names)


def test_a_snoozed_match_is_recorded_and_decides_nothing(payments_detector, lead):
    first = scored("payments", risky_payment())
    rule = Rule.objects.get(code="HIGH_AMOUNT")
    until = timezone.now() + timedelta(days=7)
    snooze = snooze_rule(
        rule, token=first.entity, shown="user-1", reason="Known buyer", until=until, author=lead
    )
    second = scored("payments", risky_payment())
    assert second.decision == "APPROVE"
    assert second.rule_hits[0]["snoozed"] == until.isoformat()
    assert scored("payments", risky_payment(user_id="user-2")).decision == "REVIEW"
    assert revoke_snooze(snooze, author=lead)
    assert scored("payments", risky_payment()).decision == "REVIEW"


def test_a_rule_is_snoozed_once_for_a_reason_and_not_for_ever(payments_detector, lead):
    rule, day = Rule.objects.get(code="HIGH_AMOUNT"), timedelta(days=1)
    given = {"token": "e" * 32, "shown": "x", "author": lead}
    for reason, days in (("", 1), ("Known", -1), ("Known", 400)):
        with pytest.raises(PolicyRefused):
            snooze_rule(rule, reason=reason, until=timezone.now() + days * day, **given)
    snooze_rule(rule, reason="Known", until=timezone.now() + day, **given)
    with pytest.raises(PolicyRefused, match="snoozed for this entity already"):
        snooze_rule(rule, reason="Known", until=timezone.now() + day, **given)
    assert Snooze.objects.count() == 1
