import logging
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import orjson
import pytest
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from accounts.api_errors import Conflict, ServiceUnavailable, ValidationProblem
from accounts.seldom import Seldom
from riskplatform import json_api
from riskplatform.json_api import OrjsonRenderer


class Amount(serializers.Serializer):
    amount = serializers.FloatField(min_value=0)


class Order(serializers.Serializer):
    lines = Amount(many=True)


class Echo(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    raises: Exception | None = None

    def post(self, request):
        if self.raises is not None:
            raise self.raises
        return Response({"got": request.data})


def post(body=b"{}", content_type="application/json", raises=None, view=Echo, **more):
    request = APIRequestFactory().generic("POST", "/", body, content_type=content_type)
    response = view.as_view(raises=raises, **more)(request)
    response.render()
    return response, orjson.loads(response.content)


def test_json_goes_in_and_out():
    response, answer = post('{"a": [1.5, "é", null]}'.encode())
    assert response.status_code == 200
    assert answer == {"got": {"a": [1.5, "é", None]}}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"a": NaN',
        b"[" * 5000,
        b'{"a": "\\ud800"}',
    ],
)
def test_what_is_not_json_is_400_with_a_sentence(body):
    response, answer = post(body)
    assert response.status_code == 400
    assert isinstance(answer["detail"], str)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"a": ["x", "\\u0000"]}', "a.1"),
        (b'{"a": {"b\\u0000c": 1}}', "a"),
        (b'{"a\\u0000": {"b": "\\u0000"}}', ["", "a.b"]),
    ],
)
def test_a_character_that_no_column_holds_is_422_with_its_place(body, place):
    response, answer = post(body)
    assert response.status_code == 422
    found = [entry["field"] for entry in answer["errors"]]
    assert found == (place if isinstance(place, list) else [place])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_finite_number_is_422_with_its_place(number):
    response, answer = post(f'{{"a": [1, {number}], "b": "NaN"}}'.encode())
    assert response.status_code == 422
    assert [entry["field"] for entry in answer["errors"]] == ["a.1"]


def test_a_backslash_that_only_looks_like_a_nul_is_let_through():
    response, _ = post(b'{"a": "\\\\u0000"}')
    assert response.status_code == 200


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [65, 300, 950, 1023, 5000])
def test_a_body_nested_too_deeply_is_400(opening, levels):
    closing = "]" if opening == "[" else "}"
    response, answer = post((opening * levels + "1" + closing * levels).encode())
    assert response.status_code == 400
    assert levels > 1023 or answer == {"detail": "This JSON is nested deeper than 64 levels."}


def test_sixty_four_levels_many_brackets_and_brackets_in_texts_are_let_through():
    assert post(b"[" * 64 + b"]" * 64)[0].status_code == 200
    assert post(b"[" + b"[[1]]," * 200 + b"{}]")[0].status_code == 200
    assert post(b'["' + b"[{" * 500 + b'"]')[0].status_code == 200


def test_a_body_nested_too_deeply_is_400_whatever_else_it_holds():
    for odd in (b"NaN", b'"\\u0000"'):
        assert post(b"[" * 300 + odd + b"]" * 300)[0].status_code == 400


class EchoRecords(Echo):
    judges_records: str | None = "data"


RECORDS = b'[{"a": NaN, "b": "\\u0000", "c": 1e999}]'


def test_what_the_records_of_a_batch_hold_is_left_to_their_judge():
    response, answer = post(b'{"data": %b, "x": 1}' % RECORDS, view=EchoRecords)
    assert response.status_code == 200
    assert answer["got"]["data"] == [{"a": None, "b": "\0", "c": None}]
    response, answer = post(RECORDS, view=EchoRecords, judges_records="")
    assert (response.status_code, answer["got"][0]["b"]) == (200, "\0")


@pytest.mark.parametrize("odd", [b'"\\u0000"', b"NaN", b'[{"data": 1e999}]'])
def test_what_stands_beside_the_records_is_judged_with_the_body(odd):
    body = b'{"data": %b, "data.x": %b}' % (RECORDS, odd)
    response, answer = post(body, view=EchoRecords)
    assert response.status_code == 422
    assert [entry["field"][:6] for entry in answer["errors"]] == ["data.x"]
    assert post(b"[%b]" % odd, view=EchoRecords)[0].status_code == 422


