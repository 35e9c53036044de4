"""A condition that cannot be read is refused with the place where it stands."""

import pytest

from scoring.core.rule_parsing import names_in
from scoring.core.rule_spec import RuleSpec
from scoring.core.rules import compile_rule
from scoring.core.vocabulary import NUMBER, TEXT, RuleError

KINDS = {"amount": NUMBER, "hour": NUMBER, "country": TEXT, "note": TEXT}


def rule(when, **more):
    return compile_rule(RuleSpec("R", 1, when, "REVIEW", "Because."), KINDS, **more)


@pytest.mark.parametrize(
    ("when", "column"),
    [
        ("amount > 1 or secret > 2", 15),
        ("  secret > 2", 3),
        ("note == 'ä' and secret > 2", 17),
        ("amount > > 1", 10),
        ("amount > 1 and note > 2", 16),
        ("amount in note", 11),
        ("amount > 1 # why", 12),
    ],
)
def test_a_refusal_names_the_column(when, column):
    with pytest.raises(RuleError) as refused:
        rule(when)
    assert refused.value.column == column
    assert str(refused.value).endswith(f"(column {column})")


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("amount >", "the condition is not finished (column 9)"),
        ("amount >  ", "the condition is not finished (column 9)"),
        ("  amount >", "the condition is not finished (column 11)"),
        ("amount > 1 and", "the condition is not finished (column 15)"),
        ("note == 'äöü' and", "the condition is not finished (column 18)"),
        ("2 <= hour <", "the condition is not finished (column 12)"),
        ("not", "the condition is not finished (column 4)"),
        ("country not in", "the condition is not finished (column 15)"),
        ("-", "the condition is not finished (column 2)"),
        ("amount > 1 and\n  hour >\n", "the condition is not finished (line 2, column 9)"),
        ("amount > (", "'(' is not closed (column 10)"),
        ("amount > 1 and (hour < 3", "'(' is not closed (column 16)"),
        ("contains(note,", "'(' is not closed (column 9)"),
        ("country in ['DE',", "'[' is not closed (column 12)"),
        ("country == 'DE", "the text that begins here has no closing quote (column 12)"),
        ("note == 'ä' or country == 'D", "has no closing quote (column 27)"),
        ("amount > 1)", "')' closes nothing (column 11)"),
        ("(amount > 1]", "']' does not close '(' (column 12)"),
        ("amount > > (1", "this is not an expression (column 10)"),
        ("note == 'äöü' $", "this is not an expression (column 15)"),
        ("amount > 1\x00", "this character is none of a rule (column 11)"),
        ("", "the condition is empty"),
        (" \n ", "the condition is empty"),
    ],
)
def test_an_unfinished_condition_is_told_where_it_ends(when, says):
    with pytest.raises(RuleError) as refused:
        rule(when)
    assert str(refused.value).endswith(says)


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("amount = 5", "this is not an expression: write == to compare (column 8)"),
        ("amount > 1 && hour < 3", "write 'and' (column 13)"),
        ("amount > 1 || hour < 3", "write 'or' (column 13)"),
        ("country <> 'DE'", "write != (column 9)"),
        ("!missing(country)", "write 'not' (column 1)"),
        ("amount > 1 AND hour < 3", "are written in small letters (column 12)"),
        ("country == DE", "no field, feature or parameter; a text has quotes: 'DE' (column 12)"),
        ("amount > 1,000", "numbers have no commas, and a list has square brackets (column 1)"),
        ("amount > 1 'a = b' 2", "this is not an expression (column 12)"),
    ],
)  # fmt: skip
def test_what_other_languages_write_is_answered_with_what_to_write(when, says):
    with pytest.raises(RuleError) as refused:
        rule(when)
    assert str(refused.value).endswith(says)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_of_several_lines_the_line_is_told(end):
    with pytest.raises(RuleError, match=r"\(line 2, column 3\)"):
        rule(f"amount > 1 and{end}  secret > 2")
    with pytest.raises(RuleError, match=r"\(line 1, column 1\)"):
        rule(f"amuont > 1 and{end}hour > 2")


def test_personal_data_is_refused_by_that_name():
    when = "amount > 1 and name == 'Ada'"
    with pytest.raises(RuleError, match=r"'name' is personal data.*deny list.*event\.pii") as said:
        rule(when, hidden={"name"})
    assert said.value.column == 16
    with pytest.raises(RuleError, match="no field, feature"):
        rule(when)


def test_names_are_found_without_compiling():
    assert names_in("abs(amount) > limit and true or gone") == {"amount", "limit", "gone"}
    assert names_in("amount > > 1") == set()
