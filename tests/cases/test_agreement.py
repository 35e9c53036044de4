"""Kappa against published numbers; shares and quantiles against what can be counted by hand."""

from itertools import pairwise, product
from math import factorial, prod

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


@pytest.mark.parametrize(("agreed", "low"), [(40, 0.819), (4, -0.040)])
def test_few_who_all_agree_are_no_proof_of_agreement(agreed, low):
    found = cohens_kappa(pairs_of([[agreed * 3 // 4, 0], [0, agreed // 4]], ["fraud", "other"]))
    assert (found.value, found.low) == (pytest.approx(1.0), pytest.approx(low, abs=1e-3))


def test_all_who_differ_have_an_interval_too():
    found = cohens_kappa([("fraud", "other"), ("other", "fraud")] * 5)
    assert (found.value, found.low) == pytest.approx((-1.0, -1.0))
    assert found.high == pytest.approx(-0.521, abs=1e-3)


def test_each_more_look_that_differs_speaks_against_agreement():
    """From none that differs to one too: there is no formula of its own for perfect agreement."""
    tables = [pairs_of([[39, n], [0, 1]], ["fraud", "other"]) for n in range(6)]
    lows, highs = zip(*((k.low, k.high) for k in map(cohens_kappa, tables)), strict=True)
    assert list(lows) == sorted(lows, reverse=True)
    assert list(highs) == sorted(highs, reverse=True)
    assert max(a - b for a, b in pairwise(lows)) < 0.2


@pytest.mark.parametrize("agree", [0.0, 0.4, 0.8, 0.95])
@pytest.mark.parametrize("fraud", [0.5, 0.8])
def test_of_intervals_that_should_hold_in_95_of_100_at_least_91_do(fraud, agree):
    """Exactly: over every table of 20 looks, with its chance. The two agree in `agree` of them, in
    the others each finds fraud by chance: that is the true kappa."""
    chances = [
        agree * (a == b) * p + (1 - agree) * p * q
        for a, p in enumerate((fraud, 1 - fraud))
        for b, q in enumerate((fraud, 1 - fraud))
    ]
    held = told = 0.0
    for a, b, c in product(range(21), repeat=3):
        table = (a, b, c, 20 - a - b - c)
        found = table[3] >= 0 and cohens_kappa(pairs_of([table[:2], table[2:]], ["fraud", "other"]))
        if found and found.value is not None:
            ways = factorial(20) / prod(factorial(count) for count in table)
            chance = ways * prod(p**count for p, count in zip(chances, table, strict=True))
            told += chance
            held += chance * (found.low - 1e-9 <= agree <= found.high + 1e-9)
    assert held / told > 0.91


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("fraud", "fraud")] * 9,
        [("fraud", "fraud")] * 7 + [("fraud", "other")] * 3,
        [("other", "fraud")] * 3,
    ],
)
def test_nothing_is_said_where_nothing_can_be(pairs):
    """Kappa is 0 of whoever always says the same, however often the other does too."""
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
