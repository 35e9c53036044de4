"""The schema of an event: what would be passed over, or would refuse every event, is told."""

import pytest

from scoring.core.reader import SpecError
from scoring.core.spec import parse_spec
from tests.factories import config_of

AT = "event.schema.properties.seats"


def problems(rule, **schema):
    config = config_of("fraud")
    config["event"]["schema"] |= schema
    config["event"]["schema"]["properties"]["seats"] = rule
    return mistakes(config)


def mistakes(config):
    try:
        parse_spec(config)
    except SpecError as error:
        return dict(error.problems)
    return {}


@pytest.mark.parametrize(
    ("rule", "key", "said"),
    [
        ({"type": "string", "pattern": "^a"}, "pattern", "is not checked: a field of type string"),
        ({"type": "number", "minLength": 1}, "minLength", "takes enum, minimum, exclusiveMinimum"),
        ({"type": "boolean", "default": True}, "default", "takes enum"),
        ({"type": "string", "format": "email"}, "format", "'email' is none of date-time, date, c"),
    ],
)
def test_a_keyword_by_which_nothing_is_checked_is_told(rule, key, said):
    [(place, message)] = problems(rule).items()
    assert place == f"{AT}.{key}"
    assert said in message


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ({"type": "number", "minimum": 2, "maximum": 1}, "maximum"),
        ({"type": "number", "exclusiveMinimum": 1, "maximum": 1}, "maximum"),
        ({"type": "string", "minLength": 2, "maxLength": 1}, "maxLength"),
    ],
)
def test_bounds_between_which_nothing_lies_are_told(rule, key):
    [(place, message)] = problems(rule).items()
    assert place == f"{AT}.{key}"
    assert message.endswith("every event would be refused")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"type": "integer", "minimum": 1, "enum": [1, 0]}, "'0' can never come"),
        ({"type": "number", "maximum": 5, "enum": [5, 5.5]}, "it must be at most 5"),
        ({"type": "string", "maxLength": 2, "enum": ["ab", "abc"]}, "must have at most 2 char"),
        ({"type": "string", "format": "time-of-day", "enum": ["25:00"]}, "must be a time of day"),
    ],
)
def test_an_enum_entry_that_the_bounds_refuse_is_told(rule, said):
    [(place, message)] = problems(rule).items()
    assert place == f"{AT}.enum"
    assert said in message


def test_an_enum_within_its_bounds_is_taken():
    assert problems({"type": "integer", "minimum": 1, "maximum": 2, "enum": [1, 2, None]}) == {}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"type": "string", "enum": ["yes", False]}, "'false' is no string: put it in quotes"),
        ({"type": "integer", "enum": [1, 1.5]}, "'1.5' is no integer"),
        ({"type": "number", "enum": ["one"]}, "'one' is no number"),
        ({"type": "boolean", "enum": [1]}, "'1' is no boolean"),
        ({"type": "string", "enum": [None]}, "needs a list with at least one entry"),
    ],
)
def test_an_enum_holds_values_of_the_fields_type(rule, said):
    assert problems(rule)[f"{AT}.enum"].startswith(said)


def test_the_schema_is_that_of_an_object_and_has_no_other_keyword():
    found = problems({"type": "number"}, type="array", additionalProperties=False)
    assert set(found) == {"event.schema.type", "event.schema.additionalProperties"}


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "string", "enum": ["a", None], "title": "Seats", "description": "Which."},
        {"type": "integer", "enum": [1, 2.0], "minimum": 1, "maximum": 2},
        {"type": "string", "format": "time-of-day"},
        {"type": "string", "format": "date"},
    ],
)
def test_what_is_checked_or_only_a_note_is_taken(rule):
    assert problems(rule) == {}


@pytest.mark.parametrize(
    ("rule", "taken"),
    [
        ({"type": "string", "minLength": 3, "maxLength": 3}, True),
        ({"type": "string", "enum": ["EUR", "usd", None]}, True),
        ({"type": "string"}, True),
        ({"type": "string", "maxLength": 2}, False),
        ({"type": "string", "minLength": 3, "maxLength": 4}, False),
        ({"type": "string", "enum": ["EUR", "USDT"]}, False),
        ({"type": "number"}, False),
    ],
)
def test_a_currency_field_holds_codes_of_three_letters(rule, taken):
    config = config_of("fraud")
    config["event"]["schema"]["properties"]["currency"] = rule
    config["event"]["currency"] = {"field": "currency", "default": "EUR"}
    found = mistakes(config)
    assert ("codes of three letters" in found.get("event.currency.field", "")) is not taken
    assert set(found) <= {"event.currency.field"}


def test_what_an_earlier_release_took_in_stays_readable():
    config = config_of("fraud")
    config["event"]["schema"]["properties"]["seats"] = {"type": "string", "pattern": "^a"}
    assert "seats" in parse_spec(config, stored=True).schema["properties"]
