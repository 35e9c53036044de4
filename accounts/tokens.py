"""Short-lived JSON Web Tokens for people who log in over the API (RFC 7519, HS256).

The key is derived from SECRET_KEY for this one purpose, the algorithm is pinned, and each token
says what it is for. A token names its user, says when they logged in, and carries a fingerprint of
the password. A refresh token gets the next pair, but never beyond JWT_SESSION_SECONDS after the
log-in. A changed password, a deactivated user or `end_log_ins` ends every token at once; they stay
ended when the user is activated again. Tokens are not stored, only `User.log_ins_from`.
"""

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any

import jwt
from django.conf import settings
from django.utils.crypto import salted_hmac

from accounts.models import User
from accounts.typed import is_whole

ALGORITHM = "HS256"
ISSUER = "riskplatform"
ACCESS, REFRESH = "access", "refresh"
PURPOSE = "riskplatform.accounts.tokens.v1"
_MUST_HAVE = ["exp", "iat", "iss", "sub", "jti", "auth_time"]


class TokenRefused(Exception):
    """The token is not ours, expired, of the wrong kind, or its user may not log in any more."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """`expires_in`: seconds for which `access` opens the API; `refresh` gets the next pair."""

    access: str
    refresh: str
    expires_in: int


def issue_tokens(user: User, *, now: float | None = None) -> TokenPair:
    """A pair for a user whose password was checked."""
    at = time.time() if now is None else now
    return _pair(user, at, at)


def renew_tokens(refresh: str) -> TokenPair:
    """The next pair of the same log-in, which ends when it would have. Raises TokenRefused."""
    claims = _claims(refresh)
    return _pair(_user_of(claims, REFRESH), time.time(), claims["auth_time"])


def user_of(token: str, *, kind: str) -> User:
    """Whose token it is. One query. Raises TokenRefused."""
    return _user_of(_claims(token), kind)


def _pair(user: User, at: float, logged_in: float) -> TokenPair:
    left = int(logged_in + settings.JWT_SESSION_SECONDS - at)
    lives = min(settings.JWT_ACCESS_SECONDS, left)
    return TokenPair(
        access=_sign(user, ACCESS, at, lives, logged_in),
        refresh=_sign(user, REFRESH, at, min(settings.JWT_REFRESH_SECONDS, left), logged_in),
        expires_in=lives,
    )


def _user_of(claims: dict[str, Any], kind: str) -> User:
    if claims.get("typ") != kind:
        raise TokenRefused(f"This is no {kind} token.")
    user = _user(claims["sub"])
    if user is None or not user.is_active:
        raise TokenRefused("The user of this token may not log in.")
    if not hmac.compare_digest(str(claims.get("pwd", "")), _fingerprint(user)):
        raise TokenRefused("The password was changed since this token was made.")
    if _has_ended(claims["auth_time"], user):
        raise TokenRefused("This log-in has ended. Log in again.")
    return user


def _has_ended(logged_in: float, user: User) -> bool:
    """Whether the log-in of that time (seconds since 1970) is too old, or was ended."""
    if logged_in + settings.JWT_SESSION_SECONDS <= time.time():
        return True
    return user.log_ins_from is not None and logged_in < user.log_ins_from.timestamp()


def _user(subject: str) -> User | None:
    if not is_whole(subject):
        return None
    return User.objects.filter(pk=int(subject)).first()


def _sign(user: User, kind: str, at: float, seconds: int, logged_in: float) -> str:
    claims = {
        "iss": ISSUER,
        "sub": str(user.pk),
        "typ": kind,
        "iat": int(at),
        "exp": int(at) + seconds,
        "auth_time": round(logged_in, 6),
        "jti": secrets.token_urlsafe(12),
        "pwd": _fingerprint(user),
    }
    return jwt.encode(claims, _key(), algorithm=ALGORITHM)


def _claims(token: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = jwt.decode(
            token,
            _key(),
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            options={"require": _MUST_HAVE},
        )
    except jwt.ExpiredSignatureError as error:
        raise TokenRefused("This token has expired.") from error
    # A token is whatever a client sent: PyJWT lets some errors of decoding through.
    except (jwt.InvalidTokenError, ValueError) as error:
        raise TokenRefused("This token is not valid.") from error
    if type(found["auth_time"]) not in (int, float):
        raise TokenRefused("This token is not valid.")
    return found


def _key() -> bytes:
    return salted_hmac(PURPOSE, "key", algorithm="sha256").digest()


def _fingerprint(user: User) -> str:
    return salted_hmac(f"{PURPOSE}.password", user.password, algorithm="sha256").hexdigest()[:16]
