"""The smallest change that would be approved: proved by deciding it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.core import pipeline
from scoring.core.alternatives import fixed_fields, free_fields, levels_of, options_of
from scoring.core.bundle import assemble, compile_rules
from scoring.core.counterfactual import Situation, find_counterfactual, tell
from scoring.core.decision import together
from scoring.core.policy import Policy
from scoring.core.spec import parse_spec
from scoring.core.types import NO_ORDERS, Decision, ListHit, Orders, RiskLevel, ScreeningHit
from tests.factories import (
    config_of,
    empty_windows,
    fraud,
    parse_all,
    payment,
    payments,
    train_bundle,
    trained_payments,
)

STRICT = {"review": 0.3, "block": 0.9, "medium": 0.1, "high": 0.3, "critical": 0.9}
WARY = {"review": 0.04, "block": 0.9, "medium": 0.04, "high": 0.3, "critical": 0.9}
"""A rule of weight 0.05 is enough for a review."""


def bundle_of(learner="logistic_regression", thresholds=STRICT):
    manifest, files = trained_payments(learner)
    return assemble("0" * 64, manifest | {"thresholds": thresholds}, files)


LINEAR, TREES = bundle_of(), bundle_of("lightgbm")
CAUTIOUS = bundle_of(thresholds=WARY)


def situation(bundle, raw, past=(), *, known=True, orders=NO_ORDERS, policy=None, degraded=False):
    """A decided event; with `known` the windows that scoring read are still there."""
    *before, event = parse_all(bundle.spec, [*past, raw])
    windows = empty_windows(bundle.plan, [*before, event])
    pipeline.build_many(bundle.plan, before, windows) if before else None
    vector = pipeline.build(bundle.plan, event, windows)
    found = Situation(
        event,
        vector,
        bundle,
        policy or bundle.policy,
        windows if known else {},
        lambda event: orders,
        degraded=degraded,
    )
    return found, windows


def score_as_then(event, windows, situation):
    """Scored as the situation was: a degraded one is judged by no model, under the same bundle."""
    judging = (lambda predictor, vectors: None) if situation.degraded else pipeline.judge
    [verdict] = pipeline.score_many(
        [event], dict(windows), situation.bundle, situation.policy, judging=judging
    )
    return verdict


def decision_with(found, windows, situation):
    changes = {change.field: change.after for change in found.changes}
    amount = changes.get("amount", situation.event.amount)
    event = situation.event._replace(fields={**situation.event.fields, **changes}, amount=amount)
    return score_as_then(event, windows, situation)


@pytest.mark.parametrize("bundle", [LINEAR, TREES], ids=["linear", "trees"])
@pytest.mark.parametrize("amount", [400.0, 900.0, 20_000.0])
def test_what_is_proposed_is_approved_when_it_is_scored(bundle, amount):
    stood, windows = situation(bundle, payment(amount=amount), payments(60))
    found = find_counterfactual(stood)
    assert found.changes, found.why_not
    verdict = decision_with(found, windows, stood)
    assert verdict.decision is Decision.APPROVE
    assert found.vector is not None and np.array_equal(verdict.vector, found.vector, True)
    assert found.risk_after == verdict.probability < found.risk


def test_a_large_payment_would_be_approved_with_a_smaller_amount():
    stood, _ = situation(LINEAR, payment(amount=900.0), payments(60))
    found = find_counterfactual(stood)
    assert [change.field for change in found.changes] == ["amount"]
    assert tell(found, LINEAR, "EUR").startswith("Would be approved with amount at most ")
    assert tell(found, LINEAR, "EUR").endswith(" EUR instead of 900.00 EUR.")


def test_nothing_much_nearer_would_be_approved():
    stood, windows = situation(LINEAR, payment(amount=900.0), payments(60))
    (change,) = find_counterfactual(stood).changes
    nearer = replace(change, after=change.after + 0.1 * (900.0 - change.after))
    verdict = decision_with(replace(find_counterfactual(stood), changes=(nearer,)), windows, stood)
    assert verdict.decision is not Decision.APPROVE


def test_who_and_when_are_never_changed():
    fixed = fixed_fields(LINEAR.spec)
    assert {"user_id", "timestamp", "transaction_id", "user_name"} <= fixed
    found = find_counterfactual(situation(TREES, payment(amount=900.0))[0])
    assert not fixed & {*found.free, *(change.field for change in found.changes)}


def test_an_approved_event_needs_no_change():
    found = find_counterfactual(situation(LINEAR, payment(amount=5.0))[0])
    assert found.why_not == "It is approved as it is."


def test_a_rule_alone_is_answered_at_its_threshold():
    rules_only = assemble("1" * 64, {**trained_payments()[0], "learner": ""}, {})
    stood, windows = situation(rules_only, payment(amount=20_000.0))
    found = find_counterfactual(stood)
    assert found.risk is None
    assert decision_with(found, windows, stood).decision is Decision.APPROVE
    assert found.changes[0].after == pytest.approx(10_000.0, rel=0.05)


def test_a_degraded_decision_is_held_against_the_thresholds_of_its_bundle():
    # FAR_ABOVE_USUAL weighs 0.05: too little for a review by rules alone, enough in this bundle.
    raw = payment(amount=20_000.0, timestamp="2020-06-02T12:30:00+00:00")
    stood, windows = situation(CAUTIOUS, raw, payments(60, users=2), degraded=True)
    found = find_counterfactual(stood)
    assert found.risk is found.risk_after is None
    assert [change.field for change in found.changes] == ["amount"]
    assert found.changes[0].after <= 5_000.0
    assert decision_with(found, windows, stood).decision is Decision.APPROVE


def test_a_rule_that_the_bundle_sends_to_review_is_not_taken_for_an_approval():
    raw = payment(amount=500.0, merchant_type="casino")
    stood, _ = situation(CAUTIOUS, raw, payments(60), degraded=True)
    found = find_counterfactual(replace(stood, fixed=frozenset({"merchant_type"})))
    assert not found.approved
    assert found.why_not == "No plausible change of amount is enough."


def test_the_deny_list_is_named_as_what_no_field_can_lift():
    denied = Orders(denied=(ListHit(1, "deny", "device_id", "stolen"),))
    found = find_counterfactual(situation(LINEAR, payment(amount=900.0), orders=denied)[0])
    assert found.changes == ()
    assert found.why_not == "Device id is on the deny list, which blocks it."


class Sanctioned:
    outcome = Decision.BLOCK

    def screen(self, fields):
        said = "the name stands on the UN list."
        level = RiskLevel.CRITICAL
        return (ScreeningHit("name", "un", "0" * 64, "1", "A", 1.0, level, self.outcome, said, {}),)


class LookedAt(Sanctioned):
    outcome = Decision.REVIEW


def test_screening_is_named_as_what_no_field_can_lift():
    policy = replace(LINEAR.policy, screener=Sanctioned())
    found = find_counterfactual(situation(LINEAR, payment(amount=20.0), policy=policy)[0])
    assert found.changes == ()
    assert "the name stands on the UN list." in found.why_not


def test_screening_that_blocks_is_named_where_the_allow_list_could_not_lift_it():
    policy = replace(LINEAR.policy, screener=Sanctioned())
    allowed = Orders(allowed=(ListHit(1, "allow", "device_id", "known"),))
    stood, _ = situation(LINEAR, payment(amount=20.0), policy=policy, orders=allowed)
    assert "the name stands on the UN list." in find_counterfactual(stood).why_not
    stood = replace(stood, policy=replace(LINEAR.policy, screener=LookedAt()))
    assert find_counterfactual(stood).approved


def test_the_risk_told_is_that_of_the_model_and_the_rules_together():
    raw = payment(amount=500.0, merchant_type="casino")
    stood, windows = situation(CAUTIOUS, raw, payments(60))
    found, verdict = find_counterfactual(stood), pipeline.score(stood.event, windows, CAUTIOUS)
    assert found.risk == together(verdict.probability, verdict.rule_score) > verdict.probability
    assert found.risk_after < WARY["review"] <= found.risk


def test_a_rule_over_history_cannot_be_lifted_and_is_named():
    config = config_of("payments")
    config["rules"] = [
        {"code": "BUSY", "when": "user_id_count_1m >= 1", "outcome": "BLOCK", "text": "Busy."}
    ]
    bundle = assemble("2" * 64, {**trained_payments()[0], "detector": config}, {})
    found = find_counterfactual(situation(bundle, payment())[0])
    assert found.why_not.startswith("Rule BUSY decides by what cannot be changed")


def test_without_the_windows_only_what_can_be_told_may_change():
    stood, windows = situation(TREES, payment(amount=900.0), payments(60), known=False)
    found = find_counterfactual(stood)
    assert "amount" in found.unknown
    assert "amount" not in found.free
    if found.changes:
        assert decision_with(found, windows, stood).decision is Decision.APPROVE


def test_without_windows_the_arithmetic_equals_building_anew():
    config = config_of("anomaly")
    labels = np.arange(300) % 10 == 0
    rng = np.random.default_rng(3)
    raws = [
        {
            "sample_id": f"s{i}", "host": f"h{i % 3}", "response_time": float(r),
            "error_rate": 0.01, "cpu_usage": float(c), "memory_usage": 50.0,
            "timestamp": f"2020-06-01T12:{i // 60:02d}:{i % 60:02d}+00:00",
        }
        for i, (r, c) in enumerate(rng.uniform(10, 60, (300, 2)))
    ]  # fmt: skip
    bundle = assemble("3" * 64, *train_bundle(config, raws, labels, learner="isolation_forest"))
    loud = {**raws[-1], "sample_id": "loud", "cpu_usage": 99.0, "response_time": 900.0}
    for known in (True, False):
        stood, windows = situation(bundle, loud, raws, known=known)
        found = find_counterfactual(stood)
        assert found.changes, found.why_not
        assert decision_with(found, windows, stood).decision is Decision.APPROVE
        assert tell(found, bundle).startswith("Would be quiet with ")


def test_categories_and_numbers_of_a_stateless_detector_may_change():
    rng = np.random.default_rng(5)
    raws = [
        fraud(
            transaction_amount=float(a), merchant_type=str(m), time_delta=float(t)
        )
        for a, m, t in zip(
            rng.lognormal(4, 1, 800), rng.choice(["travel", "grocery", "gaming"], 800),
            rng.uniform(0, 48, 800), strict=True,
        )
    ]  # fmt: skip
    labels = np.array(
        [r["merchant_type"] == "gaming" and r["transaction_amount"] > 60 for r in raws]
    )
    bundle = assemble("4" * 64, *train_bundle(config_of("fraud"), raws, labels.astype(int)))
    raw = fraud(transaction_amount=400.0, merchant_type="gaming")
    stood, windows = situation(bundle, raw, known=False)
    found = find_counterfactual(stood)
    assert {"transaction_amount", "device_type"} <= set(found.free)
    assert "time_delta" not in found.free
    assert decision_with(found, windows, stood).decision is Decision.APPROVE or found.why_not


def coded(schema, transformations, *, codes=(5411, 5812, 7995)):
    """A bundle for which only 7995 is risky; `mcc` is declared as `schema` says."""
    config = {
        "slug": "shops",
        "name": "Shops",
        "event": {
            "id": "id", "amount": "amount", "entity": "card",
            "schema": {"type": "object", "required": ["id"], "properties": {
                "id": {"type": "string"}, "card": {"type": "string"},
                "amount": {"type": "number"}, "mcc": schema,
            }},
        },
        "features": {"transformations": [
            {"type": "numeric", "config": {"fields": ["amount"]}}, *transformations,
        ]},
    }  # fmt: skip
    rng = np.random.default_rng(0)
    raws = [
        {"id": str(i), "card": "abc"[i % 3], "amount": 20.0, "mcc": codes[k]}
        for i, k in enumerate(rng.choice(3, 600, p=[0.5, 0.4, 0.1]).tolist())
    ]
    labels = np.array([raw["mcc"] == codes[2] for raw in raws]).astype(int)
    bundle = assemble("7" * 64, *train_bundle(config, raws, labels, learner="lightgbm"))
    return bundle, raws[int(labels.argmax())]


CATEGORY = {"type": "category", "config": {"fields": ["mcc"]}}
PLACES = {"type": "velocity", "config": {"entity_key": "card", "place": "mcc", "windows": ["1h"]}}


@pytest.mark.parametrize(
    ("schema", "codes"),
    [
        ({"type": "integer", "minimum": 0, "maximum": 9999}, (5411, 5812, 7995)),
        ({"type": "number"}, (5411, 58.5, 7995)),
        ({"type": "integer", "enum": [5411, 5812, 7995]}, (5411, 5812, 7995)),
    ],
)
@pytest.mark.parametrize("transformations", [[CATEGORY], [CATEGORY, PLACES]])
def test_a_number_that_is_a_category_becomes_a_level_that_training_saw(
    schema, codes, transformations
):
    bundle, raw = coded(schema, transformations, codes=codes)
    stood, windows = situation(bundle, raw)
    found = find_counterfactual(stood)
    [change] = found.changes
    assert (change.field, change.before, change.after) == ("mcc", 7995, 5411)
    assert type(change.after) is int and change.bound == ""
    assert decision_with(found, windows, stood).decision is Decision.APPROVE
    assert tell(found, bundle) == "Would be approved with mcc 5411 instead of 7995."


def test_a_place_of_which_no_level_is_known_is_not_stepped_through():
    bundle, raw = coded({"type": "integer"}, [PLACES])
    assert "mcc" not in find_counterfactual(situation(bundle, raw)[0]).free


def test_a_number_that_is_a_quantity_too_keeps_its_quantiles():
    config = {"entity_key": "card", "windows": ["1h"], "aggregations": ["sum"], "value": "mcc"}
    added = {"type": "time_window_aggregation", "config": config}
    bundle, raw = coded({"type": "integer"}, [PLACES, added])
    assert options_of(bundle, situation(bundle, raw)[0].event, ())["mcc"].numeric


def test_levels_are_spelled_as_the_schema_spells_them():
    spelled = ("Food", "Fuel", "Bets")
    bundle, _ = coded({"type": "string", "enum": list(spelled)}, [CATEGORY], codes=spelled)
    for column in bundle.predictor.encoder.columns:
        column["name"] = column["name"].casefold()  # As bundles of before have it.
    assert set(levels_of(bundle, "mcc")) == {"Food", "Fuel", "Bets"}
    assert sum(levels_of(bundle, "mcc").values()) == pytest.approx(1.0)


def test_the_search_is_deterministic():
    stood, _ = situation(TREES, payment(amount=900.0), payments(60))
    assert find_counterfactual(stood).changes == find_counterfactual(stood).changes


def test_a_policy_without_rules_leaves_the_model_alone_to_decide():
    stood, _ = situation(LINEAR, payment(amount=20_000.0), policy=Policy())
    found = find_counterfactual(stood)
    assert found.changes[0].after < 10_000.0


def test_what_is_declared_immutable_is_never_changed():
    manifest, files = trained_payments()
    config = config_of("payments")
    config["features"]["immutable"] = ["amount"]
    bundle = assemble("5" * 64, manifest | {"thresholds": STRICT, "detector": config}, files)
    found = find_counterfactual(situation(bundle, payment(amount=900.0))[0])
    assert "amount" not in found.free
    assert found.changes == ()


@pytest.mark.parametrize(
    ("slug", "free"),
    [
        ("anomaly", {"response_time", "error_rate", "cpu_usage", "memory_usage"}),
        ("cards", {"TX_AMOUNT"}),
        ("credit_card_fraud", {"amount", "merchant_category"}),
        ("creditcard", {"Amount"}),
        ("fraud", {"transaction_amount", "merchant_type", "country", "device_type"}),
        ("payments", {"amount", "merchant_type", "channel", "location", "mcc_code"}),
    ],
)
def test_a_shipped_detector_offers_neither_history_nor_time_nor_components(slug, free):
    spec = parse_spec(config_of(slug))
    reads = {name for rule in compile_rules(spec) for name in rule.reads}
    assert set(free_fields(spec, reads)) == free


def test_what_the_declaration_of_today_fixes_is_fixed_for_a_bundle_of_before():
    stood, _ = situation(LINEAR, payment(amount=900.0), payments(60))
    assert "amount" in find_counterfactual(stood).free
    found = find_counterfactual(replace(stood, fixed=frozenset({"amount"})))
    assert "amount" not in found.free and found.changes == ()


@settings(max_examples=40, deadline=None)
@given(
    amount=st.floats(0.0, 50_000.0).map(lambda a: round(a, 2)),
    hour=st.integers(0, 23),
    earlier=st.integers(0, 60),
    seed=st.integers(0, 10_000),
    known=st.booleans(),
    degraded=st.booleans(),
    merchant=st.sampled_from(["grocery", "casino"]),
    bundle=st.sampled_from([LINEAR, TREES, CAUTIOUS]),
)
def test_whatever_is_proposed_is_really_approved(
    amount, hour, earlier, seed, known, degraded, merchant, bundle
):
    at = f"2020-06-01T{hour:02d}:30:00+00:00"
    raw = payment(amount=amount, timestamp=at, merchant_type=merchant)
    past = payments(60, seed=seed, users=2)[:earlier]
    stood, windows = situation(bundle, raw, past, known=known, degraded=degraded)
    was = score_as_then(stood.event, windows, stood).decision
    found = find_counterfactual(stood)
    assert found.approved == (was is Decision.APPROVE)
    if found.changes:
        assert decision_with(found, windows, stood).decision is Decision.APPROVE
    else:
        assert found.why_not
