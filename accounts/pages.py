"""What the admin pages share."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponseBase

from accounts.models import User

PAGE_SIZE = 50
LONGEST = 150
View = Callable[..., HttpResponseBase]


def for_who_may(*permissions: str) -> Callable[[View], View]:
    """Signed in and allowed all of it; everybody else goes to the log-in or is refused (403)."""

    def wrap(view: View) -> View:
        allowed = permission_required(permissions, raise_exception=True)(view)
        return login_required(allowed)

    return wrap


def signed_in(request: HttpRequest) -> User:
    """The user; pages are behind `login_required`."""
    return cast(User, request.user)


def template(request: HttpRequest, name: str, part: str) -> str:
    """The whole page, or for htmx the part of it that changes."""
    htmx: Any = request.htmx  # type: ignore[attr-defined]
    fragment = htmx and not htmx.boosted and not htmx.history_restore_request
    return f"{name}#{part}" if fragment else name


def asked_text(request: HttpRequest, name: str) -> str:
    """A text of the query string, without what no database can hold."""
    return request.GET.get(name, "").replace("\0", "").strip()[:LONGEST]


def asked_choice(request: HttpRequest, name: str, known: Any) -> str:
    """A choice of the query string; empty when it is none of the known ones."""
    value = request.GET.get(name, "")
    return value if value in known else ""
