"""The written precedence of decisions, line by line."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.core.decision import RULES_ALONE, Thresholds, decide, rule_score
from scoring.core.types import (
    DECISIONS,
    Decision,
    ListHit,
    Orders,
    RiskLevel,
    RuleHit,
    ScreeningHit,
    SelectionReason,
    Stage,
)

BOUNDS = Thresholds(review=0.5, block=0.9, medium=0.3, high=0.6, critical=0.9)
REVIEW = RuleHit("R", 1, Decision.REVIEW, "", {})
BLOCK = RuleHit("B", 1, Decision.BLOCK, "", {})
LITTLE = RuleHit("W", 1, None, "", {}, weight=0.2)
MUCH = RuleHit("M", 1, None, "", {}, weight=0.5)
ALLOW = Orders(allowed=(ListHit(1, "allow", "user_id", ""),))
DENY = Orders(denied=(ListHit(2, "deny", "user_id", ""),))
BOTH = Orders(allowed=ALLOW.allowed, denied=DENY.denied)


def screened(outcome):
    return ScreeningHit("name", "un", "d", "1", "x", 0.9, RiskLevel.HIGH, Decision(outcome), "", {})


NAME_REVIEW, NAME_BLOCK = screened("REVIEW"), screened("BLOCK")


@pytest.mark.parametrize(
    ("risk", "hits", "decision", "level", "selected"),
    [
        (0.0, (), "APPROVE", "LOW", ""),
        (0.29, (), "APPROVE", "LOW", ""),
        (0.3, (), "APPROVE", "MEDIUM", ""),
        (0.5, (), "REVIEW", "MEDIUM", "model"),
        (0.6, (), "REVIEW", "HIGH", "model"),
        (0.9, (), "BLOCK", "CRITICAL", "model"),
        (0.1, (REVIEW,), "REVIEW", "HIGH", "rule"),
        (0.1, (BLOCK,), "BLOCK", "CRITICAL", "rule"),
        (0.1, (REVIEW, BLOCK), "BLOCK", "CRITICAL", "rule"),
        (0.5, (REVIEW,), "REVIEW", "HIGH", "model"),
        (0.5, (BLOCK,), "BLOCK", "CRITICAL", "rule"),
        (0.95, (REVIEW,), "BLOCK", "CRITICAL", "model"),
        (0.95, (BLOCK,), "BLOCK", "CRITICAL", "model"),
        (None, (), "APPROVE", "LOW", ""),
        (None, (REVIEW,), "REVIEW", "HIGH", "rule"),
        (None, (BLOCK,), "BLOCK", "CRITICAL", "rule"),
        # Weights join the model's risk as independent evidence.
        (0.0, (LITTLE,), "APPROVE", "LOW", ""),
        (0.2, (LITTLE,), "APPROVE", "MEDIUM", ""),
        (0.0, (MUCH,), "REVIEW", "MEDIUM", "rule"),
        (0.4, (LITTLE,), "REVIEW", "MEDIUM", "rule"),
        (0.85, (MUCH,), "BLOCK", "CRITICAL", "rule"),
        (0.92, (MUCH,), "BLOCK", "CRITICAL", "model"),
        (0.1, (MUCH, REVIEW), "REVIEW", "HIGH", "rule"),
        # Shadow and snoozed matches are recorded and decide nothing.
        (0.1, (replace(BLOCK, stage=Stage.SHADOW),), "APPROVE", "LOW", ""),
        (0.1, (replace(BLOCK, snoozed="2030-01-01"),), "APPROVE", "LOW", ""),
        (0.0, (replace(MUCH, stage=Stage.SHADOW),), "APPROVE", "LOW", ""),
    ],
)
def test_model_and_rules(risk, hits, decision, level, selected):
    found = decide(risk, BOUNDS, hits)
    assert (found.decision, found.level, found.selected) == (
        Decision(decision),
        RiskLevel(level),
        SelectionReason(selected),
    )


@pytest.mark.parametrize(
    ("screening", "orders", "hits", "risk", "decision", "level", "selected"),
    [
        ((NAME_BLOCK,), Orders(), (), 0.0, "BLOCK", "CRITICAL", "screening"),
        ((NAME_BLOCK,), ALLOW, (), 0.0, "BLOCK", "CRITICAL", "screening"),
        ((NAME_BLOCK,), DENY, (BLOCK,), 0.95, "BLOCK", "CRITICAL", "screening"),
        ((NAME_REVIEW, NAME_BLOCK), Orders(), (), None, "BLOCK", "CRITICAL", "screening"),
        ((), DENY, (), 0.0, "BLOCK", "CRITICAL", "rule"),
        ((), BOTH, (), 0.0, "BLOCK", "CRITICAL", "rule"),
        ((), ALLOW, (BLOCK,), 0.95, "APPROVE", "CRITICAL", ""),
        ((NAME_REVIEW,), ALLOW, (REVIEW,), 0.1, "APPROVE", "LOW", ""),
        ((NAME_REVIEW,), Orders(), (), 0.1, "REVIEW", "HIGH", "screening"),
        ((NAME_REVIEW,), Orders(), (), None, "REVIEW", "HIGH", "screening"),
        ((NAME_REVIEW,), Orders(), (REVIEW,), 0.1, "REVIEW", "HIGH", "rule"),
        ((NAME_REVIEW,), Orders(), (), 0.5, "REVIEW", "HIGH", "model"),
        ((NAME_REVIEW,), Orders(), (), 0.95, "BLOCK", "CRITICAL", "model"),
        ((NAME_REVIEW,), Orders(), (BLOCK,), 0.1, "BLOCK", "CRITICAL", "rule"),
    ],
)
def test_screening_comes_first_then_the_lists(
    screening, orders, hits, risk, decision, level, selected
):
    found = decide(risk, BOUNDS, hits, screening=screening, orders=orders)
    assert (found.decision, found.level, found.selected) == (
        Decision(decision),
        RiskLevel(level),
        SelectionReason(selected),
    )


@pytest.mark.parametrize(
    ("draw", "orders", "selected"),
    [
        (0.0, Orders(), "random_audit"),
        (0.0049, Orders(), "random_audit"),
        (0.005, Orders(), ""),
        (0.9, Orders(), ""),
        (0.0, ALLOW, "random_audit"),
    ],
)
def test_an_approved_event_may_be_drawn_and_stays_approved(draw, orders, selected):
    found = decide(0.1, BOUNDS, orders=orders._replace(audit_draw=draw), audit_rate=0.005)
    assert (found.decision, found.selected) == (Decision.APPROVE, SelectionReason(selected))
    assert found.propensity == 0.005


@pytest.mark.parametrize(
    ("risk", "hits", "screening", "selected"),
    [
        (0.7, (), (), "model"),
        (0.95, (), (), "model"),
        (0.1, (REVIEW,), (), "rule"),
        (0.1, (BLOCK,), (), "rule"),
        (0.1, (), (NAME_REVIEW,), "screening"),
        (0.1, (), (NAME_BLOCK,), "screening"),
    ],
)
def test_what_was_selected_for_a_reason_is_never_drawn(risk, hits, screening, selected):
    lucky = Orders(audit_draw=0.0)
    found = decide(risk, BOUNDS, hits, screening=screening, orders=lucky, audit_rate=0.1)
    assert (found.selected, found.propensity) == (SelectionReason(selected), 1.0)


def test_without_a_model_weights_are_held_against_thresholds_of_their_own():
    assert decide(None, None, (MUCH,)).decision is Decision.REVIEW
    assert decide(None, None, (LITTLE,)).decision is Decision.APPROVE
    heavy = replace(MUCH, weight=RULES_ALONE.block)
    assert decide(None, None, (heavy,)).decision is Decision.BLOCK


def test_weights_are_independent_evidence():
    assert rule_score((LITTLE, MUCH)) == pytest.approx(1 - 0.8 * 0.5)
    assert rule_score((REVIEW, BLOCK)) == 0.0


@given(st.floats(0.001, 0.999))
def test_one_weight_alone_reaches_a_threshold_of_the_same_size(weight):
    bounds = Thresholds(review=weight, block=2.0, medium=2.0, high=2.0, critical=2.0)
    hit = (replace(MUCH, weight=weight),)
    assert decide(0.0, bounds, hit).decision is Decision.REVIEW
    assert decide(None, bounds, hit).decision is Decision.REVIEW


hits = st.lists(
    st.builds(
        RuleHit,
        st.just("X"),
        st.just(1),
        st.sampled_from([None, Decision.REVIEW, Decision.BLOCK]),
        st.just(""),
        st.just({}),
        weight=st.floats(0.0, 0.99),
        stage=st.sampled_from([Stage.LIVE, Stage.SHADOW]),
        snoozed=st.sampled_from([None, "2030-01-01"]),
    ),
    max_size=4,
).map(tuple)


@given(st.none() | st.floats(0.0, 1.0), hits, hits)
def test_one_more_match_never_makes_a_decision_milder(risk, some, more):
    before = decide(risk, BOUNDS, some).decision
    after = decide(risk, BOUNDS, some + more).decision
    assert DECISIONS.index(after) >= DECISIONS.index(before)


@given(st.none() | st.floats(0.0, 1.0), hits)
def test_only_what_counts_decides(risk, found):
    counting = tuple(hit for hit in found if hit.counts)
    assert decide(risk, BOUNDS, found) == decide(risk, BOUNDS, counting)


def test_a_block_threshold_above_one_never_blocks():
    never = Thresholds(review=0.5, block=2.0, medium=0.5, high=0.6, critical=0.7)
    found = decide(1.0, never, ())
    assert (found.decision, found.level) == (Decision.REVIEW, RiskLevel.CRITICAL)


def test_a_missing_score_reaches_no_threshold_as_low_as_it_may_be():
    lowest = Thresholds(review=0.0, block=2.0, medium=0.0, high=2.0, critical=2.0)
    for risk, decision, level in ((None, "APPROVE", "LOW"), (0.0, "REVIEW", "MEDIUM")):
        found = decide(risk, lowest)
        assert (found.decision, found.level) == (Decision(decision), RiskLevel(level))


def test_thresholds_survive_a_manifest():
    assert Thresholds.from_dict(BOUNDS.to_dict()) == BOUNDS
    with pytest.raises(KeyError):
        Thresholds.from_dict({"review": 0.5})
