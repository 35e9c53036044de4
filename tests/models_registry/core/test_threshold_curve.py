"""A stored curve answers for any two thresholds what the rows themselves would."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.quantities import in_full
from models_registry.core.costs import decision_costs
from models_registry.core.threshold_curve import Curve, threshold_curve
from models_registry.core.thresholds import NEVER, choose_thresholds, moved
from scoring.core.decision import Thresholds
from scoring.core.spec import CostSpec

COSTS = CostSpec(review_cost=5.0, false_block_cost=20.0, loss_share=1.0, capacity=0.05)
RNG = np.random.default_rng(8)
RISK = RNG.beta(0.3, 8.0, 5000)
LABELS = (RNG.random(5000) < RISK).astype(int)
AMOUNTS = RNG.exponential(80.0, 5000)


def curve(size=10_000, amounts=AMOUNTS):
    stored = threshold_curve(LABELS, RISK, amounts, days=10.0, costs=COSTS, size=size)
    return Curve(stored, COSTS)


@pytest.mark.parametrize(("review", "block"), [(0.1, 0.75), (0.3, 0.3), (0.05, NEVER), (0.4, 0.45)])
def test_any_pair_of_thresholds_costs_what_its_decisions_cost(review, block):
    found = curve().at(review, block)
    spent = decision_costs(LABELS, RISK, AMOUNTS, review=review, block=block, costs=COSTS)
    flagged = review <= RISK
    assert found.cost == pytest.approx(spent.mean(), abs=1e-9)
    assert found.alerts_a_day == pytest.approx(flagged.sum() / 10.0)
    assert found.blocked_a_day == pytest.approx((block <= RISK).sum() / 10.0)
    assert found.alert_rate == pytest.approx(flagged.mean())
    assert found.recall == pytest.approx(LABELS[flagged].sum() / LABELS.sum(), abs=1e-12)
    assert found.precision == pytest.approx(LABELS[flagged].mean(), abs=1e-12)
    assert found.recall_interval[0] < found.recall < found.recall_interval[1]


def test_a_thinned_curve_is_exact_among_the_riskiest():
    thin = curve(size=400)
    assert thin.thresholds.size <= 400
    review = float(np.sort(RISK)[-60])
    assert thin.at(review, NEVER).alerts_a_day == pytest.approx(6.0)
    assert thin.at(0.05, 0.75).cost == pytest.approx(curve().at(0.05, 0.75).cost, rel=0.02)


def test_the_cheapest_threshold_is_the_one_that_training_chooses():
    chosen = choose_thresholds(RISK, LABELS, AMOUNTS, COSTS)
    best = curve().cheapest(chosen.block)
    assert best.cost == pytest.approx(curve().at(chosen.review, chosen.block).cost, abs=1e-9)
    assert best.alerts_a_day <= curve().capacity_a_day == pytest.approx(25.0)


def test_the_cheapest_of_100_events_flags_all_29_that_people_can_see():
    costs = replace(COSTS, capacity=0.29)
    labels, risk, amounts = np.ones(100, int), np.linspace(1.0, 0.0, 100), np.full(100, 50.0)
    stored = threshold_curve(labels, risk, amounts, days=1.0, costs=costs)
    best = Curve(stored, costs).cheapest(NEVER)
    assert best.alerts_a_day == 29.0
    assert Curve(stored, costs).is_within_capacity(best)


def test_where_no_review_pays_for_itself_the_cheapest_is_to_flag_nothing():
    dear = replace(COSTS, capacity=1.0)
    labels, risk = np.array([0, 1, 0, 0]), np.array([0.2, 0.4, 0.6, 0.8])
    stored = threshold_curve(labels, risk, np.full(4, 4.0), days=1.0, costs=dear)
    best = Curve(stored, dear).cheapest(0.75)
    assert (best.alerts_a_day, best.precision, best.recall, best.cost) == (0.0, None, 0.0, 1.0)
    assert best.review > 0.8


def test_a_first_tie_beyond_capacity_is_taken_as_in_training():
    labels, risk, amounts = np.array([1, 1, 0, 0]), np.array([0.9, 0.9, 0.1, 0.1]), np.full(4, 80.0)
    chosen = choose_thresholds(risk, labels, amounts, COSTS)
    best = Curve(threshold_curve(labels, risk, amounts, days=1.0, costs=COSTS), COSTS).cheapest(2.0)
    assert (risk >= chosen.review).sum() == best.alerts_a_day == 2.0


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 60),
    levels=st.integers(1, 12),
    unlabelled=st.integers(0, 30),
    capacity=st.floats(0.001, 1.0),
    review_cost=st.floats(0.0, 40.0),
    false_block_cost=st.floats(0.0, 60.0),
)
def test_the_cheapest_is_never_dearer_than_anything_within_capacity(
    seed, rows, levels, unlabelled, capacity, review_cost, false_block_cost
):
    costs = CostSpec(review_cost, false_block_cost, 1.0, capacity)
    rng = np.random.default_rng(seed)
    everything = rng.integers(0, levels, rows + unlabelled) / levels
    labels, risk = rng.integers(0, 2, rows), everything[:rows]
    amounts = rng.exponential(20.0, rows)
    how = {"days": 3.0, "costs": costs, "everything": everything}
    found = Curve(threshold_curve(labels, risk, amounts, **how), costs)
    chosen = choose_thresholds(risk, labels, amounts, costs, everything=everything)
    for block in (0.0, 0.5, chosen.block, NEVER):
        best = found.cheapest(block)
        every = [found.at(t, max(block, t)) for t in (*found.thresholds, 2.0)]
        within = [one for one in every if found.is_within_capacity(one)]
        assert best.cost <= min(one.cost for one in within) + 1e-9
        first = found.at(found.thresholds[0], NEVER)  # May be a tie of more than capacity.
        assert found.is_within_capacity(best) or best.alerts_a_day <= first.alerts_a_day
    own = found.cheapest(max(0.0, 1.0 - review_cost / false_block_cost) if false_block_cost else 0)
    assert own.cost == pytest.approx(found.at(chosen.review, chosen.block).cost, abs=1e-9)


def test_without_amounts_there_is_no_cost_and_no_cheapest():
    bare = curve(amounts=None)
    assert bare.at(0.1, 0.5).cost is None
    assert bare.cheapest(0.5) is None


def test_bands_share_out_all_events_and_all_positives():
    bands = curve().bands({"MEDIUM": 0.1, "HIGH": 0.3, "CRITICAL": 0.75})
    assert [band["level"] for band in bands] == ["CRITICAL", "HIGH", "MEDIUM", "LOW"]
    assert sum(band["a_day"] for band in bands) == pytest.approx(500.0)
    assert sum(band["of_positives"] for band in bands) == pytest.approx(1.0)
    high = (RISK >= 0.3) & (RISK < 0.75)
    assert bands[1] == {
        "level": "HIGH",
        "from": 0.3,
        "a_day": pytest.approx(high.sum() / 10.0),
        "share": pytest.approx(LABELS[high].mean()),
        "of_positives": pytest.approx(LABELS[high].sum() / LABELS.sum()),
    }


def test_moved_thresholds_bring_their_bands():
    stand = Thresholds(review=0.1, block=0.8, medium=0.1, high=0.4, critical=0.8)
    found = moved(stand, review=0.2, block=0.9)
    assert (found.medium, found.critical) == (0.2, 0.9)
    assert 0.2 < found.high < 0.9
    never = moved(stand, review=0.2, block=NEVER)
    assert (never.block, never.critical) == (NEVER, 0.8)


def test_alerts_are_counted_among_all_events_and_costs_among_labelled_ones():
    labelled = RNG.random(5000) < np.clip(5 * RISK, 0.02, 1.0)
    given = (LABELS[labelled], RISK[labelled], AMOUNTS[labelled])
    how = {"days": 10.0, "costs": COSTS, "size": 10_000}
    alone = Curve(threshold_curve(*given, **how), COSTS).at(0.2, 0.75)
    whole = Curve(threshold_curve(*given, **how, everything=RISK), COSTS)
    found = whole.at(0.2, 0.75)
    assert found.alerts_a_day == pytest.approx((RISK >= 0.2).sum() / 10.0)
    assert found.alert_rate == pytest.approx((RISK >= 0.2).mean())
    assert whole.capacity_a_day == pytest.approx(25.0)
    assert whole.cheapest(0.75).alerts_a_day <= 25.0
    assert (found.precision, found.recall, found.cost) == (
        alone.precision,
        alone.recall,
        alone.cost,
    )
    assert sum(band["a_day"] for band in whole.bands({"HIGH": 0.3})) == pytest.approx(500.0)


def test_a_curve_of_before_counts_its_labelled_events():
    stored = threshold_curve(LABELS, RISK, AMOUNTS, days=10.0, costs=COSTS)
    before = {k: v for k, v in stored.items() if k != "events"}
    before["cuts"] = [cut[:4] for cut in stored["cuts"]]
    assert Curve(before, COSTS).at(0.1, 0.75) == Curve(stored, COSTS).at(0.1, 0.75)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 900), capacity=st.floats(0.001, 1.0))
def test_the_cheapest_as_a_page_writes_it_flags_the_very_same_events(seed, rows, capacity):
    rng = np.random.default_rng(seed)
    risk, costs = rng.beta(0.3, 8.0, rows), CostSpec(1.0, 20.0, 1.0, capacity)
    labels, amounts = (rng.random(rows) < risk).astype(int), rng.exponential(80.0, rows)
    stored = threshold_curve(labels, risk, amounts, days=1.0, costs=costs)
    best = Curve(stored, costs).cheapest(NEVER)
    assert best.alerts_a_day == (risk >= best.review).sum()
    if best.alerts_a_day:
        assert (risk >= float(in_full(best.review))).sum() == best.alerts_a_day
        assert Curve(stored, costs).at(float(in_full(best.review)), NEVER).cost == best.cost


def test_the_cheapest_lies_in_the_gap_below_the_last_flagged_event():
    costs = replace(COSTS, capacity=0.5)
    labels, risk = np.array([1, 1, 0, 0]), np.array([0.4, 0.0468763, 0.0431, 0.001])
    stored = threshold_curve(labels, risk, np.full(4, 80.0), days=1.0, costs=costs)
    assert in_full(Curve(stored, costs).cheapest(NEVER).review) == "0.0450"
