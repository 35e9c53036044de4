"""The arithmetic of backtests: what counts where, what weights do, what is not told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_registry.core.backtest import (
    BAD,
    GOOD,
    UNKNOWN,
    Sampled,
    allot,
    by_day,
    changes,
    confusion,
    costs_of,
    saving,
    share,
    volume,
)
from models_registry.core.live import APPROVE, BLOCK, REVIEW
from scoring.core.shares import wilson
from scoring.core.spec import CostSpec

COSTS = CostSpec(review_cost=5.0, false_block_cost=20.0, loss_share=1.0, capacity=0.01)


def rows_of(labels, *, young=None, weights=None, amounts=None, entities=None, days=None):
    n = len(labels)
    return Sampled(
        labels=np.array(labels, np.int8),
        young=np.array(young or [False] * n, bool),
        weights=np.array(weights or [1.0] * n, float),
        amounts=np.array(amounts or [100.0] * n, float),
        entities=np.array(entities or range(n), np.int64),
        days=np.array(days or [737000] * n, np.int64),
    )


def test_only_matured_and_labelled_events_are_in_the_matrix():
    rows = rows_of([BAD, GOOD, UNKNOWN, BAD, GOOD], young=[False, False, False, True, False])
    found = confusion(np.array([True, True, True, True, False]), rows)
    assert [found[k] for k in ("tp", "fp", "fn", "tn")] == [1, 1, 0, 1]
    assert (found["unlabelled"], found["young"]) == (1, 1)
    assert found["precision"]["value"] == 0.5


def test_no_false_positive_rate_without_a_good_event_that_is_left_alone():
    rows = rows_of([BAD, GOOD, UNKNOWN])
    assert confusion(np.array([True, True, False]), rows)["false_positive_rate"] is None
    rows = rows_of([BAD, GOOD, GOOD])
    rate = confusion(np.array([True, True, False]), rows)["false_positive_rate"]
    assert rate["value"] == 0.5


def test_nothing_known_is_no_rate():
    found = confusion(np.array([True, False]), rows_of([UNKNOWN, UNKNOWN]))
    assert (found["precision"], found["recall"]) == (None, None)


def test_without_weights_the_interval_is_wilsons():
    ones = np.ones(50)
    found = share(ones[:20], ones)
    assert (found["low"], found["high"]) == pytest.approx(wilson(20, 50))


def test_weights_widen_the_interval_and_keep_the_estimate():
    plain = share(np.ones(50), np.ones(100))
    rough = share(np.full(5, 10.0), np.full(10, 10.0))
    assert plain["value"] == rough["value"] == 0.5
    assert rough["high"] - rough["low"] > plain["high"] - plain["low"]


def bursts(entities, each, seed):
    """(rows, predicted): frauds of few entities, mostly found as a whole or not at all."""
    rng = np.random.default_rng(seed)
    entity = np.repeat(np.arange(entities), each)
    found = rng.normal(0.0, 0.9, entities)[entity] + rng.normal(0.0, 0.4, entity.size)
    return rows_of([BAD] * entity.size, entities=entity.tolist()), found > 0.0


@pytest.mark.parametrize("entities", [2, 3, 5, 12])
def test_frauds_that_are_found_together_tell_less_than_as_many_alone(entities):
    """Wilson of events held the truth, one half, in 38 of 100 samples of twelve entities."""
    held = 0
    for seed in range(200):
        rows, predicted = bursts(entities, 20, seed)
        recall = confusion(predicted, rows)["recall"]
        held += recall["low"] <= 0.5 <= recall["high"]
    assert held >= 184


def test_a_recall_of_one_is_as_sure_as_its_entities_are_many():
    rows, predicted = bursts(5, 100, 0)
    recall = confusion(np.ones_like(predicted), rows)["recall"]
    assert (recall["low"], recall["high"]) == pytest.approx(wilson(5, 5))


def test_events_that_are_found_one_by_one_count_as_events():
    rows, _ = bursts(12, 20, 0)
    every_other = np.arange(240) % 2 == 0
    recall = confusion(every_other, rows)["recall"]
    assert (recall["low"], recall["high"]) == pytest.approx(wilson(120, 240))


def test_costs_are_those_of_the_cost_matrix():
    rows = rows_of([BAD, GOOD, GOOD, BAD, UNKNOWN], amounts=[80.0, 10.0, 10.0, 30.0, 10.0])
    decided = np.array([APPROVE, REVIEW, BLOCK, BLOCK, REVIEW], np.int8)
    found = costs_of(decided, rows, COSTS)
    assert (found["lost"], found["reviews"], found["false_blocks"]) == (80.0, 5.0, 20.0)
    assert (found["total"], found["reviews_unlabelled"]) == (105.0, 5.0)


def test_without_amounts_a_bad_event_costs_what_the_capacity_allows():
    rows = rows_of([BAD], amounts=[np.nan])
    assert costs_of(np.array([APPROVE], np.int8), rows, COSTS)["lost"] == 500.0


def test_the_same_decisions_save_nothing():
    rows = rows_of([BAD, GOOD])
    same = np.array([REVIEW, APPROVE], np.int8)
    assert saving(same, same, rows, COSTS) == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert saving(same, same, rows_of([UNKNOWN, UNKNOWN]), COSTS) is None


def test_finding_a_bad_event_saves_its_amount_less_the_review():
    rows = rows_of([BAD] * 40 + [GOOD] * 40)
    before = np.zeros(80, np.int8)
    after = np.array([REVIEW] * 40 + [APPROVE] * 40, np.int8)
    found = saving(before, after, rows, COSTS)
    assert found["value"] == pytest.approx(40 * 95.0)
    assert 0 < found["low"] < found["value"] < found["high"]


def test_events_of_one_entity_are_one_chance():
    labels, after = [BAD] * 40, np.full(40, REVIEW, np.int8)
    alone = saving(np.zeros(40, np.int8), after, rows_of(labels), COSTS)
    one = saving(np.zeros(40, np.int8), after, rows_of(labels, entities=[0] * 40), COSTS)
    assert one["high"] - one["low"] > alone["high"] - alone["low"]


def test_changes_say_which_way_and_of_what():
    rows = rows_of([BAD, GOOD, UNKNOWN, BAD])
    before = np.array([APPROVE, REVIEW, APPROVE, BLOCK], np.int8)
    after = np.array([REVIEW, APPROVE, BLOCK, BLOCK], np.int8)
    found = changes(before, after, rows)
    assert (found["raised"], found["raised_bad"], found["raised_good"]) == (2, 1, 0)
    assert (found["eased"], found["eased_bad"], found["eased_good"]) == (1, 0, 1)


def test_days_are_told_in_order_and_those_without_events_as_zero():
    rows = rows_of([BAD, GOOD, GOOD], days=[3, 1, 3], weights=[1.0, 2.0, 4.0])
    decided = np.array([REVIEW, REVIEW, APPROVE], np.int8)
    assert by_day([("today", decided)], rows) == [
        {"day": 1, "today": 2.0},
        {"day": 2, "today": 0.0},
        {"day": 3, "today": 1.0},
    ]
    assert by_day([("today", decided[:0])], rows_of([])) == []


events = st.lists(
    st.tuples(
        st.sampled_from([BAD, GOOD, UNKNOWN]), st.booleans(), st.booleans(), st.floats(1, 50)
    ),
    min_size=1,
    max_size=60,
)


@given(events)
def test_every_event_stands_in_one_cell(drawn):
    labels, young, predicted, weights = map(list, zip(*drawn, strict=True))
    rows = rows_of(labels, young=young, weights=weights)
    found = confusion(np.array(predicted), rows)
    cells = ("tp", "fp", "fn", "tn", "unlabelled", "unlabelled_rest", "young", "young_rest")
    assert sum(found[cell] for cell in cells) == pytest.approx(sum(weights))
    for name in ("precision", "recall", "false_positive_rate"):
        if found[name] is not None:
            low, value, high = (found[name][k] for k in ("low", "value", "high"))
            assert 0.0 <= low <= value + 1e-9
            assert value - 1e-9 <= high <= 1.0


@given(events)
def test_the_volume_is_that_of_the_decisions(drawn):
    decided = np.array([REVIEW if flagged else APPROVE for _, _, flagged, _ in drawn], np.int8)
    rows = rows_of([label for label, *_ in drawn], weights=[w for *_, w in drawn])
    expected = sum(w for _, _, flagged, w in drawn if flagged)
    assert volume(decided, rows)["flagged"] == pytest.approx(expected)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8), st.integers(0, 20_000))
def test_no_more_is_read_than_asked_and_small_kinds_whole(sizes, most):
    taken = allot(sizes, most)
    assert sum(taken) <= most
    assert all(0 <= n <= size for n, size in zip(taken, sizes, strict=True))
    if sum(sizes) <= most:
        assert taken == sizes
        return
    assert sum(taken) == most
    # Whoever was cut got as many as anybody, but for what does not divide.
    cut = [n for n, size in zip(taken, sizes, strict=True) if n < size]
    assert min(cut) + 1 >= max(taken)
