"""API keys in requests: `Authorization: Token rp_…` (or `Bearer rp_…`) and `X-API-Key: rp_…`.

One query: the key with its user. What the key may do is looked at in accounts/permissions.py.
"""

import hmac
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import ApiKey, User
from accounts.services import KEY_MARK, hash_secret

_USE_NOTED_EVERY = timedelta(minutes=1)
# One sentence for every reason: which part was wrong is nobody's business.
_REFUSAL = "This API key is not valid: unknown, expired or revoked."


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.user` to the key's user and `request.auth` to the `ApiKey`."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        presented = _presented_key(request)
        if presented is None:
            return None
        key = _find_key(presented)
        now = timezone.now()
        if key is None or not key.is_usable(now) or not key.user.is_active:
            raise AuthenticationFailed(_REFUSAL)
        _note_use(key, now)
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return "Token"


def _presented_key(request: Request) -> str | None:
    header = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "token":
        return value
    if scheme.lower() == "bearer" and value.startswith(f"{KEY_MARK}_"):
        return value
    presented: str | None = request.META.get("HTTP_X_API_KEY")
    return presented


def _find_key(presented: str) -> ApiKey | None:
    mark, _, rest = presented.partition("_")
    prefix, _, secret = rest.partition("_")
    # A NUL would be an error of PostgreSQL's instead of a wrong key.
    if mark != KEY_MARK or not prefix.isalnum() or not prefix.isascii() or not secret:
        return None
    key = ApiKey.objects.select_related("user").filter(prefix=prefix).first()
    if key is None or not hmac.compare_digest(key.secret_hash, hash_secret(secret)):
        return None
    return key


def _note_use(key: ApiKey, now: datetime) -> None:
    before = now - _USE_NOTED_EVERY
    if key.last_used_at is None or key.last_used_at < before:
        # The condition again: of many parallel requests one writes.
        ApiKey.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=before), pk=key.pk).update(
            last_used_at=now
        )
