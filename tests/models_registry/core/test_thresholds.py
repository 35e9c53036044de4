import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_registry.core.costs import cost_points, decision_costs, losses
from models_registry.core.thresholds import (
    NEVER,
    choose_thresholds,
    choose_thresholds_without_labels,
    moved,
    with_levels,
)
from scoring.core.spec import CostSpec

COSTS = CostSpec(review_cost=5.0, false_block_cost=20.0, loss_share=1.0, capacity=0.05)
RNG = np.random.default_rng(4)
RISK = RNG.beta(0.3, 8.0, 20000)
LABELS = (RNG.random(20000) < RISK).astype(int)
AMOUNTS = RNG.exponential(80.0, 20000)


def total(review: float, block: float) -> float:
    costs = decision_costs(LABELS, RISK, AMOUNTS, review=review, block=block, costs=COSTS)
    return float(costs.sum())


def test_each_decision_has_its_cost():
    labels, amounts = np.array([1, 0, 1, 0, 1, 0]), np.full(6, 100.0)
    risk = np.array([0.1, 0.1, 0.5, 0.5, 0.9, 0.9])
    costs = CostSpec(5.0, 20.0, 0.5, 1.0)
    found = decision_costs(labels, risk, amounts, review=0.5, block=0.9, costs=costs)
    assert found.tolist() == [50, 0, 5, 5, 0, 20]


def test_an_unknown_amount_counts_as_the_median():
    found = losses(np.array([1, 1, 1]), np.array([10.0, np.nan, 30.0]), COSTS)
    assert found.tolist() == [10, 20, 30]


def test_blocking_begins_where_it_is_cheaper_than_a_review():
    assert choose_thresholds(RISK, LABELS, AMOUNTS, COSTS).block == 0.75


def test_where_a_wrong_block_costs_nothing_all_that_would_be_reviewed_is_blocked():
    free = CostSpec(review_cost=5.0, false_block_cost=0.0, loss_share=1.0, capacity=0.05)
    chosen = choose_thresholds(RISK, LABELS, AMOUNTS, free)
    assert chosen.block == chosen.review


def test_high_begins_halfway_in_log_odds():
    found = with_levels(review=0.01, block=0.5, critical=0.5)
    assert (found.medium, found.critical) == (0.01, 0.5)
    assert found.high / (1.0 - found.high) == pytest.approx(np.sqrt(0.01 / 0.99))


@pytest.mark.parametrize(("block", "critical"), [(0.6, 0.6), (1.0, 1.0), (NEVER, 0.8)])
def test_thresholds_of_a_person_keep_the_critical_band_where_nothing_is_blocked(block, critical):
    current = with_levels(review=0.1, block=NEVER, critical=0.8)
    found = moved(current, review=0.3, block=block)
    assert (found.review, found.block, found.critical) == (0.3, block, critical)
    assert moved(current, review=0.9, block=NEVER).critical == 0.9


def test_a_threshold_lies_in_the_gap_below_what_it_flags():
    risk = np.array([0.9, 0.8, 0.2, 0.1])
    assert choose_thresholds_without_labels(risk, 0.5).review == pytest.approx(0.5)
    assert choose_thresholds_without_labels(risk, 1.0).review == 0.1


def test_no_other_review_threshold_within_capacity_is_cheaper():
    chosen = choose_thresholds(RISK, LABELS, AMOUNTS, COSTS)
    capacity = np.quantile(RISK, 1 - COSTS.capacity)
    others = [total(t, chosen.block) for t in np.linspace(capacity, 1.0, 200)]
    assert total(chosen.review, chosen.block) <= min(others) + 1e-6


def test_the_capacity_is_kept():
    tight = CostSpec(5.0, 20.0, 1.0, capacity=0.003)
    chosen = choose_thresholds(RISK, LABELS, AMOUNTS, tight)
    assert 0 < (chosen.review <= RISK).mean() <= 0.003


