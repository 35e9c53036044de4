"""A rule's text says the values of its parameters that are in force."""

import pytest

from scoring.core.bundle import compile_rules
from scoring.core.rule_spec import RuleSpec
from scoring.core.rule_text import MOST_SHOWN, filled_text, repeated, written
from scoring.core.spec import parse_spec
from scoring.core.vocabulary import RuleError
from tests.factories import config_of, spec_of

SHIPPED = ("anomaly", "cards", "credit_card_fraud", "creditcard", "fraud", "payments")


def said(text, *, when="location == 'x'", spec=None, stored=False, **parameters):
    rule = RuleSpec("R", 1, when, "REVIEW", text, parameters=parameters)
    return filled_text(rule, spec or spec_of("payments"), stored=stored)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Above {limit}.", "Above 5,000."),
        ("Above { limit }.", "Above 5,000."),
        ("{limit}{limit}", "5,0005,000"),
        ("Plain.", "Plain."),
        ("{{limit}} is {limit}", "{limit} is 5,000"),
        ("{{{limit}}}", "{5,000}"),
        ("A { and a } alone, {}, {1}, {a, b}, {limit:,}", None),
        ("Both }} and {{", "Both } and {"),
    ],
)
def test_a_place_is_filled_and_any_other_brace_is_a_brace(text, expected):
    assert said(text, limit=5000) == (text if expected is None else expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (10000, "10,000"), (10000.0, "10,000"), (1234.56, "1,234.56"), (0.125, "0.125"),
        (1e-7, "0.0000001"), (10**15, "1,000,000,000,000,000"), (-0.0, "0"), (-5, "-5"),
        (True, "yes"), (False, "no"), ("NG {limit}", "NG {limit}"), ([], "nothing"),
        (["NG"], "NG"), (["NG", "RU", 7995], "NG, RU and 7,995"),
        (["a"] * 15, ", ".join(["a"] * MOST_SHOWN) + " and 3 more"),
    ],
)  # fmt: skip
def test_values_are_told_exactly(value, expected):
    assert written(value) == said("{limit}", limit=value) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("transaction_amount > limit", "500 USD"),
        ("10 < transaction_amount <= limit", "500 USD"),
        ("-transaction_amount < -limit", "500 USD"),
        ("transaction_amount > limit + 1", "500 USD"),
        ("max(transaction_amount, limit) > 1", "500 USD"),
        ("default(transaction_amount, 0) > limit", "500 USD"),
        ("transaction_amount in [1, limit]", "500 USD"),
        ("time_delta > limit", "500"),
        ("transaction_amount / time_delta > limit", "500"),
        ("transaction_amount > limit * time_delta", "500"),
        ("(transaction_amount > 1) == (time_delta > limit)", "500"),
        ("transaction_amount >", "500"),
    ],
)
def test_an_amount_has_the_currency_of_the_detector(when, expected):
    assert said("{limit}", when=when, spec=spec_of("fraud"), limit=500) == expected


def test_an_aggregate_of_the_amount_is_one_and_a_ratio_is_none():
    config = config_of("payments")
    config["event"]["currency"] = {"default": "EUR"}
    spec = parse_spec(config)
    names = {feature.kind: feature.name for feature in spec.features if feature.field == "amount"}
    assert said("{x}", when=f"{names['mean']} > x", spec=spec, x=7) == "7 EUR"
    assert said("{x}", when=f"{names['ratio']} > x", spec=spec, x=7) == "7"


def test_where_events_bring_their_currency_no_one_currency_is_told():
    """A limit is compared with the number as it comes: 10,000 of what the event says."""
    assert said("{limit}", when="amount > limit", limit=10000) == "10,000"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Above {limt}.", r"\{limt\} names no parameter of the rule \(did you mean \{limit\}\?\)"),
        ("Above {amount}.", r"\(there is \{limit\}\); for braces write \{\{amount\}\} \(column 7"),
        ("{limit}" * 300, "at most 1,000"),
    ],
)
def test_a_place_that_names_no_parameter_is_refused(text, says):
    with pytest.raises(RuleError, match=says) as refused:
        said(text, limit=5000)
    assert refused.value.part == "text"


def test_what_was_taken_in_before_stays_as_it_is():
    assert said("Above {limt}, not {limit}.", stored=True, limit=5) == "Above {limt}, not 5."
    long = said("{limit}" * 300, stored=True, limit=5000)
    assert (len(long), long[-1]) == (1000, "…")


def test_a_number_that_the_text_repeats_is_pointed_out():
    parameters = {"limit": 10000, "payments": 3, "share": 0.2, "on": True, "codes": ["3"]}
    text = "Above 10,000, {limit}, 0.25, 13 or 10000.5: 3 times."
    assert repeated(text, parameters) == [("10,000", "limit"), ("3", "payments")]
    assert repeated("Above 10000.", parameters) == [("10000", "limit")]


@pytest.mark.parametrize("slug", SHIPPED)
def test_shipped_rules_say_the_number_in_force(slug):
    spec = spec_of(slug)
    for declared, compiled in zip(spec.rules, compile_rules(spec), strict=True):
        assert "{" not in compiled.text
        assert not repeated(declared.text, declared.parameters)
        numbers = [
            name for name, value in declared.parameters.items() if not isinstance(value, list)
        ]
        assert all(f"{{{name}}}" in declared.text for name in numbers)
