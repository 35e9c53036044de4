"""A rule looks for a text among texts and for a number among numbers."""

import pytest

from scoring.core.rule_spec import RuleSpec
from scoring.core.rules import compile_rule
from scoring.core.vocabulary import ANY, NUMBER, TEXT, TRUTH, RuleError

KINDS = {"amount": NUMBER, "hour": NUMBER, "country": TEXT, "known": TRUTH}


def compiled(when, known=KINDS, *, parameters=None, stored=False):
    spec = RuleSpec("R", 1, when, "REVIEW", "Because.", parameters=parameters or {})
    return compile_rule(spec, known, stored=stored)


@pytest.mark.parametrize(
    ("when", "says", "column"),
    [
        ("country in [7995, 'DE']", "they never match; write '7995'", 13),
        ("amount > 1 and country not in ('DE', 2.5)", "write '2.5'", 38),
        ("country in numbers", "'country' is a text and 7995 in the list is a number", 12),
        ("lower(country) in [true]", "true in the list is a truth", 20),
        ("'DE' == country in [1]", "'country' is a text", 21),
        ("amount + 1 in [1, '5']", "'5' in the list is a text: they never match; write 5", 19),
        ("hour not in codes", "'7995' in the list is a text", 13),
        ("hour in ['DE']", "they never match (", 10),
        ("known in ['true']", "'known' is a truth and 'true' in the list is a text", 11),
        ("country in [limit]", "7 in the list is a number", 13),
    ],
)
def test_a_list_without_the_kind_that_is_looked_for_is_refused(when, says, column):
    parameters = {"numbers": ["7995", 7995], "codes": ["7995"], "limit": 7}
    with pytest.raises(RuleError) as caught:
        compiled(when, parameters=parameters)
    assert says in str(caught.value)
    assert caught.value.column == column


def test_kinds_that_nobody_declared_may_be_looked_for_among_any():
    found = compiled("mystery in [7995, '7995']", known={"mystery": ANY})
    assert [found.matches({"mystery": value}) for value in (7995, "7995", "x")] == [
        True, True, False,
    ]  # fmt: skip
    assert compiled("known in [1, 0]").matches({"known": True})


def test_a_stored_rule_means_what_it_meant_when_it_was_taken_in():
    found = compiled("country in [7995, 'DE']", stored=True)
    assert [found.matches({"country": value}) for value in ("7995", "DE")] == [False, True]
