"""The short way of a scoring request that brings a key: no Django request, no middleware, no DRF.

Everything that Django and DRF would do to such a request is done here by the same functions, in the
same order: host, https, key (401), rate (429), scope (403), size (413), JSON (400), the view's own
`reply`. Whatever is not plainly such a request takes the long way (riskplatform/server.py), and a
test sends each kind of request both ways and compares the answers.
"""

import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.security import SecurityMiddleware
from django.urls import Resolver404
from rest_framework.exceptions import AuthenticationFailed

from accounts.authentication import presented_key, usable_key
from accounts.permissions import admit_key
from riskplatform.json_api import Problem, parse_json, problem_of, refuse_announced, render_json
from riskplatform.middleware import HEADERS, match_url
from scoring import breakers
from scoring.api.base import JSON, PLAIN_ACCEPTS, ScoringView
from scoring.outages import LeftAlone, told_of

logger = logging.getLogger(__name__)
Pairs = list[tuple[bytes, bytes]]
Response = tuple[int, Pairs, bytes]
ALLOW = (b"allow", b"POST, OPTIONS")
FAILED = Problem({"detail": "Something went wrong on our side; it has been logged."}, 500, {})


@dataclass(frozen=True, slots=True)
class QuickRequest:
    """A request that may take the short way; its body is not read yet."""

    view: type[ScoringView]
    kwargs: Mapping[str, Any]
    key: str
    announced: bytes
    secure: bool

    def refuses_body(self) -> bool:
        """Whether the body is larger than allowed by its own word, and need not be read."""
        return self.announced.isdigit() and int(self.announced) > settings.API_MAX_BODY_BYTES


def quick_request(scope: MutableMapping[str, Any]) -> QuickRequest | None:
    """The request as one that may take the short way; None for any other."""
    if scope["method"] != "POST":
        return None
    found = _quick_view(scope["path"])
    if found is None:
        return None
    headers = dict(scope["headers"])
    api_key = headers.get(b"x-api-key")
    key = presented_key(
        headers.get(b"authorization", b"").decode("latin-1"),
        None if api_key is None else api_key.decode("latin-1"),
    )
    secure = _is_secure(scope["scheme"], headers)
    if (
        key is None
        or len(headers) != len(scope["headers"])  # A header twice: what counts is Django's to say.
        or headers.get(b"content-type") != JSON.encode()
        or headers.get(b"accept", b"").decode("latin-1") not in PLAIN_ACCEPTS
        or not _host_is_allowed(headers.get(b"host", b""), tuple(settings.ALLOWED_HOSTS))
        or (settings.SECURE_SSL_REDIRECT and not secure)
    ):
        return None
    return QuickRequest(*found, key, headers.get(b"content-length", b""), secure)


def respond(request: QuickRequest, body: bytes) -> Response:
    """Status, headers and content; never raises."""
    try:
        data = _reply(request, body)
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            logger.exception("%s failed", request.view.__name__)
            problem = FAILED
        more = [ALLOW, *((k.lower().encode(), v.encode()) for k, v in problem.headers.items())]
        return _response(request, problem.status, render_json(problem.body), more)
    return _response(request, 200, render_json(data), [])


def _reply(request: QuickRequest, body: bytes) -> Any:
    view = request.view()
    scope = view.required_scope
    _admit(request.key, scope if isinstance(scope, str) else None)
    refuse_announced(request.announced)
    # As DRF has it, no body is an empty object.
    data = parse_json(body, records=view.judges_records) if body else {}
    return view.reply(data, **request.kwargs)


def _admit(presented: str, scope: str | None) -> None:
    """Whether the key may do this, and not too often. Raises what clients are told.

    All on the lane wait for each other: so a database that scoring leaves alone is not asked for
    keys either, and one that cannot be reached counts as it does for scoring.
    """
    circuit = breakers.breaker("database")
    if circuit.wait() > 0:
        raise LeftAlone(circuit.why)
    try:
        admit_key(usable_key(presented), scope)
    except AuthenticationFailed as error:
        error.__dict__["auth_header"] = "Token"  # As DRF's view does.
        raise
    except (OperationalError, InterfaceError) as error:
        if not connection.is_usable():
            circuit.failed(told_of(error))
        raise


def _response(request: QuickRequest, status: int, content: bytes, more: Pairs) -> Response:
    length = (b"content-length", b"%d" % len(content))
    return status, [*_always(request.secure), length, *more], content


class _Told(HttpRequest):
    """A request of which only this is known."""

    def __init__(self, secure: bool) -> None:
        super().__init__()
        self._scheme = "https" if secure else "http"

    def _get_scheme(self) -> str:
        return self._scheme


@lru_cache(maxsize=4)
def _always(secure: bool) -> tuple[tuple[bytes, bytes], ...]:
    """What the middleware says with every answer of the API, and how it is written."""
    response = HttpResponse(content_type=JSON)
    SecurityMiddleware(lambda _: response).process_response(_Told(secure), response)
    found = {**response.headers, **HEADERS}
    return tuple((name.lower().encode(), value.encode()) for name, value in found.items())


@lru_cache(maxsize=512)
def _quick_view(path: str) -> tuple[type[ScoringView], Mapping[str, Any]] | None:
    try:
        match = match_url(path)
    except Resolver404:
        return None
    view = getattr(match.func, "cls", None)
    if view is None or not getattr(view, "on_the_lane", False):
        return None
    return view, match.kwargs


@lru_cache(maxsize=64)
def _host_is_allowed(host: bytes, allowed: tuple[str, ...]) -> bool:
    if settings.DEBUG or settings.USE_X_FORWARDED_HOST:
        return False  # Other hosts count there: Django's to say.
    domain, _ = split_domain_port(host.decode("latin-1"))
    return bool(domain) and validate_host(domain, allowed)


def _is_secure(scheme: str, headers: Mapping[bytes, bytes]) -> bool:
    proxy = settings.SECURE_PROXY_SSL_HEADER
    if proxy is None:
        return scheme == "https"
    name = proxy[0].removeprefix("HTTP_").replace("_", "-").lower().encode()
    told = headers.get(name)
    if told is None:
        return scheme == "https"
    return told.decode("latin-1").split(",", 1)[0].strip() == proxy[1]
