"""What to check next: ranked by what the check would change, proved by deciding again."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from scoring.core import pipeline
from scoring.core.bundle import assemble
from scoring.core.checks import Case, rank_checks, topic_of
from scoring.core.features import category_code
from scoring.core.types import (
    NO_ORDERS,
    Decision,
    ListHit,
    Orders,
    RiskLevel,
    ScreeningHit,
)
from scoring.usual import Own
from tests.factories import (
    empty_windows,
    parse_all,
    payment,
    spec_of,
    train_bundle,
    trained_payments,
)

STRICT = {"review": 0.3, "block": 0.9, "medium": 0.1, "high": 0.3, "critical": 0.9}
BUNDLE = assemble("0" * 64, trained_payments()[0] | {"thresholds": STRICT}, trained_payments()[1])
MATCH = ScreeningHit(
    "name", "un", "d", "7", "X", 0.95, RiskLevel.HIGH, Decision.REVIEW, "like X", {}
)


def case(*, screening=(), orders=NO_ORDERS, degraded=False, usual=None, **changed):
    (event,) = parse_all(BUNDLE.spec, [payment(**changed)])
    vector = pipeline.build(BUNDLE.plan, event, empty_windows(BUNDLE.plan, [event]))
    own = np.full(len(vector), math.nan) if usual is None else usual
    return Case(event, vector, BUNDLE, BUNDLE.policy, orders, screening, own, degraded)


def topics(found):
    return [check.topic for check in found]


def test_the_fact_that_made_the_decision_comes_first_and_undoes_it():
    first, *_ = rank_checks(case(amount=4000.0))
    assert first.topic == ("value", "amount")
    assert first.decision is Decision.APPROVE
    assert first.risk_after < 0.3 <= first.risk


@pytest.mark.parametrize("amount", [10.0, 90.0, 700.0, 4000.0, 20_000.0])
def test_checks_are_ordered_by_steps_and_then_by_risk(amount):
    found = rank_checks(case(amount=amount))
    assert found == sorted(found, key=lambda one: (-one.steps, -one.drop, one.topic))
    assert all(one.steps > 0 or one.drop > 0 for one in found)


def test_nothing_stands_against_a_harmless_event():
    assert rank_checks(case(amount=20.0)) == []


def test_a_forcing_rule_is_a_check_that_approves_only_if_it_alone_decided():
    rules = {one.topic[1]: one for one in rank_checks(case(amount=20_000.0, degraded=True))
             if one.topic[0] == "rule"}  # fmt: skip
    assert rules["HIGH_AMOUNT"].decision is Decision.APPROVE
    scored = rank_checks(case(amount=20_000.0))
    assert ("rule", "HIGH_AMOUNT") not in topics([one for one in scored if one.steps > 0])


def test_an_amount_that_a_rule_reads_is_moved_for_the_rule_too():
    found = {one.topic: one for one in rank_checks(case(amount=20_000.0))}
    assert found["value", "amount"].decision is Decision.APPROVE


def test_a_match_with_a_list_and_the_deny_list_are_checks():
    matched = rank_checks(case(amount=20.0, screening=(MATCH,)))
    assert matched[0].topic == ("screening", "0")
    assert matched[0].decision is Decision.APPROVE
    denied = Orders(denied=(ListHit(1, "deny", "device_id", "seen in fraud"),))
    assert rank_checks(case(amount=20.0, orders=denied))[0].topic == ("deny", "device_id")


def test_of_two_matches_neither_is_a_check_that_would_do():
    assert rank_checks(case(amount=20.0, screening=(MATCH, replace(MATCH, entry="8")))) == []


@pytest.mark.parametrize(
    ("ofac", "un", "together"),
    [
        ({"words": ["kony", "joseph"]}, {"words": ["joseph", "kony"]}, True),
        (
            {"words": ["saddam"], "born": "1937-04-28"},
            {"words": ["ali"], "born": "1937-04-28"},
            True,
        ),
        ({"words": ["kony", "joseph"]}, {"words": ["kony", "salim"]}, False),
        ({"words": []}, {"words": []}, False),
    ],
)
def test_a_party_that_stands_on_two_lists_is_one_check(ofac, un, together):
    hits = tuple(
        replace(MATCH, list_name=name, detail={
            "words": [{"listed": word} for word in said["words"]],
            "listed_births": [[said["born"]] * 2] if "born" in said else [],
        })
        for name, said in (("ofac_sdn", ofac), ("un", un))
    )  # fmt: skip
    found = [one for one in rank_checks(case(amount=20.0, screening=hits)) if one.steps > 0]
    assert topics(found) == ([("screening", "0")] if together else [])


def test_the_entity_s_own_median_counts_as_harmless():
    """Not that of training, which lies far below: who always pays much is no stranger for it."""

    def decided(median):
        usual = np.full(len(BUNDLE.plan.names), math.nan)
        usual[BUNDLE.plan.names.index("amount")] = median
        found = {one.topic: one for one in rank_checks(case(amount=4000.0, usual=usual))}
        return found["value", "amount"].decision if ("value", "amount") in found else None

    assert decided(math.nan) is Decision.APPROVE
    assert decided(700.0) is Decision.REVIEW
    assert decided(3900.0) is None  # Nothing would change: such an amount is usual here.


def placed():
    """A bundle for which the place DE alone is risky, and a rule that says the same."""
    config = {
        "slug": "places",
        "name": "Places",
        "event": {
            "id": "id", "amount": "amount", "entity": "card",
            "schema": {"type": "object", "required": ["id"], "properties": {
                "id": {"type": "string"}, "card": {"type": "string"},
                "amount": {"type": "number"}, "place": {"type": "string"},
            }},
        },
        "features": {"transformations": [{"type": "category", "config": {"fields": ["place"]}}]},
        "rules": [{"code": "FROM_DE", "when": "place == 'DE'", "outcome": "REVIEW"}],
    }  # fmt: skip
    places = np.array(["FR", "FR", "NG", "DE"])[np.arange(600) % 4].tolist()
    raws = [
        {"id": str(i), "card": "abc"[i % 3], "amount": 20.0, "place": place}
        for i, place in enumerate(places)
    ]
    labels = np.array([place == "DE" for place in places]).astype(int)
    return assemble("8" * 64, *train_bundle(config, raws, labels, learner="lightgbm"))


PLACED = placed()


def case_of_place(*, earlier=()):
    """An event from DE of an entity whose events so far came from `earlier`, oldest first."""
    raw = {"id": "x", "card": "a", "amount": 20.0, "place": "DE"}
    (event,) = parse_all(PLACED.spec, [raw])
    rows = [SimpleNamespace(event={"place": place}) for place in earlier]
    matrix = np.array([[category_code(place)] for place in earlier]).reshape(-1, 1)
    own, features = Own(PLACED.plan.names, matrix, rows), PLACED.plan.features
    return Case(
        event, np.array([category_code("DE")]), PLACED, PLACED.policy, NO_ORDERS, (),
        own.typical(features), levels=own.levels(features),
    )  # fmt: skip


def test_a_category_is_harmless_at_the_entity_s_most_common_level():
    # The code of DE lies between the other two: a median of these codes would be that of DE.
    earlier = ["FR", "FR", "DE", "NG", "DE", "NG", "FR"]
    assert np.median([category_code(place) for place in earlier]) == category_code("DE")
    case = case_of_place(earlier=earlier)
    assert case.usual.tolist() == [category_code("FR")] and case.levels == {"place": "FR"}
    found = {one.topic: one for one in rank_checks(case)}["value", "place"]
    assert found.decision is Decision.APPROVE


@pytest.mark.parametrize("earlier", [(), ["fr"] * 5, ["Mars"] * 5])
def test_a_rule_that_reads_a_category_sees_the_harmless_one(earlier):
    """From training, from the entity's own events, and where training knew no such level."""
    found = {one.topic: one for one in rank_checks(case_of_place(earlier=earlier))}
    assert found["value", "place"].decision is Decision.APPROVE
    assert found["value", "place"].risk_after < 0.1


def test_of_levels_as_common_as_each_other_the_newest_counts():
    assert case_of_place(earlier=["FR", "NG", "FR", "NG", "fr"]).levels == {"place": "fr"}
    assert case_of_place(earlier=["FR", "FR", "NG", "NG", "NG", "FR"]).levels == {"place": "FR"}
    assert case_of_place(earlier=["FR"] * 4).levels == {}


def test_each_feature_of_every_shipped_detector_belongs_to_one_question():
    for slug in ("payments", "cards", "fraud", "anomaly", "creditcard", "credit_card_fraud"):
        spec = spec_of(slug)
        kinds = {topic_of(spec, feature)[0] for feature in spec.features}
        assert kinds <= {"value", "other", "pace", "time", "known_bad"}


def test_without_a_model_only_rules_and_lists_are_checked():
    found = rank_checks(case(amount=20_000.0, degraded=True))
    assert (found and found[0].risk_after is None) or found[0].risk_after < 0.3
