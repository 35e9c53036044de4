"""Distinct entities over days: exact while few, close when many, whatever the split into days."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.core.distinct import _sigma, _tau, count_distinct, hash_of, pack, registers_of

tokens = st.lists(st.integers(0, 2**64 - 1), max_size=20)


@given(st.lists(tokens, max_size=5))
def test_few_are_counted_exactly_over_any_days(days):
    counted, exact = count_distinct([pack(day) for day in days])
    assert (counted, exact) == (len({one for day in days for one in day}), True)


@pytest.mark.parametrize("n", [300, 2_000, 20_000, 300_000])
def test_many_are_counted_to_a_few_percent(n):
    hashes = np.random.default_rng(n).integers(0, 2**64, n, np.uint64)
    counted, exact = count_distinct([pack(hashes.tolist())])
    assert not exact
    assert counted == pytest.approx(n, rel=0.08)


@pytest.mark.parametrize("x", [0.0, 0.1, 0.5, 0.9])
def test_the_corrections_are_the_series_of_the_paper(x):
    low = x + sum(x ** (2**k) * 2 ** (k - 1) for k in range(1, 10))
    high = 1 - x - sum((1 - x ** (2**-k)) ** 2 * 2**-k for k in range(1, 60))
    assert _sigma(x) == pytest.approx(low, rel=1e-12)
    assert _tau(x) == pytest.approx(high / 3 if x else 0.0, rel=1e-12)


@given(st.integers(1, 5), st.integers(0, 2**32))
def test_how_entities_are_spread_over_days_does_not_matter(days, seed):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, 2_000, np.uint64)
    parts = [hashes[i::days].tolist() for i in range(days)]
    # A day that meets them again changes nothing.
    parts.append(hashes[:300].tolist())
    spread, whole = count_distinct([pack(p) for p in parts]), count_distinct([pack(hashes)])
    assert spread == whole


def test_a_rank_is_the_zeros_that_begin_the_rest_and_one():
    assert registers_of(np.array([1 << 52], np.uint64))[0] == 1
    assert registers_of(np.array([1], np.uint64))[0] == 53
    assert registers_of(np.array([0], np.uint64))[0] == 54
    assert registers_of(np.array([2**53 - 1 + (5 << 53)], np.uint64))[5] == 1


def test_nothing_is_none():
    assert count_distinct([]) == (0, True)
    assert count_distinct([pack([])]) == (0, True)


def test_the_hash_of_a_token_stays():
    assert hash_of("user-1") == hash_of("user-1") != hash_of("user-2")