def test_a_body_over_the_limit_is_413(settings):
    settings.API_MAX_BODY_BYTES = 100
    response, answer = post(b'"' + b"x" * 99 + b'"')
    assert response.status_code == 413
    assert "100 bytes" in answer["detail"]
    assert post(b'"' + b"x" * 98 + b'"')[0].status_code == 200


def test_another_content_type_is_415():
    assert post(b"a=1", content_type="application/x-www-form-urlencoded")[0].status_code == 415


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (Http404("No such detector."), 404),
        (exceptions.PermissionDenied(), 403),
        (Conflict("Another body."), 409),
        (exceptions.MethodNotAllowed("PUT"), 405),
        (exceptions.Throttled(wait=1.2), 429),
        (ServiceUnavailable(retry_after=7), 503),
        (OperationalError("gone"), 503),
    ],
)
def test_every_error_is_a_detail(raised, status):
    response, answer = post(raises=raised)
    assert response.status_code == status
    assert set(answer) == {"detail"}
    assert answer["detail"]


def test_retry_after_is_whole_seconds_rounded_up():
    assert post(raises=exceptions.Throttled(wait=1.2))[0]["Retry-After"] == "2"
    assert post(raises=ServiceUnavailable(retry_after=7))[0]["Retry-After"] == "7"


def test_a_validation_problem_has_one_entry_per_field():
    problem = ValidationProblem(
        [{"field": "data.amount", "message": "is negative"}, {"field": "0.at", "message": "no"}]
    )
    response, answer = post(raises=problem)
    assert response.status_code == 422
    assert answer["errors"] == [
        {"loc": ["data", "amount"], "field": "data.amount", "message": "is negative"},
        {"loc": [0, "at"], "field": "0.at", "message": "no"},
    ]


def test_a_serializers_errors_have_the_same_shape():
    order = Order(data={"lines": [{"amount": 1}, {"amount": -1}]})
    assert not order.is_valid()
    response, answer = post(raises=exceptions.ValidationError(order.errors))
    assert response.status_code == 422
    assert [error["field"] for error in answer["errors"]] == ["lines.1.amount"]


def test_a_models_errors_have_the_same_shape():
    _, answer = post(raises=DjangoValidationError({"rate": ["is no rate"]}))
    assert answer["errors"] == [{"loc": ["rate"], "field": "rate", "message": "is no rate"}]


def test_a_bug_of_ours_is_not_dressed_up():
    with pytest.raises(ZeroDivisionError):
        post(raises=ZeroDivisionError())


def test_values_of_the_field_are_rendered():
    data = {
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "money": Decimal("1.10"),
        "x": np.float64(0.5),
        "row": np.array([1.0, 2.0]),
        "gone": float("nan"),
        "names": {"a"},
        1: "one",
    }
    assert orjson.loads(OrjsonRenderer().render(data)) == {
        "at": "2026-01-02T00:00:00Z",
        "money": "1.10",
        "x": 0.5,
        "row": [1.0, 2.0],
        "gone": None,
        "names": ["a"],
        "1": "one",
    }
    assert OrjsonRenderer().render(None) == b""


def test_why_the_database_is_away_is_in_the_log_once_in_a_while_and_not_in_the_answer(
    caplog, monkeypatch
):
    monkeypatch.setattr(json_api, "_told", Seldom(logging.getLogger(json_api.__name__)))
    full = OperationalError("database or disk is full")
    full.__cause__ = sqlite3.OperationalError("database or disk is full")
    answers = [post(raises=OperationalError("A breaker is open."))]
    answers += [post(raises=full) for _ in range(3)]
    assert {response.status_code for response, _ in answers} == {503}
    assert "full" not in str(answers[-1][1])
    lines = [line.getMessage() for line in caplog.records if line.name == json_api.__name__]
    assert lines == ["The database failed the API, which says 503: database or disk is full"]
