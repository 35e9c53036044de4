"""JSON of the API: a strict parser, a fast renderer, and one shape for every error.

An error is `{"detail": str}`, with `"errors": [{"loc", "field", "message"}]` when fields are wrong.
"""

import json
import logging
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.core.exceptions import (
    ObjectDoesNotExist,
    RequestDataTooBig,
)
from django.core.exceptions import (
    PermissionDenied as DjangoPermissionDenied,
)
from django.core.exceptions import (
    ValidationError as DjangoValidationError,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

from accounts.api_errors import (
    Conflict,
    PayloadTooLarge,
    ServiceUnavailable,
    ValidationProblem,
    field_error,
)
from accounts.seldom import Seldom
from scoring.core.json_values import DEEPEST, is_too_deep, join, with_nul, without_value
from scoring.core.reader import UnreadableDeclaration
from scoring.deployment import NothingServes
from scoring.outages import told_of

_told = Seldom(logging.getLogger(__name__))

MOST_DIGITS = 19
"""So many digits, or a sign and fewer, are surely a whole number of 64 bits."""
_WRITE_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class OrjsonRenderer(BaseRenderer):
    """`render_json` for DRF."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else render_json(data)


class OrjsonParser(BaseParser):
    """Refuses malformed and too deeply nested JSON (400), NaN, infinities and NUL (422), bodies
    over the limit (413).

    A view whose schema judges an event, or each record of a batch apart, names where they stand
    (`judges_records`): it is handed NaN, infinities and NUL there, and its schema refuses them
    together with whatever else is wrong.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {}).get("request")
        if request is not None:
            refuse_announced(str(request.META.get("CONTENT_LENGTH") or "").encode())
        view = (parser_context or {}).get("view")
        body = stream.read(settings.API_MAX_BODY_BYTES + 1)
        return parse_json(body, records=getattr(view, "judges_records", None))


def refuse_announced(length: bytes) -> None:
    """Refuse a body by the length that its header tells. Raises PayloadTooLarge.

    What is no number is let through: what is really there is counted while reading.
    """
    if length.isdigit() and int(length) > settings.API_MAX_BODY_BYTES:
        raise PayloadTooLarge(_too_large(settings.API_MAX_BODY_BYTES))


def parse_json(body: bytes, *, records: str | None = None) -> Any:
    """The body as plain values. Raises PayloadTooLarge, ParseError, ValidationProblem.

    `records`: the key of what its reader judges by a schema, "" where the whole body is it. A
    number that is none and a text with a NUL are left alone there.
    """
    if len(body) > settings.API_MAX_BODY_BYTES:
        raise PayloadTooLarge(_too_large(settings.API_MAX_BODY_BYTES))
    try:
        data, odd = orjson.loads(body), False
    except orjson.JSONDecodeError as error:
        data, odd = _with_odd_numbers(body, error), True
    if is_too_deep(body, data):
        raise exceptions.ParseError(f"This JSON is nested deeper than {DEEPEST} levels.")
    if odd:
        _refuse(without_value(_beside(records, data)), "must be a finite number")
    # Looked for in the bytes first: walking every body would cost more than parsing it.
    if b"\\u0000" in body:
        _refuse(with_nul(_beside(records, data)), "must not hold the character U+0000")
    return data


def render_json(data: Any) -> bytes:
    """Times as ISO-8601 UTC, Decimal as text (money keeps its digits), NaN as null."""
    return orjson.dumps(data, _default, _WRITE_OPTIONS)


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """The exception handler of every API view. None: a bug of ours, for Django to log as 500."""
    problem = problem_of(exc)
    if problem is None:
        return None
    return Response(problem.body, status=problem.status, headers=problem.headers)


class Problem(NamedTuple):
    """An error as clients see it."""

    body: dict[str, Any]
    status: int
    headers: dict[str, str]


