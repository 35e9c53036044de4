"""Likeness of explanations: of direction, not of size; symmetric, bounded, in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cases.similarity import direction, in_common, nearest, nearest_by_rules

vectors = arrays(np.float64, 5, elements=st.floats(-1e6, 1e6, allow_subnormal=False))


@given(vectors)
def test_a_direction_has_length_one_or_is_nothing(values):
    length = float(np.linalg.norm(direction(values)))
    assert abs(length - 1.0) < 1e-5 or (length == 0.0 and not values.any())


@given(vectors.filter(np.any), st.floats(1e-3, 1e3))
def test_size_does_not_count(values, times):
    own = direction(values)
    assert nearest(own, direction(values * times)[None, :]) == [(0, pytest.approx(1.0, abs=1e-5))]


@given(vectors, arrays(np.float64, (6, 5), elements=st.floats(-10, 10)))
def test_the_likest_come_first_and_none_is_below_the_least(values, rows):
    others = np.stack([direction(row) for row in rows])
    found = [likeness for _, likeness in nearest(direction(values), others, least=0.3)]
    assert found == sorted(found, reverse=True)
    assert all(0.3 <= likeness <= 1.0 for likeness in found)


def test_opposite_reasons_are_not_alike():
    own = direction(np.array([2.0, 1.0, 0.0]))
    assert nearest(own, -own[None, :]) == []


def test_nothing_is_like_an_explanation_that_says_nothing():
    own = direction(np.array([np.nan, 1.0]))
    assert nearest(own, np.ones((3, 2), np.float32)) == []
    assert nearest(direction(np.ones(2)), np.zeros((0, 2), np.float32)) == []


def test_what_makes_two_alike_is_named():
    own, other = direction(np.array([3.0, -1.0, 0.1])), direction(np.array([2.0, -2.0, -0.1]))
    assert in_common(own, other) == [0, 1]


def test_rules_alone_are_compared_by_what_they_share():
    rows = [["A", "B"], ["A"], ["C"], []]
    assert nearest_by_rules(["A", "B"], rows) == [(0, 1.0)]
    assert nearest_by_rules(["A", "B"], rows, least=0.5) == [(0, 1.0), (1, 0.5)]
    assert nearest_by_rules([], rows) == []
