"""Who may call an API view.

A view declares `required_scope` (an API key must have it) and `required_permission` (a user logged
in by token or session must hold it): a name, or one name per method as `{"GET": ..., "POST": ...}`.
What a view does not declare is refused: no scope, no keys; no permission, no people; neither,
nobody.

An API key scores and reads within its scopes alone, which costs no query here; whoever makes the
key decides its scopes (see `accounts.api_keys.create_api_key`), and deactivating its user closes
it. For what it writes (`WRITING_SCOPES`) its user must hold the view's permission too: a key never
does what its user may not, or may not any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rest_framework.exceptions import (
    MethodNotAllowed,
    NotAuthenticated,
    PermissionDenied,
    Throttled,
)
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import ApiKey, User
from accounts.ratelimit import take_slot, take_user_slot
from accounts.scopes import ADMIN_SCOPE, WRITING_SCOPES

if TYPE_CHECKING:
    # The view module reads the default permission, this class, while it is being imported.
    from rest_framework.views import APIView

NOBODY = (
    "No API key or token was found in this request. Send one of the headers"
    " 'Authorization: Token <key>', 'Authorization: Bearer <token>' or 'X-API-Key: <key>'."
)


class HasScope(BasePermission):
    """The default permission of every API view; counts the request against the rate of the key, or
    of the user who came without one."""

    message: str | None = None

    def has_permission(self, request: Request, view: APIView) -> bool:
        key, user = request.auth, request.user
        if isinstance(key, ApiKey):
            _count_once(request, lambda: take_slot(key))
            _refuse_method(request, view)
            scope = _declared(view, "required_scope", request.method)
            permission = _declared(view, "required_permission", request.method)
            refusal = _lacking(key, scope) or _exceeding(key, scope, permission)
            self.message = refusal or None
            return not refusal
        if not isinstance(user, User) or not user.is_authenticated:
            raise NotAuthenticated(NOBODY)
        _count_once(request, lambda: take_user_slot(user))
        _refuse_method(request, view)
        permission = _declared(view, "required_permission", request.method)
        return permission is not None and user.has_perm(permission)


def admit_key(key: ApiKey, scope: str | None) -> None:
    """Count a request against its key's rate and let it in. Raises Throttled, PermissionDenied.

    For scoring: what writes takes the long way, where its user's right is asked too.
    """
    wait = take_slot(key)
    if wait > 0:
        raise Throttled(wait=wait)
    if lacking := _lacking(key, scope):
        raise PermissionDenied(lacking)


def _refuse_method(request: Request, view: APIView) -> None:
    """A method that the view lacks is refused as such: nobody may do it. Raises 405."""
    if request.method not in view.allowed_methods:
        raise MethodNotAllowed(str(request.method))


def _declared(view: APIView, name: str, method: str | None) -> str | None:
    declared = getattr(view, name, None)
    if isinstance(declared, Mapping):
        found = declared.get("GET" if method in ("HEAD", "OPTIONS") else method)
        return found if isinstance(found, str) else None
    return declared if isinstance(declared, str) and declared else None


def _lacking(key: ApiKey, scope: str | None) -> str:
    """What the key lacks, in words; empty when it may."""
    if scope is None:
        return "No API key may do this: log in as a person who may."
    if scope in key.scopes or ADMIN_SCOPE in key.scopes:
        return ""
    return f"This API key lacks the scope '{scope}'."


def _exceeding(key: ApiKey, scope: str | None, permission: str | None) -> str:
    """Why a key that has the scope writes nothing: its user may not. Two queries, as often as the
    key is looked up anew."""
    if scope not in WRITING_SCOPES or (permission and key.user.has_perm(permission)):
        return ""
    return f"This API key acts for {key.user.username}, whose roles do not allow this."


def _count_once(request: Request, take: Callable[[], float]) -> None:
    # A view may check permissions twice (schema, browsable forms); a request counts once.
    if getattr(request, "rate_counted", False):
        return
    request.rate_counted = True  # type: ignore[attr-defined]
    wait = take()
    if wait > 0:
        raise Throttled(wait=wait)
