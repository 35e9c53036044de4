"""Stored declarations as YAML: read back they are the same, in the order in which people read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.declarations import SHIPPED, read_config
from scoring.yaml_lines import read_yaml
from scoring.yaml_writing import WIDE, write_yaml

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0.[]"), min_size=1)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=8
)
ODD = [
    "NO", "2026-01-01", "1e3", "null", "~", "=", "<<", "---", "a: b", "# x", "", " a\nb", "a\n\n",
    "\x85", "a\u2028b\nc", "\ufeff", "x\ty\nz", "\x7f", "%a", "a b " * 100, "a" * 300,
]  # fmt: skip


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_is_shipped_is_written_as_people_write_it(path):
    config = read_config(path)
    text = write_yaml(config)
    assert read_yaml(text)[0] == config
    assert list(config)[:3] == [line.partition(":")[0] for line in text.splitlines()[:3]]
    assert len(text.splitlines()) < 1.6 * len(path.read_text().splitlines())


def test_the_order_in_which_a_database_keeps_keys_does_not_show():
    mixed = {"rules": [{"text": "x", "code": "A"}], "name": "N", "slug": "s"}
    assert write_yaml(mixed) == "slug: s\nname: N\nrules:\n  - {code: A, text: x}\n"
    assert write_yaml({"mapping": {"x": "a", "name": "b"}}) == "mapping: {x: a, name: b}\n"


@pytest.mark.parametrize("text", ODD)
def test_an_odd_text_is_read_back_as_it_is(text):
    value = {"k": [text, {"z": text}], text or "x": 1}
    assert read_yaml(write_yaml(value))[0] == value


@given(VALUES)
def test_what_is_written_is_read_as_the_same_value(value):
    assert read_yaml(write_yaml(value))[0] == value


def test_long_lists_are_folded_between_their_entries():
    words = [f"code_{i}" for i in range(50)]
    lines = write_yaml({"codes": words}).splitlines()
    assert max(map(len, lines)) <= WIDE + 10 and len(lines) < 10
    spaced = write_yaml({"codes": [word.replace("_", " ") for word in words]})
    assert spaced.splitlines()[1:] == [f"  - code {i}" for i in range(50)]