def test_a_capacity_of_29_in_100_events_is_29():
    risk, costs = np.linspace(1.0, 0.0, 100), CostSpec(1.0, 20.0, 1.0, capacity=0.29)
    bad, amounts = np.ones(100, int), np.full(100, 50.0)
    assert (choose_thresholds(risk, bad, None, costs).review <= risk).sum() == 29
    assert (choose_thresholds(risk, bad, amounts, costs).review <= risk).sum() == 29


def test_when_a_review_costs_more_than_any_loss_nothing_is_reviewed():
    dear = CostSpec(review_cost=1e6, false_block_cost=1e9, loss_share=1.0, capacity=0.05)
    assert not (choose_thresholds(RISK, LABELS, AMOUNTS, dear).review <= RISK).any()


def test_without_amounts_the_capacity_decides():
    chosen = choose_thresholds(RISK, LABELS, None, COSTS)
    assert (chosen.review <= RISK).mean() == pytest.approx(0.05, abs=1e-4)


def test_a_tie_larger_than_the_capacity_is_flagged_whole():
    tied = np.where(np.arange(1000) < 100, 0.9, 0.1)
    chosen = choose_thresholds_without_labels(tied, 0.01)
    assert (tied >= chosen.review).sum() == 100


def test_without_labels_nothing_is_blocked():
    chosen = choose_thresholds_without_labels(RISK, 0.01)
    assert chosen.block == NEVER
    assert (chosen.review <= RISK).mean() == pytest.approx(0.01, abs=1e-4)
    assert (chosen.critical <= RISK).mean() == pytest.approx(0.001, abs=1e-4)


def test_the_capacity_is_a_share_of_all_events_where_few_have_labels():
    labelled = RNG.random(20000) < np.clip(5 * RISK, 0.02, 1.0)
    some = (RISK[labelled], LABELS[labelled])
    chosen = choose_thresholds(*some, AMOUNTS[labelled], COSTS, everything=RISK)
    assert 0.04 < (chosen.review <= RISK).mean() <= 0.05 < (chosen.review <= some[0]).mean()
    bare = choose_thresholds(*some, None, COSTS, everything=RISK)
    assert (bare.review <= RISK).mean() == pytest.approx(0.05, abs=1e-4)


def test_events_without_labels_change_nothing_where_people_can_see_all():
    labelled = RNG.random(20000) < 0.3
    given = (RISK[labelled], LABELS[labelled], AMOUNTS[labelled])
    unlimited = CostSpec(5.0, 20.0, 1.0, capacity=1.0)
    alone = choose_thresholds(*given, unlimited)
    among = choose_thresholds(*given, unlimited, everything=RISK)
    assert ((among.review <= given[0]) == (alone.review <= given[0])).all()


@given(
    st.lists(st.floats(1e-6, 1 - 1e-6), min_size=2, max_size=50),
    st.floats(0.1, 50),
    st.floats(0.1, 100),
    st.floats(0.001, 1),
)
def test_the_levels_rise_from_review_to_block(risk, review_cost, block_cost, capacity):
    risk = np.array(risk)
    labels = np.arange(risk.size) % 2
    costs = CostSpec(review_cost, block_cost, 1.0, capacity)
    chosen = choose_thresholds(risk, labels, np.full(risk.size, 50.0), costs)
    assert chosen.review == chosen.medium <= chosen.high <= chosen.critical == chosen.block
    assert set(chosen.to_dict()) == {"review", "block", "medium", "high", "critical"}


def test_the_cost_curve_has_its_minimum_near_the_chosen_threshold():
    unlimited = CostSpec(5.0, 20.0, 1.0, capacity=1.0)
    chosen = choose_thresholds(RISK, LABELS, AMOUNTS, unlimited)
    points = cost_points(LABELS, RISK, AMOUNTS, block=chosen.block, costs=unlimited)
    best = min(cost for _, cost in points)
    assert total(chosen.review, chosen.block) / RISK.size <= best + 1e-9
