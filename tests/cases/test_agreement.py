"""Kappa against published numbers; shares and quantiles against what can be counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.agreement import cohens_kappa, share_of
from cases.durations import bucket_of, quantile

WORDS = st.sampled_from(["fraud", "false_positive", "inconclusive"])


def pairs_of(table, words):
    return [
        (first, second)
        for first, row in zip(words, table, strict=True)
        for second, count in zip(words, row, strict=True)
        for _ in range(count)
    ]


def test_kappa_is_that_of_the_textbook():
    """Fleiss, Levin & Paik, "Statistical Methods for Rates and Proportions" (2003), table 18.1: 100
    diagnoses by two raters; kappa 0.68 with a standard error of 0.087."""
    table = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]
    found = cohens_kappa(pairs_of(table, ["psychotic", "neurotic", "organic"]))
    assert (found.pairs, found.observed) == (100, pytest.approx(0.89))
    assert found.expected == pytest.approx(0.66)
    assert found.value == pytest.approx(0.676, abs=5e-4)
    assert (found.high - found.low) / (2 * 1.959964) == pytest.approx(0.087, abs=1e-3)


def test_two_of_a_coin_agree_by_chance_alone():
    found = cohens_kappa(pairs_of([[25, 25], [25, 25]], ["fraud", "false_positive"]))
    assert found.value == pytest.approx(0.0)
    assert found.low < 0.0 < found.high


def test_perfect_agreement_is_one():
    found = cohens_kappa(pairs_of([[30, 0], [0, 10]], ["fraud", "false_positive"]))
    assert (found.value, found.high) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(("agreed", "low"), [(40, 0.766), (4, -0.306)])
def test_few_who_all_agree_are_no_proof_of_agreement(agreed, low):
    """Wilson's lower end of 40 in 40 is 0.912, of 4 in 4 it is 0.510; chance gives 0.625."""
    found = cohens_kappa(pairs_of([[agreed * 3 // 4, 0], [0, agreed // 4]], ["fraud", "other"]))
    assert (found.value, found.low) == (pytest.approx(1.0), pytest.approx(low, abs=1e-3))


def test_all_who_differ_have_an_interval_too():
    found = cohens_kappa([("fraud", "other"), ("other", "fraud")] * 5)
    assert (found.value, found.low) == pytest.approx((-1.0, -1.0))
    assert found.high > -0.5


@pytest.mark.parametrize("pairs", [[], [("fraud", "fraud")] * 9])
def test_nothing_is_said_where_nothing_can_be(pairs):
    found = cohens_kappa(pairs)
    assert (found.pairs, found.value, found.low) == (len(pairs), None, None)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=60))
def test_kappa_lies_in_its_interval_and_knows_no_first_and_second(pairs):
    found = cohens_kappa(pairs)
    turned = cohens_kappa([(b, a) for a, b in pairs])
    if found.value is None:
        assert turned.value is None
    else:
        assert -1.0 <= found.low <= found.value + 1e-9 and found.value <= found.high + 1e-9
        assert turned.value == pytest.approx(found.value)
        assert turned.low == pytest.approx(found.low)


def test_a_share_has_the_interval_of_wilson():
    found = share_of(8, 10)
    assert (found.value, round(found.low, 4), round(found.high, 4)) == (0.8, 0.4902, 0.9433)
    assert share_of(0, 0).value is None


@given(st.lists(st.floats(1.0, 3e6), min_size=1, max_size=80), st.floats(0.05, 1.0))
def test_a_quantile_is_right_to_within_five_percent(durations, share):
    counts: dict[int, int] = {}
    for one in durations:
        counts[bucket_of(one)] = counts.get(bucket_of(one), 0) + 1
    wanted = share * len(durations)
    exact = next(d for i, d in enumerate(sorted(durations), 1) if i >= wanted)
    assert quantile(counts, share) == pytest.approx(exact, rel=0.0501)


def test_no_durations_have_no_quantile():
    assert quantile({}, 0.5) is None
