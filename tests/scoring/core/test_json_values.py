"""What of a JSON value no event may hold, and where it stands."""

import json

import pytest

from scoring.core.json_values import DEEPEST, is_too_deep, with_nul, without_value


def deep(text):
    return is_too_deep(text.encode(), json.loads(text))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_levels_are_counted_and_not_brackets(opening, closing):
    levels = opening.count("[") + opening.count("{")
    fits = DEEPEST // levels
    assert not deep(opening * fits + "1" + closing * fits)
    assert deep(opening * (fits + 1) + "1" + closing * (fits + 1))


def test_the_deepest_of_many_counts():
    shallow, far = "[" + "[]," * 500, "[" * DEEPEST + "]" * DEEPEST
    assert not deep(f"{shallow}[]]")
    assert deep(f"{shallow}{far}]")
    assert deep(f'[{far},{{"a": 1}}]')
    assert not deep(json.dumps("[{" * 500))


def test_places_are_told_from_first_to_last():
    data = {"a": [1.0, float("nan"), {"b": float("inf")}], "c": -float("inf"), "d": "NaN"}
    assert list(without_value(data)) == ["a.1", "a.2.b", "c"]
    assert list(with_nul({"x\0": {"y": "\0"}, "z": ["", "a\0"]})) == ["", "x.y", "z.1"]
    assert list(with_nul("\0")) == list(without_value(float("nan"))) == [""]
