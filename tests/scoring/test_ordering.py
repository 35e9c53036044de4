"""Lists and snoozes as people keep them: they count, end, and never show personal data."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from scoring import ordering
from scoring.ordering import (
    add_list_entries,
    add_list_entry,
    listable,
    revoke_list_entry,
    revoke_list_values,
    revoke_snooze,
    snooze_rule,
)
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
        ({"value": " "}, "values.0"),
        ({"reason": " "}, "reason"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expires_at"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(payments_detector, lead, changed, field):
    with pytest.raises(PolicyRefused) as refused:
        deny(payments_detector, lead, **changed)
    assert [name for name, _ in refused.value.problems] == [field]


def deny_all(detector, author, *values, **changed):
    given = {"kind": "deny", "field": "user_id", "reason": "Ring", "expires_at": None}
    return add_list_entries(detector, values=values, author=author, **given | changed)


def states(outcomes):
    return [one.state for one in outcomes]


def test_many_values_are_put_on_a_list_in_one_act(payments_detector, lead):
    done = deny_all(payments_detector, lead, "user-1", "user-2", "user-1", " user-2 ")
    assert states(done) == ["added", "added", "repeated", "repeated"]
    assert done[0].entry == done[2].entry
    for name in ("user-1", "user-2"):
        assert scored("payments", payment(user_id=name)).decision == "BLOCK"
    [entry] = AuditEntry.objects.filter(action="list.added")
    told = json.loads(entry.detail_json)["entries"]
    assert [one["entry"] for one in told] == [one.entry.pk for one in done[:2]]


def test_the_same_again_changes_nothing_and_is_told(payments_detector, lead):
    deny_all(payments_detector, lead, "user-1")
    told = AuditEntry.objects.count()
    assert states(deny_all(payments_detector, lead, "user-1", reason="Else")) == ["standing"]
    assert AuditEntry.objects.count() == told
    assert ListEntry.objects.get().reason == "Ring"


@pytest.mark.parametrize("bad", [" ", "x" * 301, "us\u200ber", "us\0er"])
def test_one_wrong_value_and_none_is_stored(payments_detector, lead, bad):
    with pytest.raises(PolicyRefused) as refused:
        deny_all(payments_detector, lead, "user-1", bad, "user-2", bad)
    assert [name for name, _ in refused.value.problems] == ["values.1", "values.3"]
    assert not ListEntry.objects.exists()


@pytest.mark.parametrize("count", [0, ordering.MOST_VALUES + 1])
def test_none_and_too_many_values_are_refused(payments_detector, lead, count):
    with pytest.raises(PolicyRefused, match=f"not {count}"):
        deny_all(payments_detector, lead, *map(str, range(count)))


def test_a_value_of_the_other_list_refuses_all(payments_detector, lead):
    deny_all(payments_detector, lead, "user-1")
    with pytest.raises(PolicyRefused, match="stands on the deny list already") as refused:
        deny_all(payments_detector, lead, "user-2", "user-1", kind="allow")
    assert refused.value.problems[0][0] == "values.1"
    assert ListEntry.objects.count() == 1


def test_values_are_taken_off_the_list_that_is_named(payments_detector, lead):
    deny_all(payments_detector, lead, "user-1", "user-2")
    off = {"field": "user_id", "author": lead}
    told = ["user-1", "user-1", "user-9"]
    assert states(revoke_list_values(payments_detector, kind="allow", values=told, **off)) == [
        "absent", "repeated", "absent"
    ]  # fmt: skip
    done = revoke_list_values(payments_detector, kind="deny", values=told, **off)
    assert states(done) == ["removed", "repeated", "absent"]
    assert done[0].entry.revoked_at is not None
    assert scored("payments", payment(user_id="user-1")).decision == "APPROVE"
    assert scored("payments", payment(user_id="user-2")).decision == "BLOCK"
    again = revoke_list_values(payments_detector, kind="deny", values=["user-1"], **off)
    assert states(again) == ["absent"]
    assert AuditEntry.objects.filter(action="list.revoked").count() == 1


@pytest.mark.parametrize("text", ["1_000", "1.5", "\N{ARABIC-INDIC DIGIT FIVE}", "9" * 299 + "x"])
def test_a_whole_number_is_written_in_digits(cards_detector, lead, text):
    with pytest.raises(PolicyRefused, match="A whole number"):
        deny_all(cards_detector, lead, text, field="TERMINAL_ID")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("country", "Germany", "country must be a two-letter country code"),
        ("currency", "EURO", "currency must have at most 3 characters"),
        ("user_id", "u" * 101, "user_id must have at most 100 characters"),
    ],
)
def test_a_value_that_no_event_may_carry_is_refused_where_it_is_typed(
    payments_detector, lead, field, value, said
):
    with pytest.raises(PolicyRefused, match=f"No event carries it: {said}"):
        deny_all(payments_detector, lead, value, field=field)
    deny(payments_detector, lead, value, field=field)  # Carried by one of before, say.


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
