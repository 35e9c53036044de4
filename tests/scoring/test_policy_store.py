"""Policies as they serve: compiled once, standing orders as of a moment, nothing silently lost."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import vault
from scoring import policy_store
from scoring.core.policy import Policy
from scoring.core.types import NO_ORDERS, Stage
from scoring.deployment import serving
from scoring.policies import build_content, publish
from scoring.policy_models import ListEntry, PolicySnapshot, Rule, RuleVersion, Snooze
from scoring.policy_store import digest_of, list_token, list_tokens, policy, read_orders
from scoring.shortfalls import rule_sentence

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ENTITY = "e" * 32


@pytest.fixture(autouse=True)
def nothing_compiled(monkeypatch):
    monkeypatch.setattr(policy_store, "_compiled", {})
    monkeypatch.setattr(policy_store, "_last_good", {})


@pytest.fixture
def bundle(payments_detector):
    found = serving("payments").bundle
    policy_store._compiled.clear()
    policy_store._last_good.clear()
    return found


def entry(detector, value, *, kind="deny", field="user_id", created=NOW - HOUR, **times):
    return ListEntry.objects.create(
        detector=detector, kind=kind, field=field, token=list_token(field, value),
        shown=value, reason="Because", created_at=created, **times,
    )  # fmt: skip


def orders_of(detector, value, at=NOW, found=None):
    found = found or Policy(list_fields=("user_id",), has_snoozes=True)
    items = [(ENTITY, list_tokens(found, {"user_id": value}))]
    return read_orders(detector.pk, found, items, at)[0]


def test_a_policy_is_compiled_once(payments_detector, bundle):
    digest = payments_detector.policy_digest
    first = policy(digest, bundle)
    with CaptureQueriesContext(connection) as queries:
        assert policy(digest, bundle) is first
    assert len(queries) == 0
    assert (first.digest, len(first.rules)) == (digest, len(bundle.policy.rules))


def test_only_the_last_few_policies_are_kept(payments_detector, bundle, monkeypatch):
    monkeypatch.setattr(policy_store, "MOST_COMPILED", 2)
    digest, content = payments_detector.policy_digest, payments_detector.policies.get().content
    policy(digest, bundle)
    for rate in (0.1, 0.2):
        other = content | {"audit_rate": rate}
        PolicySnapshot.objects.create(
            digest=digest_of(other), detector=payments_detector, content=other
        )
        assert policy(digest_of(other), bundle).audit_rate == rate
    assert len(policy_store._compiled) == 2


def test_without_a_digest_the_rules_of_the_bundle_serve(bundle):
    assert policy("", bundle) is bundle.policy


def test_a_policy_that_is_gone_or_changed_leaves_the_bundles_rules(payments_detector, bundle):
    assert policy("0" * 64, bundle).rules == bundle.policy.rules
    row = payments_detector.policies.get()
    row.content = row.content | {"rules": []}
    row.save()
    policy_store._compiled.clear()
    policy_store._last_good.clear()
    found = policy(row.digest, bundle)
    assert (found.digest, found.rules) == ("", bundle.policy.rules)


def test_a_policy_that_cannot_be_read_leaves_the_last_good_one(payments_detector, bundle):
    good = policy(payments_detector.policy_digest, bundle)
    found = policy("0" * 64, bundle)
    assert (found.digest, found.rules, found.stands_in) == (good.digest, good.rules, True)


def test_whichever_policy_stands_in_every_order_is_looked_for(payments_detector, bundle):
    policy(payments_detector.policy_digest, bundle)
    found = policy("0" * 64, bundle)
    assert "user_id" in found.list_fields
    assert found.has_snoozes


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": [1.5]}) == digest_of({"b": [1.5], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_content_survives_the_database_with_its_digest(payments_detector):
    row = payments_detector.policies.get()
    row.refresh_from_db()
    assert digest_of(row.content) == row.digest == payments_detector.policy_digest


def test_a_name_that_the_bundle_lacks_is_missing(payments_detector, bundle):
    rule = Rule.objects.create(detector=payments_detector, code="NEW")
    RuleVersion.objects.create(
        rule=rule, number=1, stage="shadow", when="brand_new_field > 1 or amount > top",
        parameters={"top": 5}, outcome="REVIEW", text="x",
    )  # fmt: skip
    found = {r.code: r for r in policy(publish(payments_detector).digest, bundle).rules}["NEW"]
    assert found.stage is Stage.SHADOW
    assert found.matches({"amount": 6.0})
    assert not found.matches({"amount": 4.0})


def test_names_that_the_bundle_lacks_are_told(payments_detector, bundle):
    body = {
        **{"code": "NEW", "version": 3, "stage": "live", "text": "x", "outcome": "REVIEW"},
        **{"weight": 0.0, "parameters": {"top": 5}},
        "when": "user_id_count_9m > top and brand_new_field > 1",
    }
    rules, faults = policy_store.compile_rules([body], bundle)
    assert [rule.code for rule in rules] == ["NEW"]  # As it is stored; nothing stands in for it.
    [fault] = faults
    assert (fault.absent, fault.evaluated) == (("brand_new_field", "user_id_count_9m"), True)
    assert "Train and promote" in rule_sentence(fault)


@pytest.mark.parametrize(("stage", "stands_in"), [("live", 1), ("shadow", 0)])
def test_a_live_rule_that_would_read_personal_data_is_stood_in_for(
    payments_detector, bundle, stage, stands_in
):
    content = build_content(payments_detector, NOW)
    content["rules"][0] |= {"when": "user_name == 'Ada'", "outcome": "BLOCK", "stage": stage}
    compiled = policy_store.compile_policy("d", content, bundle)
    found = [rule for rule in compiled.rules if rule.code == content["rules"][0]["code"]]
    assert [rule.outcome for rule in found] == ["REVIEW"] * stands_in
    assert all(rule.matches({}) and "user_name" in rule.text for rule in found)


def test_where_nobody_ordered_anything_nothing_is_asked(payments_detector):
    with CaptureQueriesContext(connection) as queries:
        found = read_orders(payments_detector.pk, Policy(), [(ENTITY, {})] * 3, NOW)
    assert found == [NO_ORDERS] * 3
    assert len(queries) == 0


def test_a_batch_takes_two_queries_however_large(payments_detector):
    entry(payments_detector, "user-7")
    found = Policy(list_fields=("user_id",), has_snoozes=True)
    items = [(f"{n:032d}", list_tokens(found, {"user_id": f"user-{n}"})) for n in range(50)]
    with CaptureQueriesContext(connection) as queries:
        orders = read_orders(payments_detector.pk, found, items, NOW)
    assert len(queries) == 2
    assert [n for n, order in enumerate(orders) if order.denied] == [7]


@pytest.mark.parametrize(
    ("times", "stands"),
    [
        ({}, True),
        ({"created": NOW}, True),
        ({"created": NOW + HOUR}, False),
        ({"expires_at": NOW + HOUR}, True),
        ({"expires_at": NOW}, False),
        ({"revoked_at": NOW + HOUR}, True),
        ({"revoked_at": NOW}, False),
    ],
)
def test_an_entry_stands_from_its_beginning_to_its_end(payments_detector, times, stands):
    entry(payments_detector, "user-1", **times)
    assert bool(orders_of(payments_detector, "user-1").denied) is stands


def test_each_event_is_judged_as_of_its_own_arrival(payments_detector):
    entry(payments_detector, "user-1", created=NOW)
    found = Policy(list_fields=("user_id",))
    item = (ENTITY, list_tokens(found, {"user_id": "user-1"}))
    before, after = read_orders(payments_detector.pk, found, [item, item], [NOW - HOUR, NOW + HOUR])
    assert (bool(before.denied), bool(after.denied)) == (False, True)


def test_entries_are_found_by_field_value_and_detector(payments_detector, cards_detector):
    entry(payments_detector, "user-1", kind="allow")
    found = orders_of(payments_detector, "user-1")
    assert [hit.kind for hit in found.allowed] == ["allow"]
    assert found.denied == ()
    assert orders_of(payments_detector, "user-2") == NO_ORDERS
    assert orders_of(cards_detector, "user-1") == NO_ORDERS


def test_a_value_is_looked_up_by_its_token_which_is_the_entitys(payments_detector):
    assert list_token("user_id", "user-1") == vault.token("user_id", "user-1")
    assert list_tokens(Policy(list_fields=("user_id", "amount")), {"amount": None}) == {}


def test_a_snooze_stands_for_its_entity_and_tells_its_end(payments_detector):
    rule = Rule.objects.get(detector=payments_detector, code="HIGH_AMOUNT")
    for hours in (1, 2):
        Snooze.objects.create(
            rule=rule,
            token=ENTITY,
            reason="x",
            created_at=NOW - HOUR,
            expires_at=NOW + hours * HOUR,
        )  # fmt: skip
    assert orders_of(payments_detector, "u").snoozes == {
        "HIGH_AMOUNT": (NOW + 2 * HOUR).isoformat()
    }
    Snooze.objects.update(token="f" * 32)
    assert orders_of(payments_detector, "u").snoozes == {}


def screening_content(detector, **changed):
    content = build_content(detector, NOW)
    return content | {
        "screening": {
            "name_field": "user_name", "country_field": "country", "birth_date_field": "",
            "lists": ["un"], "review": 0.88, "block": 0.96, "embargoed": ["KP"], "high_risk": [],
        },
        "watchlists": {"un": "0" * 64},
    } | changed  # fmt: skip


def test_a_lost_watchlist_leaves_rules_and_countries_and_is_tried_again(payments_detector, bundle):
    content = screening_content(payments_detector)
    digest = digest_of(content)
    PolicySnapshot.objects.create(digest=digest, detector=payments_detector, content=content)
    found = policy(digest, bundle)
    assert [hit.entry for hit in found.screener.screen({"country": "KP"})] == ["KP", ""]
    assert policy_store._compiled == {}


def test_a_lost_watchlist_is_not_made_up_for_by_a_policy_that_had_none(payments_detector, bundle):
    policy(payments_detector.policy_digest, bundle)
    content = screening_content(payments_detector)
    digest = digest_of(content)
    PolicySnapshot.objects.create(digest=digest, detector=payments_detector, content=content)
    assert [hit.kind for hit in policy(digest, bundle).screener.screen({})] == ["unavailable"]
