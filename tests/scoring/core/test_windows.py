"""Window state against an oracle that remembers everything and counts by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.core.aggregates import Aggregate
from scoring.core.timelines import Timeline, aggregate_many
from scoring.core.windows import FEW, SHORT, EntityWindow, WindowStateError, packed

HORIZON = 100.0
HOWS = ("sum", "mean", "std", "min", "max", "distinct", "changes")
KINDS = [("count", 0)] + [(how, 1) for how in HOWS]
WANTED = [
    Aggregate(how, column, length, offset, current)
    for how, column in KINDS
    for length, offset, current in ((10.0, 0.0, True), (60.0, 0.0, False), (40.0, 60.0, True))
]
values = st.one_of(st.just(math.nan), st.integers(-4, 4).map(float), st.floats(-1e6, 1e6))
gaps = st.lists(st.tuples(st.integers(0, 40), values), max_size=40)


def oracle(past: list[tuple[float, float]], now: tuple[float, float], want: Aggregate) -> float:
    end = now[0] - want.offset
    inside = [value for time, value in past if end - want.length < time <= end]
    if want.include_current and want.offset == 0:
        inside.append(now[1])
    if want.how == "count":
        return len(inside)
    known = [value for value in inside if not math.isnan(value)]
    if want.how in ("sum", "distinct"):
        return sum(known) if want.how == "sum" else len(set(known))
    if want.how == "changes":
        return sum(a != b for a, b in pairwise(known))
    if not known:
        return 0.0 if want.how == "std" else math.nan
    numpy_name = {"mean": np.mean, "std": np.std, "min": min, "max": max}[want.how]
    return float(numpy_name(known))


def in_time_order(steps: list[tuple[int, float]]) -> list[tuple[float, float]]:
    times = np.cumsum([gap for gap, _ in steps])
    return [(float(time), value) for time, (_, value) in zip(times, steps, strict=True)]


@given(gaps)
@settings(max_examples=60, deadline=None)
def test_every_aggregate_is_what_counting_by_hand_gives(steps):
    window, past = EntityWindow.empty(2), []
    for event in in_time_order(steps):
        row = np.array(event)
        found = window.aggregate(WANTED, event[0], row)
        expected = [oracle(past, event, want) for want in WANTED]
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-6, nan_ok=True)
        window, past = window.learn(row, horizon=HORIZON), [*past, event]


def many(rng: np.random.Generator, n: int) -> np.ndarray:
    """State rows [n, 2] in time order, one in ten without its value, values that come again."""
    kinds = (rng.integers(-4, 5, n), rng.normal(0.0, 1e3, n), np.full(n, math.nan))
    rows = np.stack([np.sort(rng.integers(0, 2 * n, n)), np.choose(rng.choice(3, n), kinds)])
    return rows.T.astype(float)


@pytest.mark.parametrize("n", [SHORT - 4, SHORT - 3, SHORT, 3 * SHORT])
@pytest.mark.parametrize("seed", range(3))
def test_a_long_window_gives_what_counting_by_hand_gives(n, seed):
    rng = np.random.default_rng(seed)
    base, late = many(rng, n), many(rng, 3)[::-1]
    stored = EntityWindow(base).to_bytes(signature=9)
    window = EntityWindow.from_bytes(stored, packed(late), columns=2, signature=9)
    past = sorted([*map(tuple, base), *map(tuple, late)], key=lambda row: row[0])
    wanted = [
        Aggregate(how, column, length, offset, offset == 0.0)
        for how, column in KINDS
        for length in (2.0, 2.0 * FEW - 4, 2.0 * FEW + 4, 4.0 * n)
        for offset in (0.0, 30.0)
    ]
    for now in ((2.0 * n + 1, 3.0), (1.0 * n, math.nan)):
        found = window.aggregate(wanted, now[0], np.array(now))
        before = [row for row in past if row[0] <= now[0]]
        expected = [oracle(before, now, want) for want in wanted]
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-6, nan_ok=True)
        window, past = window.learn(np.array(now), horizon=4.0 * n), [*past, now]


@pytest.mark.parametrize("known", [0, 1, SHORT])
def test_values_that_are_missing_from_a_long_window_are_not_told_apart(known):
    rows = np.full((3 * SHORT, 2), math.nan)
    rows[:, 0], rows[:known, 1] = np.arange(3 * SHORT), np.arange(known) // 2
    wanted = [Aggregate("distinct", 1, 4.0 * SHORT)]
    found = EntityWindow(rows).aggregate(wanted, 3.0 * SHORT, rows[-1])
    assert found == [(known + 1) // 2]


def test_what_a_long_window_learns_is_in_its_rows_in_the_order_of_time():
    rows = np.stack([np.arange(SHORT + 50.0), np.zeros(SHORT + 50)]).T
    window = EntityWindow(rows, b"")
    for time in (5.5, SHORT + 60.0, 5.5):
        window = window.learn([time, 1.0], horizon=SHORT + 58.0)
    assert window.tail == packed(np.array([[5.5, 1.0], [SHORT + 60.0, 1.0], [5.5, 1.0]]))
    assert window.rows[:6, 0].tolist() == [2.0, 3.0, 4.0, 5.0, 5.5, 5.5]
    assert window.rows[-1].tolist() == [SHORT + 60.0, 1.0]
    assert len(window) == len(rows) + 1


@given(st.permutations(range(12)))
@settings(max_examples=40, deadline=None)
def test_late_events_fit_in_where_their_time_says(order):
    times = [7.0 * i for i in order]
    window = EntityWindow.empty(2)
    for time in times:
        window = window.learn(np.array([time, time]), horizon=HORIZON)
    assert window.rows[:, 0].tolist() == sorted(times)
    wanted = [Aggregate("sum", 1, 30.0), Aggregate("count", 0, 30.0)]
    past = [(time, time) for time in times]
    expected = [oracle(past, (40.0, 1.0), want) for want in wanted]
    assert window.aggregate(wanted, 40.0, np.array([40.0, 1.0])) == expected


def test_a_late_event_does_not_see_the_future():
    window = EntityWindow.empty(2).learn(np.array([100.0, 5.0]), horizon=HORIZON)
    late = np.array([50.0, 1.0])
    assert window.aggregate([Aggregate("count", 0, 60.0)], 50.0, late) == [1.0]
    assert math.isnan(window.last_time(50.0))


def test_a_window_is_open_at_its_start_and_closed_at_its_end():
    window = EntityWindow.empty(1)
    for time in (0.0, 1.0, 10.0):
        window = window.learn(np.array([time]), horizon=HORIZON)
    count = [Aggregate("count", 0, 10.0, include_current=False)]
    assert window.aggregate(count, 10.0, np.array([10.0])) == [2.0]


def test_what_is_older_than_the_horizon_is_forgotten():
    window = EntityWindow.empty(1)
    for time in range(1000):
        window = window.learn(np.array([float(time)]), horizon=HORIZON)
    assert len(window.rows) == HORIZON + 1
    assert len(window.to_bytes(signature=1)) < 1000


@pytest.mark.parametrize("gap", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("late", [0.0, 7.0, 20.0])
def test_a_thinned_window_tells_what_the_whole_one_tells(gap, late):
    rng, n = np.random.default_rng(3), 4 * SHORT
    rows = np.stack([gap * np.arange(n), rng.normal(0.0, 9.0, n)]).T
    rows[: n - 1, 0] -= 30.0  # Before the newest event nothing happened for half a minute.
    window, at = EntityWindow(rows), rows[-1, 0] - late
    thinned = window.thinned(60.0 + 20.0)
    wanted = [Aggregate(how, column, 60.0) for how, column in KINDS]
    assert SHORT <= len(thinned) <= len(window)
    assert thinned.last_time(at) == window.last_time(at)
    assert thinned.aggregate(wanted, at, rows[0]) == window.aggregate(wanted, at, rows[0])


def test_a_thinned_window_keeps_what_is_read_and_the_newest_rows_of_what_is_not():
    busy = EntityWindow(np.arange(1000.0)[:, None])
    assert busy.thinned(500.0).rows[:, 0].tolist() == list(range(498, 1000))
    assert busy.thinned(5.0).rows[:, 0].tolist() == list(range(1000 - SHORT, 1000))
    assert len(busy.thinned(2000.0)) == 1000


def test_a_restart_changes_nothing():
    window = EntityWindow.empty(2)
    for event in in_time_order([(3, 1.5), (4, math.nan), (0, -2.0)]):
        window = window.learn(np.array(event), horizon=HORIZON)
    again = EntityWindow.from_bytes(window.to_bytes(signature=9), columns=2, signature=9)
    assert np.array_equal(again.rows, window.rows, equal_nan=True)


def test_a_tail_is_read_into_the_order_of_time_and_then_of_arrival():
    base = EntityWindow(np.array([[1.0, 10.0], [5.0, 50.0]])).to_bytes(signature=9)
    tail = packed(np.array([[5.0, 51.0], [9.0, 90.0], [1.0, 11.0], [3.0, 30.0]]))
    window = EntityWindow.from_bytes(base, tail, columns=2, signature=9)
    assert window.rows[:, 1].tolist() == [10, 11, 30, 50, 51, 90]


def test_a_tail_that_was_cut_off_is_refused():
    base, tail = EntityWindow.empty(2).to_bytes(signature=9), packed(np.ones((2, 2)))
    with pytest.raises(WindowStateError):
        EntityWindow.from_bytes(base, tail[:-4], columns=2, signature=9)


@pytest.mark.parametrize(("columns", "signature"), [(3, 9), (2, 8)])
def test_state_that_was_kept_for_other_columns_is_refused(columns, signature):
    stored = EntityWindow.empty(2).to_bytes(signature=9)
    with pytest.raises(WindowStateError, match="other columns"):
        EntityWindow.from_bytes(stored, columns=columns, signature=signature)


@pytest.mark.parametrize("kept", [0, 4, 11, 20])
def test_state_that_was_cut_off_is_refused(kept):
    window = EntityWindow.empty(2).learn(np.array([1.0, 2.0]), horizon=HORIZON)
    with pytest.raises(WindowStateError):
        EntityWindow.from_bytes(window.to_bytes(signature=9)[:kept], columns=2, signature=9)


@pytest.mark.parametrize("n", [2, 3, 7, 10, FEW + 1, 3 * SHORT])
@pytest.mark.parametrize("value", [0.1, 19.99, 1e9 / 3, -4.35])
def test_equal_values_have_no_spread_at_all(n, value):
    rows = np.stack([np.arange(n, dtype=float), np.full(n, value)]).T
    wanted = [Aggregate("std", 1, 4.0 * n, include_current=False)]
    expected = [0.0]
    assert EntityWindow(rows).aggregate(wanted, float(n), rows[-1]) == expected
    line = Timeline(np.vstack([rows, [n, 1.0]]), np.zeros(n + 1, int), np.array([0, n + 1]))
    assert aggregate_many(line, np.array([n]), wanted).tolist() == [expected]


def test_a_spread_of_cents_on_millions_is_kept():
    rows = np.array([[0.0, 1e6], [1.0, 1e6 + 0.01]])
    [found] = EntityWindow(rows).aggregate([Aggregate("std", 1, 9.0)], 1.0, rows[0])
    assert found == pytest.approx(0.01 * 2**0.5 / 3, rel=1e-6)


def test_many_entities_over_many_years_get_what_each_gets_alone():
    n = 6000  # One event of 1970 makes the years so many that keys of all would pass int64.
    times = 1.7e9 + np.arange(4.0 * n)
    times[0] = 0.0
    rows, entity = np.stack([times, np.arange(4.0 * n)]).T, np.repeat(np.arange(n), 4)
    at, bounds = np.arange(4 * n), np.arange(0, 4 * n + 1, 4)
    wanted = [Aggregate("count", 0, 2.0), Aggregate("sum", 1, 2.0, 1.0)]
    found = aggregate_many(Timeline(rows, entity, bounds), at, wanted)
    assert found[-8:, 0].tolist() == [1.0, 2.0, 2.0, 2.0] * 2
    last = 4.0 * n - 1
    assert found[-4:, 1].tolist() == [0.0, last - 3, 2 * last - 5, 2 * last - 3]
    alone = Timeline(rows[4:], entity[4:] - 1, bounds[1:] - 4)
    assert np.array_equal(aggregate_many(alone, at[:-4], wanted), found[4:])
