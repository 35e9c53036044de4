"""What requests pass on their way: a short one for API requests that bring a key, and what browsers
and caches may keep of an answer. A body of the API may come in chunks. No
answer is a dead end.

The short way needs no session, no form token, no page. It stands behind SecurityMiddleware (https,
nosniff) and in front of what serves browsers. A request under `/api/` that presents an API key is
authenticated by that key alone, so cookies, CSRF tokens, messages and htmx mean nothing to it.
Every other request takes the long way.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from django.template.loader import render_to_string
from django.urls import Resolver404, ResolverMatch, resolve
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.authentication import presents_key

Handler = Callable[[HttpRequest], HttpResponseBase]
PREFIX = ("/api/", "/v1/")
WHOLE = frozenset(("/detect", "/batch-detect"))
PROBES = frozenset(("/health", "/livez", "/readyz", "/metrics"))
SCORING_URLS = "riskplatform.scoring_urls"
KEPT_NOWHERE = "no-store"
KEPT_BY_BROWSERS = "private"
# An API answer is data: nothing in it may run, load or be framed. Caches do not know that an
# X-API-Key makes an answer somebody's own.
HEADERS = {
    "Cache-Control": KEPT_NOWHERE,
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def is_api(path: str) -> bool:
    """Whether clients of the API ask there, who are answered in JSON."""
    return path.startswith(PREFIX) or path.rstrip("/") in WHOLE


class FragmentMiddleware:
    """A page and its fragments share an address: what a browser kept of one is not the other.

    Without this the way back shows a fragment as if it were the page. No cache between keeps
    either: they are for who is signed in. A view that says more is left alone.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            patch_vary_headers(response, ("HX-Request", "HX-Target"))
        kept = KEPT_NOWHERE if is_api(request.path_info) else KEPT_BY_BROWSERS
        response.headers.setdefault("Cache-Control", kept)
        return response


WITHOUT_PAGE: Final = ("view_save", "shadow_start")
"""Addresses that only take what forms send, and have others below them."""


class DeadEndMiddleware:
    """Leads people on where an answer would leave them with nothing.

    Who was signed out in the middle of something: a part of a page is answered by 401, not by the
    page to sign in, which would be put into its place; what a form sends is told as not done, and
    signing in leads back to the page that it was sent from. Who reads an address that only takes
    what forms send, as the bar of the browser shows it after a refusal, finds the page above it.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        reads = request.method in ("GET", "HEAD")
        if is_api(request.path_info):
            return response
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED and reads:
            above = {"above": page_above(request.path_info)}
            allowed = {"Allow": response.headers["Allow"]}
            page = render_to_string("405.html", above)
            return HttpResponse(page, status=response.status_code, headers=allowed)
        if not _asks_to_sign_in(response):
            return response
        if request.htmx:  # type: ignore[attr-defined]
            return HttpResponse(status=HTTPStatus.UNAUTHORIZED)
        if reads:
            return response
        messages.warning(
            request,
            "You were signed out, and what you sent was not done. Sign in and send it again.",
        )
        return redirect_to_login(_sent_from(request))


def _asks_to_sign_in(response: HttpResponseBase) -> bool:
    """Whether it leads from a page to the one to sign in, as signing out does not."""
    address = response.headers.get("Location", "")
    return bool(address) and address.startswith(f"{resolve_url(settings.LOGIN_URL)}?")


def page_above(path: str) -> str:
    """The nearest address above this one that has a page."""
    while path != "/":
        path = f"{path.rstrip('/').rpartition('/')[0]}/"
        with suppress(Resolver404):
            if resolve(path).url_name not in WITHOUT_PAGE:
                break
    return path


def _sent_from(request: HttpRequest) -> str:
    """The page of ours that a form was sent from; else the first one."""
    page = request.headers.get("Referer", "")
    hosts = {request.get_host()}
    if not url_has_allowed_host_and_scheme(page, hosts, require_https=request.is_secure()):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    parts = urlsplit(page)
    return f"{parts.path}?{parts.query}".rstrip("?")


class KeyedApiMiddleware:
    """Calls the view itself for keyed API requests."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if path in PROBES:
            request.urlconf = SCORING_URLS
        if not is_api(path):
            return self.get_response(request)
        _take_chunks(request)
        if not presents_key(request):
            return self.get_response(request)
        try:
            match = match_url(path)
        except Resolver404:  # The page that says so is made for people, and reads their session.
            return self.get_response(request)
        request.get_host()  # Raises DisallowedHost, as CommonMiddleware would.
        request.resolver_match = match
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        if hasattr(response, "render") and not getattr(response, "is_rendered", True):
            response = response.render()
        headers = response.headers
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if isinstance(response, HttpResponse) and not response.has_header("Content-Length"):
            headers["Content-Length"] = str(len(response.content))
        return response


def _take_chunks(request: HttpRequest) -> None:
    """Read a body that came in chunks, whose length no header tells; Django would see none of it.

    One byte more than is allowed is read at most: enough for the parser to refuse it (413).
    """
    meta = request.META
    if "chunked" in meta.get("HTTP_TRANSFER_ENCODING", "").lower() and not meta.get(
        "CONTENT_LENGTH"
    ):
        body = meta["wsgi.input"].read(settings.API_MAX_BODY_BYTES + 1)
        meta["CONTENT_LENGTH"] = str(len(body))
        request._stream = BytesIO(body)


@lru_cache(maxsize=512)
def match_url(path: str) -> ResolverMatch:
    """The view of an address. Raises Resolver404. The urls of a process never change.

    All of them are loaded only when somebody asks for one that is not of the scoring API.
    """
    try:
        return resolve(path, SCORING_URLS)
    except Resolver404:
        return resolve(path, settings.ROOT_URLCONF)
