"""What bodies of requests are read as."""

import json

import pytest
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.api_errors import ValidationProblem
from accounts.body import Number, Text, text_in, valid


class OneField(serializers.Serializer):
    kind = Text(required=False, default="")


def asked(body, at="/"):
    content = "" if body is None else json.dumps(body)
    request = APIRequestFactory().post(at, content, content_type="application/json")
    return Request(request, parsers=[JSONParser()])


@pytest.mark.parametrize("said", [[], False, 0, ""])
def test_a_body_that_is_no_object_is_not_taken_for_an_empty_one(said):
    with pytest.raises((ValidationError, ValidationProblem)):
        valid(OneField, asked(said))
    with pytest.raises(ValidationProblem):
        text_in(asked(said), "kind", "is text")


def test_no_body_and_an_empty_object_say_nothing():
    for said in (None, {}):
        assert valid(OneField, asked(said)) == {"kind": ""}
        assert text_in(asked(said), "kind", "is text") is None


def test_a_field_that_is_not_known_is_told_with_the_only_one_that_is():
    with pytest.raises(ValidationProblem) as refused:
        valid(OneField, asked({"kinds": "folds"}))
    assert "is not known here: kind is" in str(refused.value.errors)


@pytest.mark.parametrize("at", ["/", "/?kinds=folds"])
def test_a_slip_in_the_only_name_does_not_act_on_what_is_meant_without_it(at):
    said = {"kinds": "folds", "kind": None} if at == "/" else None
    with pytest.raises(ValidationProblem) as refused:
        text_in(asked(said, at), "kind", "is text")
    [error] = refused.value.errors
    assert (error["field"], error["message"]) == ("kinds", "is not known here: kind is")


@pytest.mark.parametrize("said", [5555555555555, 1.5, True, ["a"], {}])
def test_text_is_not_made_of_anything_else(said):
    with pytest.raises(ValidationError):
        Text().run_validation(said)


@pytest.mark.parametrize("said", [True, False, "lots", [1]])
def test_a_number_is_not_made_of_true_or_false(said):
    with pytest.raises(ValidationError):
        Number().run_validation(said)


def test_what_is_text_or_a_number_stays_what_it_is():
    assert (Text().run_validation("123"), Number().run_validation(60)) == ("123", 60.0)