def problem_of(exc: Exception) -> Problem | None:
    """What clients are told of an exception; None when it is a bug of ours."""
    problem = _as_api_exception(exc)
    if problem is None:
        return None
    body, status = _body_and_status(problem)
    headers = {}
    if auth_header := getattr(problem, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(problem, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    return Problem(body, status, headers)


def _is_of_a_row(exc: Http404) -> bool:
    """Whether it is `get_object_or_404`, whose text names a class of ours."""
    return exc.__cause__ is None and isinstance(exc.__context__, ObjectDoesNotExist)


def _as_api_exception(exc: Exception) -> exceptions.APIException | None:
    match exc:
        case exceptions.APIException():
            return exc
        case Http404():
            return exceptions.NotFound(None if _is_of_a_row(exc) else str(exc) or None)
        case DjangoPermissionDenied():
            return exceptions.PermissionDenied(str(exc) or None)
        case DjangoValidationError():
            return ValidationProblem(_django_errors(exc))
        case RequestDataTooBig():
            return PayloadTooLarge(_too_large(settings.API_MAX_BODY_BYTES))
        case OperationalError() | InterfaceError():
            _tell_operators(exc)
            return ServiceUnavailable(told_of(exc))
        case UnreadableDeclaration():
            return Conflict(str(exc))
        case NothingServes():
            return ServiceUnavailable(str(exc))
    return None


def _tell_operators(exc: OperationalError | InterfaceError) -> None:
    """Clients learn that the database is away; the log says why, once in a while."""
    if exc.__cause__ is not None:  # What the driver said; without it, a breaker that is open.
        _told.warning("The database failed the API, which says 503: %s", str(exc).strip())


def _body_and_status(problem: exceptions.APIException) -> tuple[dict[str, Any], int]:
    if isinstance(problem, ValidationProblem):
        return {"detail": str(problem.detail), "errors": problem.errors}, problem.status_code
    if isinstance(problem, exceptions.ValidationError):
        errors = [field_error(field, message) for field, message in _flatten(problem.detail)]
        return (
            {"detail": ValidationProblem.default_detail, "errors": errors},
            ValidationProblem.status_code,
        )
    return {"detail": str(problem.detail)}, problem.status_code


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """DRF's nested error detail as (dotted field, message) pairs."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flatten(inner, path if name == "non_field_errors" else join(path, name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _flatten(inner, join(path, index) if nested else path)
    else:
        yield path, str(detail)


def _django_errors(exc: DjangoValidationError) -> list[dict[str, str]]:
    if not hasattr(exc, "error_dict"):
        return [{"field": "", "message": message} for message in exc.messages]
    return [
        {"field": "" if field == "__all__" else field, "message": message}
        for field, messages in exc.message_dict.items()
        for message in messages
    ]


def _with_odd_numbers(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """The values of a body with numbers that are none. NaN and Infinity are no JSON, 1e999 and a
    whole number of 400 digits are no float64, but clients write them.

    Raises ParseError when they are not what is wrong with it.
    """
    try:
        data = json.loads(body, parse_int=_whole)
        orjson.dumps(data)  # What else no JSON holds: half of a character, say.
    except (ValueError, TypeError, RecursionError):
        data = None
    if next(without_value(data), None) is None:
        raise exceptions.ParseError(f"This is not JSON: {error}") from error
    return data


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < MOST_DIGITS else float(digits)


def _beside(records: str | None, data: Any) -> Any:
    """What of a body is judged as one, its records being judged by their reader."""
    if records is None:
        return data
    if isinstance(data, dict) and records:
        return {name: inner for name, inner in data.items() if name != records}
    return data if records else None


def _refuse(places: Iterator[str], message: str) -> None:
    if found := list(places):
        raise ValidationProblem({"field": place, "message": message} for place in found)


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit:,} bytes."


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    # Lazy translations, querysets' values and the like.
    if hasattr(value, "__iter__") and not isinstance(value, str):
        return list(value)
    return str(value)
