"""The promise of a sequence: looking every day does not wear it out."""

import numpy as np
import pytest
from scipy.stats import norm

from models_registry.core.sequential import (
    DayTotals,
    boundary,
    per_unit,
    sequence_of,
    sequence_of_days,
    totals_by_day,
)


def crossings(*, drift: float, days: int = 60, runs: int = 400, seed: int = 1) -> tuple[int, int]:
    """In how many runs the sequence, and a plain 95 % interval, said `above` at some look."""
    rng = np.random.default_rng(seed)
    always = naive = 0
    for _ in range(runs):
        # Money: many small differences, now and then a large one.
        sizes = rng.lognormal(1.0, 1.5, (days, 5))
        d = sizes * rng.choice([-1.0, 1.0], sizes.shape) + drift
        when = np.repeat(np.arange(days), 5)
        flat = d.ravel()
        seen = [flat[when < day] for day in range(3, days + 1)]
        always += any(sequence_of(x, when[: x.size], total=float(x.size)).is_above for x in seen)
        naive += any(x.sum() > 1.96 * x.std() * np.sqrt(x.size) for x in seen)
    return always, naive


@pytest.mark.slow
def test_daily_looks_at_nothing_stay_within_the_promise_where_plain_intervals_do_not():
    always, naive = crossings(drift=0.0)
    assert always <= 0.05 * 400
    assert naive > 0.10 * 400


def test_a_real_difference_is_found():
    always, _ = crossings(drift=8.0, runs=40)
    assert always >= 36


def test_the_boundary_is_reached_with_no_more_than_its_chance_by_a_walk():
    rng = np.random.default_rng(3)
    walk = np.cumsum(rng.choice([-1.0, 1.0], (2000, 3000)), axis=1)
    limit = np.array([boundary(float(v), 100.0) for v in range(1, 3001)])
    share = float((walk > limit).any(axis=1).mean())
    assert 0.01 < share <= 0.05


@pytest.mark.parametrize("v", [0.0, 1.0, 100.0, 1e4, 1e6])
def test_the_boundary_is_where_the_mixture_reaches_one_in_alpha(v):
    rho, alpha = 100.0, 0.05
    z = boundary(v, rho, alpha) / np.sqrt(v + rho)
    # The integral of exp(l S - l^2 V / 2) over a half-normal l of precision rho.
    mixture = 2.0 * np.sqrt(rho / (v + rho)) * np.exp(z * z / 2.0) * norm.cdf(z)
    assert 1.0 <= alpha * mixture < 1.1


def test_days_without_a_difference_add_their_events_alone():
    found = totals_by_day(np.array([2.0, 0.0, -1.0]), np.array([3, 3, 3]), events={3: 5, 4: 7})
    assert found == {3: DayTotals(1.0, 5.0, 2, 5.0), 4: DayTotals(0.0, 0.0, 0, 7.0)}
    one, both = sequence_of_days({3: found[3]}), sequence_of_days(found)
    assert (both.units, both.mean) == (2, 1.0 / 12.0)
    assert both.high == pytest.approx(one.high * 5.0 / 12.0)
    assert both.low == pytest.approx(one.low * 5.0 / 12.0)


def test_a_sequence_has_no_scale():
    rng = np.random.default_rng(4)
    d, days = rng.normal(0.3, 1.0, 200), np.repeat(np.arange(20), 10)
    one = sequence_of(d, days, total=200.0)
    other = sequence_of(1000.0 * d, days, total=200.0)
    assert other.low == pytest.approx(1000.0 * one.low)
    assert (one.is_above, one.units) == (other.is_above, 200)


def test_without_a_difference_nothing_is_said():
    found = sequence_of(np.zeros(9), np.arange(9), total=9.0)
    assert (found.units, found.is_above, found.is_below) == (0, False, False)


def test_the_events_of_an_entity_on_a_day_are_one_unit():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    sums, days = per_unit(values, np.array([7, 7, 9, 7]), np.array([5, 5, 5, 6]))
    assert (sums.tolist(), days.tolist()) == ([3.0, 4.0, 8.0], [5, 5, 6])
