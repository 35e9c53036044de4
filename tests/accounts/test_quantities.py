"""Numbers as people read them."""

import pytest

from accounts.quantities import (
    chance,
    counted,
    fine_percent,
    fixed,
    in_full,
    measured,
    money,
    p_value,
    per_day,
    signed,
    threshold,
    whole_percent,
    written,
)


@pytest.mark.parametrize(
    ("share", "whole", "fine"),
    [
        (0.0, "0", "0"),
        (1.0, "100", "100"),
        (0.999, "> 99", "99.9"),
        (0.9975, "> 99", "99.8"),
        (0.995, "> 99", "99.5"),
        (0.99996, "> 99", "99.996"),
        (0.87, "87", "87"),
        (0.005, "< 1", "0.50"),
        (0.0049, "< 1", "0.49"),
        (0.0025, "< 1", "0.25"),
        (0.000078, "< 1", "0.0078"),
        (0.0234, "2", "2.3"),
    ],
)
def test_a_share_is_never_said_to_be_all_or_nothing(share, whole, fine):
    assert (whole_percent(share), fine_percent(share)) == (whole, fine)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.004, "0.004"), (12.5, "12.5"), (0.0, "0"), (2.0, "2"), (1e-6, "0.000001"),
     (1234.5, "1,235"), (999_600.0, "999,600"), (-0.25, "-0.25"), (1_000_000.0, "1,000,000")],
)  # fmt: skip
def test_a_number_has_no_exponent_and_is_not_nothing(value, text):
    assert written(value) == text


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(0.1234, 3, "+0.123"), (-0.5, 1, "−0.5"), (-0.00004, 3, "0.000"), (0.0, 1, "0.0")],  # noqa: RUF001
)
def test_nothing_has_no_sign(value, places, text):
    assert signed(value, places) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.2195, "−0.22"), (0.5, "0.50"), (-0.001, "0.00")],  # noqa: RUF001
)
def test_below_nothing_stands_a_minus_and_above_it_no_plus(value, text):
    assert fixed(value, 2) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.25, "−0.25"), (0.0, "0"), (-1e-300, "−1e−300"), (1.2345678e12, "1.23457e12"),  # noqa: RUF001
     (1_700_000_123.0, "1,700,000,123"), (float("-inf"), "−∞"), (1e-9, "0.000000001")],  # noqa: RUF001
)  # fmt: skip
def test_a_value_is_short_and_never_an_error_however_large_or_small(value, text):
    assert measured(value, 6) == text


def test_a_small_chance_is_not_none():
    assert (chance(1e-9), chance(0.0312), chance(1.0)) == ("< 0.001", "0.031", "1.000")


def test_a_p_value_is_a_sentence():
    assert (p_value(1e-9), p_value(0.0312)) == ("p < 0.001", "p = 0.031")


@pytest.mark.parametrize(
    ("risk", "text"),
    [(0.872, "0.8720"), (0.99996, "0.999960"),
     (0.00003, "0.000030"), (1.0, "1.0000"), (2.0, "never")],
)  # fmt: skip
def test_a_threshold_is_set_apart_from_both_ends(risk, text):
    assert threshold(risk) == text


@pytest.mark.parametrize(
    ("risk", "text"),
    [(0.2, "0.2000"), (0.046875, "0.046875"), (3e-9, "0.000000003"), (1.0, "1.0000")],
)
def test_a_threshold_in_full_has_all_its_decimals_and_no_exponent(risk, text):
    assert in_full(risk) == text
    assert float(text) == risk


@pytest.mark.parametrize(
    ("amount", "text"),
    [(1234.5, "€ 1,235"), (-0.004, "€ 0.00"), (-0.4, "−€ 0.40"), (99.999, "€ 100.00")],  # noqa: RUF001
)
def test_money_is_rounded_half_up_and_nothing_has_no_sign(amount, text):
    assert money(amount, "EUR").replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    ("text", "rounded"),
    [(fixed(2.675, 2), "2.68"), (fixed(-0.125, 2), "−0.13"), (written(97_000.5), "97,001"),  # noqa: RUF001
     (whole_percent(0.145), "15"), (fine_percent(0.0125), "1.3"), (per_day(20.5), "21"),
     (signed(0.0005, 3), "+0.001"), (threshold(0.00125), "0.0013"), (chance(0.0625), "0.063"),
     (fixed(2.0**53 + 2, 0), "9,007,199,254,740,994"), (fixed(2.6749, 2), "2.67")],
)  # fmt: skip
def test_every_half_is_rounded_away_from_nothing_as_money_is(text, rounded):
    assert text == rounded


def test_one_is_no_plural():
    assert [counted(n, "job") for n in (0, 1, 1200)] == ["0 jobs", "1 job", "1,200 jobs"]
