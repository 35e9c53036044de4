"""Sliding windows as bytes: small rates exactly, large ones in little room, never too many."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts import rate_windows
from accounts.rate_windows import MICRO, MOST_EXACT, PARTS, SlidingWindow
from accounts.rates import Limit

DAY = Limit(900_000, 86_400)


def taken(window, limits, moments):
    """The moments (microseconds) that were let through; each time from what was stored."""
    allowed = []
    for at in moments:
        if window.take(at, limits) == 0:
            allowed.append(at)
        window = SlidingWindow.read(window.write())
    return allowed


@given(st.lists(st.integers(0, 400_000), max_size=120))
def test_a_large_limit_lets_never_more_through_and_room_comes_at_most_a_part_late(steps):
    limit = Limit(8, 1)
    moments = [MICRO + sum(steps[: i + 1]) for i in range(len(steps))]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rate_windows, "MOST_EXACT", 3)
        patched.setattr(rate_windows, "PARTS", 10)
        allowed = taken(SlidingWindow(), [limit], moments)
    for at in moments:
        before = [other for other in allowed if at - MICRO < other <= at]
        assert len(before) <= limit.count
        if at not in allowed:
            late = [other for other in allowed if at - MICRO - MICRO // 10 < other <= at]
            assert len(late) >= limit.count


@given(st.lists(st.integers(0, 400_000), max_size=80))
def test_what_it_says_to_wait_is_enough_and_not_too_much(steps):
    limit, window, at = Limit(5, 1), SlidingWindow(), MICRO
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rate_windows, "MOST_EXACT", 3)
        for step in steps:
            at += step
            if wait := window.take(at, [limit]):
                assert window.take(at + wait - 1, [limit]) == 1
                assert window.take(at + wait, [limit]) == 0
                at += wait


def test_a_full_day_of_a_generous_rate_takes_little_room():
    window = SlidingWindow()
    part = DAY.seconds * MICRO // PARTS
    counts = [(i * part, DAY.count // PARTS) for i in range(1, PARTS + 1)]
    window.counts[DAY] = counts
    now = PARTS * part
    assert sum(number for _, number in counts) == DAY.count
    assert 0 < window.take(now, [DAY]) <= 2 * part
    assert len(window.write()) <= 16 * (PARTS + 2)
    assert window.take(now + part, [DAY]) == 0


def test_small_limits_beside_a_large_one_stay_exact():
    limits = [Limit(2, 1), DAY]
    start = 1000 * MICRO
    moments = [start, start + 1, start + 2, start + MICRO - 1, start + MICRO, start + MICRO + 1]
    assert taken(SlidingWindow(), limits, moments) == [moments[i] for i in (0, 1, 4, 5)]


def test_the_default_rate_is_exact():
    assert MOST_EXACT >= 1000
    window = SlidingWindow()
    assert taken(window, [Limit(1000, 3600)], [MICRO, MICRO + 1]) == [MICRO, MICRO + 1]
    assert not window.counts


def test_what_earlier_versions_stored_counts():
    stored = array("q", range(MICRO, MICRO + 2000)).tobytes()
    few, many = Limit(2000, 60), Limit(2001, 60)
    assert SlidingWindow.read(stored).take(2 * MICRO, [few]) > 0
    window = SlidingWindow.read(stored)
    assert window.take(2 * MICRO, [many]) == 0
    assert window.take(2 * MICRO, [many]) > 0
    assert len(window.write()) < 100


def test_a_clock_that_was_set_back_keeps_nobody_out_longer_than_a_window(monkeypatch):
    monkeypatch.setattr(rate_windows, "MOST_EXACT", 3)
    window, limits, ahead = SlidingWindow(), [Limit(3, 60), Limit(4, 3600)], 10**9 * MICRO
    assert [window.take(ahead + i, limits) for i in range(3)] == [0, 0, 0]
    assert window.set_back(1000 * MICRO)
    assert window.take(1000 * MICRO, limits) == 60 * MICRO
    assert not window.set_back(1060 * MICRO)
    assert window.take(1060 * MICRO, limits) == 0
    assert window.take(1061 * MICRO, limits) == (1000 + 3600 - 1061) * MICRO
    assert window.take(4600 * MICRO, limits) == 0


def test_clocks_that_differ_a_little_let_no_more_through():
    window, limits = SlidingWindow(), [Limit(2, 60)]
    moments = [100 * MICRO, 99 * MICRO, 100 * MICRO, 159 * MICRO, 160 * MICRO]
    assert taken(window, limits, moments) == [100 * MICRO, 99 * MICRO, 160 * MICRO]
    assert not window.set_back(151 * MICRO)
