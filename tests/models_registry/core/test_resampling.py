"""Resamples count as the metrics do: a block drawn twice is its rows repeated."""

import numpy as np
import pytest
from scipy.stats import norm, t

from models_registry.core import metrics
from models_registry.core.resampling import (
    EntityDays,
    Ranking,
    block_sums,
    blocks_of,
    draw,
    draw_all,
    effective_blocks,
    widened,
)

RNG = np.random.default_rng(11)
N = 3000
ENTITIES = RNG.integers(0, 300, N)
DAYS = np.sort(RNG.integers(0, 9, N))
LABELS = (RNG.random(N) < 0.08).astype(int)
RISK = np.round(RNG.random(N) + 0.4 * LABELS, 2)
AMOUNTS = RNG.exponential(60.0, N)
BLOCKS = blocks_of(ENTITIES, DAYS)
RANKING = Ranking(LABELS, RISK, BLOCKS.code, amounts=AMOUNTS, capacity=0.05)


def entity_days(k: int = 20) -> EntityDays:
    return EntityDays(LABELS, RISK, ENTITIES, DAYS, BLOCKS.code, k=k)


def measure(of: Ranking | EntityDays, weights: np.ndarray) -> np.ndarray:
    """Of a single resample."""
    return of.measure(weights[None])[0]


def measured(labels, risk, amounts):
    return (
        metrics.roc_auc(labels, risk),
        metrics.average_precision(labels, risk),
        metrics.recall_at_false_positive_rate(labels, risk, 0.01),
        metrics.value_detection_rate(labels, risk, amounts, 0.05),
    )


def test_drawing_every_block_once_gives_the_metrics_themselves():
    once = np.ones(BLOCKS.n, np.uint8)
    assert measure(RANKING, once) == pytest.approx(measured(LABELS, RISK, AMOUNTS), abs=1e-12)
    expected = metrics.entity_precision_at_k(LABELS, RISK, ENTITIES, DAYS, 20)
    assert measure(entity_days(), once) == pytest.approx(expected, abs=1e-12)


def test_unknown_amounts_count_alike_in_the_metric_and_its_interval():
    amounts = np.where(np.arange(N) % 3 == 0, np.nan, AMOUNTS)
    ranking = Ranking(LABELS, RISK, BLOCKS.code, amounts=amounts, capacity=0.05)
    once = np.ones(BLOCKS.n, np.uint8)
    assert measure(ranking, once) == pytest.approx(measured(LABELS, RISK, amounts), abs=1e-12)


def test_shares_that_floats_miss_count_alike_in_the_metric_and_its_interval():
    risk, amounts = np.linspace(1.0, 0.0, 100), np.ones(100)
    labels, own = (np.arange(100) == 28).astype(int), np.arange(100, dtype=np.int32)
    ranking = Ranking(labels, risk, own, amounts=amounts, capacity=0.29, false_positive_rate=0.29)
    found = measure(ranking, np.ones(100, np.uint8))
    assert found[3] == metrics.value_detection_rate(labels, risk, amounts, 0.29) == 1.0


def test_a_block_drawn_twice_counts_as_its_rows_repeated():
    weights = draw(np.random.default_rng(5), BLOCKS.n)
    rows = np.repeat(np.arange(N), weights[BLOCKS.code])
    found = measure(RANKING, weights)[:3]
    assert found == pytest.approx(measured(LABELS[rows], RISK[rows], AMOUNTS[rows])[:3], abs=1e-12)


def test_the_capacity_of_a_day_counts_an_entity_as_often_as_it_was_drawn():
    labels, risk = np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7])
    cards, day = np.arange(3), np.zeros(3, int)
    code = cards.astype(np.int32)
    days = EntityDays(labels, risk, cards, day, code, k=2)
    assert measure(days, np.array([2, 1, 1], np.uint8)) == 1.0
    assert measure(days, np.array([0, 1, 3], np.uint8)) == 0.5


def test_a_deep_list_is_read_on_when_its_head_was_hardly_drawn():
    n = 2000
    labels, risk = np.ones(n, int), np.linspace(1, 0, n)
    days = EntityDays(labels, risk, np.arange(n), np.zeros(n), np.arange(n, dtype=np.int32), k=5)
    weights = np.zeros(n, np.uint8)
    weights[-5:] = 1
    assert measure(days, weights) == 1.0


def test_blocks_are_entities_or_their_days_where_entities_are_few():
    assert (BLOCKS.unit, BLOCKS.n) == ("entity", 300)
    few = blocks_of(np.array([1, 1, 2, 2]), np.array([0, 1, 0, 0]))
    assert (few.unit, few.n) == ("day of an entity", 3)
    assert few.code[2] == few.code[3]


def test_blocks_count_by_how_evenly_they_hold_what_tells():
    assert effective_blocks(np.array([5, 5, 5, 0])) == 3.0
    assert effective_blocks(np.array([98, 1, 1])) == pytest.approx(1.04, abs=0.01)
    assert effective_blocks(np.zeros(3)) == 0.0


def test_percentiles_widen_as_students_t_does():
    many, ten, three, one = (widened(0.95, n) for n in (1e6, 10, 3, 1))
    assert many == pytest.approx(0.95, abs=1e-4)
    assert ten == pytest.approx(2 * norm.cdf(t.ppf(0.975, 9) * np.sqrt(10 / 9)) - 1)
    assert many < ten < three == one < 1.0


def test_draws_follow_poisson_of_mean_one():
    drawn = draw(np.random.default_rng(1), 400_000).astype(float)
    assert drawn.mean() == pytest.approx(1.0, abs=0.01)
    assert drawn.var() == pytest.approx(1.0, abs=0.02)


def test_sums_are_drawn_with_the_same_weights_as_rankings():
    sums = block_sums(np.stack([np.ones(N), LABELS.astype(float)]), BLOCKS)
    totals, ranks = draw_all(BLOCKS, sums, RANKING, entity_days(), resamples=20, seed=3)
    rng = np.random.default_rng(3)
    weights = [draw(rng, BLOCKS.n) for _ in range(20)]
    rows = weights[17][BLOCKS.code]
    assert totals[17] == pytest.approx([rows.sum(), rows[LABELS == 1].sum()], abs=1e-9)
    assert ranks[17, :4] == pytest.approx(measure(RANKING, weights[17]), abs=1e-15)


def test_without_positives_nothing_can_be_said():
    ranking = Ranking(np.zeros(N), RISK, BLOCKS.code, amounts=None, capacity=0.1)
    assert np.isnan(measure(ranking, np.ones(BLOCKS.n, np.uint8))).all()
