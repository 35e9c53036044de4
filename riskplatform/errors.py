"""Error answers of the whole site: JSON for the API, a page elsewhere.

The pages are rendered without context processors and without a session: an error may come before
there is a user, or because the database is gone. They bring the headers that browsers and caches
obey themselves, for what fails outside of the middleware that would add these: a foreign host, and
every keyed request of the API.
"""

import sys
from collections.abc import Mapping
from http import HTTPStatus

from csp.utils import build_policy
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from riskplatform.health import RETRY_AFTER
from riskplatform.middleware import HEADERS, KEPT_BY_BROWSERS, is_api
from scoring.core.reader import UnreadableDeclaration
from scoring.deployment import NothingServes
from scoring.outages import told_of


def _answer(
    request: HttpRequest, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    if is_api(request.path_info):
        said = {**HEADERS, **_always(), **(headers or {})}
        return JsonResponse({"detail": detail}, status=status, headers=said)
    page = render_to_string(f"{status.value}.html", {"detail": detail})
    said = {**_of_pages(), **_always(), **(headers or {})}
    return HttpResponse(page, status=status, headers=said)


def _always() -> dict[str, str]:
    return {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
    }


def _of_pages() -> dict[str, str]:
    return {
        "Cache-Control": KEPT_BY_BROWSERS,
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
        "Content-Security-Policy": build_policy(),
    }


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _answer(request, HTTPStatus.BAD_REQUEST, "The request could not be understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return _answer(request, HTTPStatus.FORBIDDEN, "You may not do this.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _answer(request, HTTPStatus.NOT_FOUND, "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """500; 503 with Retry-After where the database is what failed, and how; 409 where what is
    stored of a detector cannot be read any more."""
    error = sys.exc_info()[1]
    if isinstance(error, UnreadableDeclaration | NothingServes):
        return _answer(request, HTTPStatus.CONFLICT, str(error))
    if isinstance(error, OperationalError | InterfaceError):
        detail = told_of(error)
        wait = {"Retry-After": RETRY_AFTER}
        return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, wait)
    detail = "Something went wrong on our side; it has been logged."
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
