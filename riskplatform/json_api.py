"""JSON of the API: a strict parser, a fast renderer, and one shape for every error.

An error is `{"detail": str}`, with `"errors": [{"loc", "field", "message"}]` when fields are wrong.
"""

import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.core.exceptions import (
    PermissionDenied as DjangoPermissionDenied,
)
from django.core.exceptions import (
    RequestDataTooBig,
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
    PayloadTooLarge,
    ServiceUnavailable,
    ValidationProblem,
    field_error,
)

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
    """Refuses malformed JSON (400), NaN, infinities and NUL (422), bodies over the limit (413).

    A view that judges each record of a batch apart (`judges_records`) is handed the latter two:
    its schema refuses the record alone.
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
        return parse_json(body, whole=not getattr(view, "judges_records", False))


def refuse_announced(length: bytes) -> None:
    """Refuse a body by the length that its header tells. Raises PayloadTooLarge.

    What is no number is let through: what is really there is counted while reading.
    """
    if length.isdigit() and int(length) > settings.API_MAX_BODY_BYTES:
        raise PayloadTooLarge(_too_large(settings.API_MAX_BODY_BYTES))


def parse_json(body: bytes, *, whole: bool = True) -> Any:
    """The body as plain values. Raises PayloadTooLarge, ParseError, ValidationProblem.

    Without `whole` a number that is none and a text with a NUL are left to who reads them.
    """
    if len(body) > settings.API_MAX_BODY_BYTES:
        raise PayloadTooLarge(_too_large(settings.API_MAX_BODY_BYTES))
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        data, places = _with_odd_numbers(body)
        if not places:
            raise exceptions.ParseError(f"This is not JSON: {error}") from error
        if whole:
            message = "must be a finite number"
            raise ValidationProblem({"field": p, "message": message} for p in places) from error
    if whole:
        _refuse_what_no_column_holds(body, data)
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


def _as_api_exception(exc: Exception) -> exceptions.APIException | None:
    match exc:
        case exceptions.APIException():
            return exc
        case Http404():
            return exceptions.NotFound(str(exc) or None)
        case DjangoPermissionDenied():
            return exceptions.PermissionDenied(str(exc) or None)
        case DjangoValidationError():
            return ValidationProblem(_django_errors(exc))
        case RequestDataTooBig():
            return PayloadTooLarge(_too_large(settings.API_MAX_BODY_BYTES))
        case OperationalError() | InterfaceError():
            return ServiceUnavailable("The database is unavailable for the moment.")
    return None


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
            yield from _flatten(inner, path if name == "non_field_errors" else _join(path, name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _flatten(inner, _join(path, index) if nested else path)
    else:
        yield path, str(detail)


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _django_errors(exc: DjangoValidationError) -> list[dict[str, str]]:
    if not hasattr(exc, "error_dict"):
        return [{"field": "", "message": message} for message in exc.messages]
    return [
        {"field": "" if field == "__all__" else field, "message": message}
        for field, messages in exc.message_dict.items()
        for message in messages
    ]


def _with_odd_numbers(body: bytes) -> tuple[Any, list[str]]:
    """(values, places of the numbers that are none). NaN and Infinity are no JSON and 1e999 is no
    float64, but clients write them. No places: there are none, or it is malformed otherwise too."""
    try:
        data = json.loads(body)
        orjson.dumps(data)  # What else no JSON holds: half of a character, say.
    except (ValueError, TypeError, RecursionError):
        return None, []
    return data, list(_no_numbers(data))


def _no_numbers(data: Any, path: str = "") -> Iterator[str]:
    if isinstance(data, float) and not math.isfinite(data):
        yield path
    elif isinstance(data, dict):
        for name, inner in data.items():
            yield from _no_numbers(inner, _join(path, name))
    elif isinstance(data, list):
        for index, inner in enumerate(data):
            yield from _no_numbers(inner, _join(path, index))


def _refuse_what_no_column_holds(body: bytes, data: Any) -> None:
    # Looked for in the bytes first: walking every body would cost more than parsing it.
    if b"\\u0000" not in body:
        return
    places = list(_with_nul(data))
    if places:
        message = "must not hold the character U+0000"
        raise ValidationProblem({"field": place, "message": message} for place in places)


def _with_nul(data: Any) -> Iterator[str]:
    waiting = [("", data)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, str):
            if "\0" in item:
                yield path
        elif isinstance(item, dict):
            if any("\0" in name for name in item):
                yield path
            waiting += [(_join(path, name.replace("\0", "")), x) for name, x in item.items()]
        elif isinstance(item, list):
            waiting += [(_join(path, i), x) for i, x in enumerate(item)]


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit:,} bytes."


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    # Lazy translations, querysets' values and the like.
    if hasattr(value, "__iter__") and not isinstance(value, str):
        return list(value)
    return str(value)
