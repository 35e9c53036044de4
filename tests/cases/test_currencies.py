"""Which codes of currencies are told as unknown."""

import pytest

from cases.currencies import ISO_4217, unknown_currencies, word_of_unknown


def test_every_listed_code_is_three_capitals():
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in ISO_4217)
    assert {"EUR", "USD", "JPY", "GBP", "CHF", "XAU", "ZWG"} <= ISO_4217
    assert not {"XXX", "XTS"} & ISO_4217


@pytest.mark.parametrize(
    ("codes", "unknown"),
    [(["EUR", "eur", ""], []), (["XQZ", "USD", "btc"], ["XQZ", "btc"]), ([], [])],
)
def test_what_is_not_listed_is_told_in_whatever_letters(codes, unknown):
    assert unknown_currencies(codes) == unknown
    assert bool(word_of_unknown(codes)) == bool(unknown)
