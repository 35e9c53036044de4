"""API keys in requests: `Authorization: Token rp_…` (or `Bearer rp_…`) and `X-API-Key: rp_…`.

One query: the key with its user. A process remembers a key that it found valid for
API_KEY_CACHE_SECONDS (1 s), under the hash of what was presented, never the secret: a revoked key
or a deactivated user is refused everywhere after that time at the latest; an expiry at once.
What the key may do is looked at in accounts/permissions.py.
"""

import hashlib
import hmac
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.api_keys import hash_secret
from accounts.models import KEY_MARK, ApiKey, User

_USE_NOTED_EVERY = timedelta(minutes=1)
# One sentence for every reason: which part was wrong is nobody's business.
_MOST_REMEMBERED = 4096
# Name of what was presented -> (key with its user, when it was read). Refused keys are not kept.
_valid: dict[bytes, tuple[ApiKey, float]] = {}
_REFUSAL = "This API key is not valid: unknown, expired or revoked."


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.user` to the key's user and `request.auth` to the `ApiKey`."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        presented = _presented_key(request)
        if presented is None:
            return None
        key = usable_key(presented)
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return "Token"


def usable_key(presented: str) -> ApiKey:
    """The key that a request presents. Raises AuthenticationFailed."""
    now = timezone.now()
    known = _remembered(presented) or _find_key(presented)
    if known is None or not known.is_usable(now) or not known.user.is_active:
        raise AuthenticationFailed(_REFUSAL)
    _note_use(known, now)
    return known


def presents_key(request: HttpRequest) -> bool:
    """Whether the request asks to be let in by an API key, valid or not."""
    return _presented_key(request) is not None


def _presented_key(request: Request | HttpRequest) -> str | None:
    meta = request.META
    return presented_key(meta.get("HTTP_AUTHORIZATION", ""), meta.get("HTTP_X_API_KEY"))


def presented_key(authorization: str, api_key: str | None) -> str | None:
    """The API key in these two headers; None when there is none."""
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "token":
        return value
    if scheme.lower() == "bearer" and value.startswith(f"{KEY_MARK}_"):
        return value
    return None if api_key is None else api_key.strip()


def _remembered(presented: str) -> ApiKey | None:
    found = _valid.get(_name(presented))
    if found is None or time.monotonic() - found[1] >= settings.API_KEY_CACHE_SECONDS:
        return None
    return found[0]


def _name(presented: str) -> bytes:
    return hashlib.sha256(presented.encode(errors="surrogateescape")).digest()


def _find_key(presented: str) -> ApiKey | None:
    """The key in the database, remembered for a moment; None when there is no such key."""
    mark, _, rest = presented.partition("_")
    prefix, _, secret = rest.partition("_")
    # A NUL would be an error of PostgreSQL's instead of a wrong key.
    if mark != KEY_MARK or not prefix.isalnum() or not prefix.isascii() or not secret:
        return None
    key = ApiKey.objects.select_related("user").filter(prefix=prefix).first()
    if key is None or not hmac.compare_digest(key.secret_hash, hash_secret(secret)):
        return None
    key.user.came_by = key  # What is done by it is written down with it.
    if len(_valid) >= _MOST_REMEMBERED:
        _valid.clear()
    _valid[_name(presented)] = (key, time.monotonic())
    return key


def _note_use(key: ApiKey, now: datetime) -> None:
    before = now - _USE_NOTED_EVERY
    if key.last_used_at is None or key.last_used_at < before:
        # The condition again: of many parallel requests one writes.
        ApiKey.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=before), pk=key.pk).update(
            last_used_at=now
        )
        key.last_used_at = now
