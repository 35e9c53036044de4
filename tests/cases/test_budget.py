"""The budget's shares are kept, rows are spread without losing one; words are found as typed."""

import itertools
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cases.budget import Budget, Purpose, places, spread
from cases.words import LONGEST, MOST, asked_words, whole_word, words_of


@given(st.lists(st.integers(), unique=True, max_size=60), st.integers(0, 20))
def test_spreading_keeps_every_row_once_and_both_orders(main, n):
    others = [f"o{i}" for i in range(n)]
    mixed = spread(main, others)
    assert [row for row in mixed if isinstance(row, int)] == main
    assert [row for row in mixed if isinstance(row, str)] == others


def test_the_others_stand_between_and_not_in_a_heap():
    mixed = spread(list(range(45)), ["a", "b", "c", "d", "e"])
    at = [i for i, row in enumerate(mixed) if isinstance(row, str)]
    assert min(b - a for a, b in itertools.pairwise(at)) >= 8


def test_draws_keep_the_shares():
    budget, rng = Budget(uncertain=0.2, audit=0.1), Random(5)
    drawn = Counter(budget.draw(rng) for _ in range(5000))
    assert abs(drawn[Purpose.UNCERTAIN] / 5000 - 0.2) < 0.02
    assert abs(drawn[Purpose.AUDIT] / 5000 - 0.1) < 0.015
    assert sum(budget.share(purpose) for purpose in Purpose) == pytest.approx(1.0)


def test_a_share_is_a_row_at_least_and_nothing_is_none():
    assert [places(share, 50) for share in (0.0, 0.001, 0.1, 1.0)] == [0, 1, 5, 50]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.text(max_size=30), max_size=12))
def test_words_are_bounded_lower_case_and_each_once(texts):
    words = words_of(texts).split(" ")[1:-1]
    assert len(words) == len(set(words)) <= MOST
    assert all(word and len(word) <= LONGEST for word in words)


def test_words_of_before_stay_and_numbers_split_as_they_are_asked():
    first = words_of(["Amount 10,000.00"], f" {whole_word('ab12')} ")
    assert words_of(["Berlin"], first).split() == ["=ab12", "amount", "10", "000", "00", "berlin"]
    assert asked_words("above 10,000!") == ["above", "10", "000"]
