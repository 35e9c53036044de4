"""Lists of a source's events whose entries must differ: told as JSON Schema says, and at once."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scoring.source_models import Source
from scoring.sources import problems_of

SCHEMA = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}}
PLAIN = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a", 0.0, 1.0, 1.5])
ENTRIES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner)
)


def problems(tags, schema=SCHEMA):
    return problems_of(Source(schema=schema), {"tags": tags})


@given(st.lists(ENTRIES, max_size=4))
def test_entries_are_equal_where_json_schema_says_so(tags):
    assert bool(problems(tags)) is not Draft202012Validator(SCHEMA).is_valid({"tags": tags})


@pytest.mark.parametrize("tags", [[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]])
def test_equal_entries_are_told_without_their_value(tags):
    assert problems(tags) == [("tags", "breaks the schema's 'uniqueItems'")]


def test_a_list_that_may_hold_the_same_twice_is_let_through():
    allowed = {"properties": {"tags": {"uniqueItems": False}}}
    assert problems([1, 1], allowed) == []


def test_a_list_that_fills_a_request_is_looked_through_at_once():
    began = time.process_time()
    assert problems([{"a": n} for n in range(50_000)]) == []
    assert time.process_time() - began < 5
