"""Declared rates: what is added, what is read from files, and what is refused."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.exchange import (
    RateError,
    Rates,
    approximation,
    check_rate,
    common_total,
    kept_words,
    leaps,
    parts_of,
    plain,
    read_rates,
    without_rate,
)

RATES = Rates("USD", {"JPY": Decimal("0.0067"), "EUR": Decimal("1.1")}, 7)


def test_amounts_are_added_in_the_common_currency_exactly():
    parts = parts_of({"JPY": Decimal(50_000), "EUR": Decimal("0.10"), "USD": Decimal(1)}, RATES)
    assert common_total(parts) == Decimal("336.11")
    assert without_rate(parts) == ()


def test_the_largest_amounts_and_rates_are_added_without_rounding():
    most = Rates("USD", {"KWD": Decimal("999999.999999999")}, 1)
    parts = parts_of({"KWD": Decimal("9" * 16 + ".99"), "USD": Decimal("0.01")}, most)
    assert common_total(parts) == Decimal("9999999999999989990000.01000000001")


def test_a_refund_in_one_currency_takes_nothing_from_another():
    parts = parts_of({"JPY": Decimal(-(10**9)), "USD": Decimal(40)}, RATES)
    assert common_total(parts) == 40


def test_what_has_no_rate_is_named_unless_nothing_is_at_risk_in_it():
    parts = parts_of({"CHF": Decimal(1), "GBP": Decimal(0), "jpy": Decimal(1)}, RATES)
    assert without_rate(parts) == ("CHF",)


@given(st.decimals("0.000000001", "999999.999999999", places=9))
def test_a_rate_is_read_as_it_was_written(rate):
    assert check_rate("jpy ", plain(rate), common="USD") == ("JPY", rate)


@pytest.mark.parametrize("text", [
    "", "0", "-1", "nan", "inf", "1e999", "1_000", "\N{ARABIC-INDIC DIGIT FIVE}",
    "0.0067 EUR", "1,5", "9" * 5000, "1000000",
    "0.0000000001", "0x1", "0.0067\0",
])  # fmt: skip
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(RateError, match="JPY"):
        check_rate("JPY", text, common="USD")


@pytest.mark.parametrize("code", ["", "US", "EURO", "U$D", "ÄÖÜ", "J\0Y", "USD", "usd"])
def test_what_is_no_other_currency_is_refused(code):
    with pytest.raises(RateError):
        check_rate(code, "1", common="USD")


@pytest.mark.parametrize("file", [
    b"currency,rate\nJPY,0.0067\n\nEUR,1.1\n",
    b"\xef\xbb\xbfCurrency, Rate\r\n\"JPY\",0.0067\r\nEUR,1.1",
    b'{"JPY": "0.0067", "EUR": 1.1}', b'\n{"JPY": 0.00670,\n "EUR": "1.10"}',
])  # fmt: skip
def test_a_file_is_read_exactly(file):
    assert read_rates(file, common="USD") == {"JPY": Decimal("0.0067"), "EUR": Decimal("1.1")}


@pytest.mark.parametrize(("file", "told"), [
    (b"", "no rate"), (b"currency,rate\n", "no rate"), (b"{}", "no rate"),
    (b"JPY,0.0067\n", "Line 1: begin with"),
    (b"currency,rate\nJPY\n", "Line 2: 1 columns"),
    (b"currency,rate\nJPY,1,2\n", "Line 2: 3 columns"),
    (b"currency,rate\nEUR,1.1\n\nJPY,x\n", "Line 4: The rate of JPY"),
    (b"currency,rate\nJPY,1\nJPY,1\n", "Line 3: JPY was there"),
    (b"currency,rate\nUSD,1\n", "Line 2: USD is the common"),
    (b"currency,rate\n'JPY',1\n", "Line 2:"),
    (b'currency,rate\n"JPY,1\n', "Line"),
    (b"currency,rate\nJPY,\x00\n", "Line 2:"),
    (b"currency,rate\n\xff\xfe,1\n", "Line 2: this is no UTF-8"),
    (b'{"JPY": 0.0067,\n "EUR": nan}', "Line 2: this is no JSON"),
    (b'{"JPY": 0.0067,\n "EUR": NaN}', "Line 2: The rate of EUR"),
    (b'{"JPY": 0.0067,\n "JPY": 0.0067}', "Line 2: JPY was there"),
    (b'{"JPY": 0.0067,\n "EUR": {"a": 1}}', "Line 2: The rate of EUR"),
    (b'{"JPY": [1]}', "Line 1: The rate of JPY"),
    (b'[["JPY", 1]]', "one object"), (b"[" * 60_000, "Line 1"), (b"[" + b"1," * 9, "Line 1"),
    (b'{"JPY": ' + b"9" * 5000 + b"}", "Line 1: The rate of JPY"),
    (b"x" * 70_000, "larger than 64 KB"),
])  # fmt: skip
def test_a_bad_file_says_which_line(file, told):
    with pytest.raises(RateError, match=told):
        read_rates(file, common="USD")


def test_every_bad_line_is_told_up_to_ten():
    file = b"currency,rate\n" + b"JPY,x\n" * 12
    with pytest.raises(RateError, match=r"Line 2: .*Line 11: .*And 2 more"):
        read_rates(file, common="USD")


@given(st.binary(max_size=80))
def test_whatever_the_bytes_are_the_answer_is_rates_or_a_refusal(data):
    with suppress(RateError):
        assert read_rates(data, common="USD")


def test_a_rate_that_changes_tenfold_is_told():
    before = {"JPY": Decimal("0.0067"), "EUR": Decimal("1.1")}
    assert leaps(before, {"JPY": Decimal("0.06"), "EUR": Decimal("0.12"), "CHF": Decimal(9)}) == []
    assert leaps(before, {"JPY": Decimal(149), "EUR": Decimal("0.11")}) == [
        "JPY from 0.0067 to 149", "EUR from 1.1 to 0.11",
    ]  # fmt: skip


def test_what_is_shown_says_how_it_was_converted():
    assert approximation(Decimal(50_000), Decimal("0.0067"), "USD") == "≈ 335.00 USD at 0.0067"
    kept = [part.as_kept() for part in parts_of(
        {"CHF": Decimal(5), "JPY": Decimal(50_000), "USD": Decimal(1)}, RATES)]  # fmt: skip
    assert kept_words(kept) == "5.00 CHF without a rate and 50,000.00 JPY at 0.0067 and 1.00 USD"
