"""Whole words that a rule looks for in a text."""

import pytest

from scoring.core.rule_spec import RuleSpec
from scoring.core.rules import compile_rule
from scoring.core.vocabulary import RuleError
from tests.scoring.core.test_rules import KINDS, PARAMETERS, matches, rule


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("mentions(note)", "write mentions\\(text, list\\)"),
        ("mentions()", "write mentions\\(text, list\\)"),
        ("mentions(note, 'casino')", "mentions needs a list such as"),
        ("mentions(note, limit)", "the parameter 'limit' is a number"),
        ("mentions(note, [7995])", "write '7995'"),
        ("mentions(note, ['--'])", "'--' has no letter or digit to look for"),
        ("mentions(amount, ['a'])", "mentions takes a text"),
    ],
)
def test_what_mentions_cannot_look_for_is_refused(when, says):
    with pytest.raises(RuleError, match=says):
        rule(when, parameters=PARAMETERS)


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("PayPal Holdings", "paypal", True),
        ("PayPal Holdings", "pay pal", True),
        ("paypal holdings", "PayPal", True),
        ("MoneyGram desk", "moneygram", True),
        ("eBay", "ebay", True),
        ("McDonald's", "mcdonald", True),
        ("OnlineCasino", "casino", True),
        ("OnlineCasino", "onlinecasino", True),
        ("onlinecasino", "casino", False),
        ("pay palace", "pay pal", False),
        ("PayPalace", "pay pal", False),
    ],
)
def test_a_word_with_an_inner_capital_is_one_and_two(text, phrase, found):
    assert matches(f"mentions(note, ['{phrase}'])", note=text) == found


def test_a_stored_list_may_hold_what_no_text_mentions():
    spec = RuleSpec("R", 1, "mentions(note, [7995, 'a'])", "REVIEW", "Because.")
    assert compile_rule(spec, KINDS, stored=True).matches({"note": "A b"})


def test_mentions_does_not_know_of_a_text_that_is_missing():
    assert not matches("mentions(note, ['a'])", note=None)
    assert not matches("not mentions(note, ['a'])", note=None)
