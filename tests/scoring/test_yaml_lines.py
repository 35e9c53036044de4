"""Mistakes in a declaration are told with the line on which they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.core.json_values import DEEPEST, is_too_deep
from scoring.core.reader import SpecError
from scoring.declarations import SHIPPED, read_config
from scoring.yaml_lines import read_yaml, with_lines

CARDS = (SHIPPED / "cards.yaml").read_text(encoding="utf-8")


def lines_told(tmp_path, text):
    path = tmp_path / "detector.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        read_config(path)
    return [place.partition(":")[0] for place, _ in caught.value.problems]


def line_of(text, part):
    return f"line {next(i for i, line in enumerate(text.splitlines(), 1) if part in line)}"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("windows: [1d, 7d, 30d]\n        agg", "windows: [1 day]\n        agg"),
        ("entity: CUSTOMER_ID", "entity: NOBODY"),
        ("type: calendar", "type: kalender"),
        ("when: TX_AMOUNT > limit", "when: TX_AMOUNT >"),
        ("label_delay: 7d", "label_delay: soon"),
        ("name: Handbook features", "nom: Handbook features"),
        ("outcome: REVIEW", "outcome: APPROVE"),
        ("TX_AMOUNT: {type: number", "TX_AMOUNT: {type: money"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, right, wrong):
    assert right in CARDS
    told = lines_told(tmp_path, CARDS.replace(right, wrong, 1))
    place = line_of(CARDS.replace(right, wrong, 1), wrong.splitlines()[0])
    assert place in told


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("entity: CUSTOMER_ID", "entitty: CUSTOMER_ID", "is not a setting; did you mean entity?"),
        ("entity: CUSTOMER_ID", "entity: CUSTOMR_ID", "event.schema; did you mean CUSTOMER_ID?"),
        ("label_delay: 7d", "label_dely: 7d", "is not a setting; did you mean label_delay?"),
        ("type: calendar", "type: calender", "; did you mean calendar?"),
        ("  entity: CUSTOMER_ID", "   entity: CUSTOMER_ID", "is indented otherwise"),
        ("  entity: CUSTOMER_ID", "  entity:CUSTOMER_ID", "a colon and a blank behind it"),
        ("windows: [1d, 7d, 30d]", "windows: [1d, 7d, 30d", "the bracket of line"),
        ("name: Handbook features", "name: 'Handbook", "quote of line"),
        ("name: Handbook features", "name: %", "needs quotes"),
        ("TX_AMOUNT: {type: number", "TX_AMOUNT: {type: float", "boolean, not 'float'"),
    ],
)
def test_a_mistake_says_what_to_write_instead(tmp_path, right, wrong, told):
    assert right in CARDS
    path = tmp_path / "detector.yaml"
    path.write_text(CARDS.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        read_config(path)
    assert told in "\n".join(message for _, message in caught.value.problems)


def test_a_file_in_another_encoding_is_told_so(tmp_path):
    path = tmp_path / "detector.yaml"
    path.write_bytes(CARDS.replace("Handbook", "Händler", 1).encode("latin-1"))
    with pytest.raises(SpecError, match=r"is no UTF-8 text .* save it as UTF-8"):
        read_config(path)


def test_all_are_told_at_once_in_the_order_of_the_file(tmp_path):
    text = CARDS.replace("entity: CUSTOMER_ID", "entity: NOBODY").replace("30d", "30 days")
    told = lines_told(tmp_path, text)
    assert len(told) >= 3
    assert told == sorted(told, key=lambda line: int(line.split()[1]))


def test_every_rule_that_cannot_be_read_is_told(tmp_path):
    rule = "  - {code: OTHER, when: nothing > 1}\n"
    text = CARDS.replace("TX_AMOUNT > limit", "TX_AMOUNT >").replace("costs:", rule + "costs:")
    assert len(lines_told(tmp_path, text)) == 2


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("text: The amount is above {limit}", "text: Above {limt}", "{limt} names no parameter"),
        ("parameters: {limit: 220}", "parameters: {limit: 1.0e+16}", "a number lies between"),
        ("when: TX_AMOUNT > limit", "when: TX_AMOUNT in limit", "'limit' is a number"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_at_the_part_it_is_about(tmp_path, right, wrong, says):
    assert right in CARDS
    path = tmp_path / "detector.yaml"
    path.write_text(CARDS.replace(right, wrong), encoding="utf-8")
    with pytest.raises(SpecError, match="Rule ABOVE_USUAL_LIMIT") as caught:
        read_config(path)
    [(place, said)] = caught.value.problems
    assert place.startswith(line_of(path.read_text(), wrong))
    assert says in said


def test_a_key_given_twice_is_a_mistake(tmp_path):
    assert lines_told(tmp_path, "slug: one\nname: x\nslug: two\n") == ["line 3"]


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.lists(st.integers()), min_size=1))
def test_every_entry_has_a_line(value):
    text = "".join(f"{key}:\n" + "".join(f"- {n}\n" for n in ns) for key, ns in value.items())
    _, lines = read_yaml(text)
    for key, numbers in value.items():
        for i, number in enumerate(numbers):
            assert text.splitlines()[lines[f"{key}[{i}]"] - 1] == f"- {number}"


def test_what_is_missing_is_told_where_it_should_stand():
    _, lines = read_yaml("a: 1\nrules:\n  - code: X\n")
    found = with_lines([("rules[0].when", "is missing"), ("features", "is missing")], lines)
    assert [place for place, _ in found] == ["line 1: features", "line 3: rules[0].when"]


def test_a_date_is_the_text_that_it_is_written_as():
    value, _ = read_yaml("since: 2013-09-01T00:00:00Z\nname: 2020-01-01\n")
    assert value == {"since": "2013-09-01T00:00:00Z", "name": "2020-01-01"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\na: " + "[" * 100_000 + "]" * 100_000, id="lists"),
        pytest.param("\n" + "- " * 100_000 + "x", id="items"),
        pytest.param("\na: " + "{b: " * 100_000, id="objects"),
    ],
)
def test_what_is_nested_too_deeply_is_said_to_be_with_its_line(text):
    with pytest.raises(SpecError, match="line 2: is nested too deeply"):
        read_yaml(text)


def test_what_is_not_nested_too_deeply_is_read():
    value, _ = read_yaml("[" * DEEPEST + "]" * DEEPEST)
    assert not is_too_deep(b"[" * DEEPEST, value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: 1\nzz: &a [*a]\n", id="of itself"),
        pytest.param(
            "a0: &a0 [x, x]\n"
            + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)),
            id="of a million",
        ),
    ],
)
def test_an_alias_is_refused_with_its_line(text):
    with pytest.raises(SpecError, match=r"line 2: \*a0?: aliases are not read"):
        read_yaml(text)


@pytest.mark.parametrize("text", ["a:\n\t- b\n", "a: é😀\n\t- b: 1", "a: 1\u2028\tb"])
def test_a_tab_is_told_as_one(text):
    with pytest.raises(SpecError, match="line 2: begins with a tab: YAML is indented with spaces"):
        read_yaml(text)


NO_YAML = ["a: \ud800", "a: \0b", "\x07", "a: [1,", "a: !foo 1", "a: 1\n--- 2"]
NO_JSON = ["a: !!binary YQ==", "a: !!set {b}", "a: !!timestamp 2026-99-99", "a: !!bool x"]
NO_NUMBERS = [f"a: {'9' * 400}", f"a: {'9' * 5000}", f"a: 0x{'f' * 6000}", "a: !!int ''"]


@pytest.mark.parametrize("text", [*NO_YAML, *NO_JSON, *NO_NUMBERS])
def test_what_is_no_yaml_is_refused(text):
    with pytest.raises(SpecError, match=r"^line \d: "):
        read_yaml(text)


def test_a_second_document_is_told_as_one():
    with pytest.raises(SpecError) as caught:
        read_yaml("name: a\n---\nname: b\n")
    [(where, said)] = caught.value.problems
    assert where == "line 2"
    assert said.startswith("begins a second document")
