"""Short-lived JSON Web Tokens for people who log in over the API (RFC 7519, HS256).

The key is derived from SECRET_KEY for this one purpose, the algorithm is pinned, and each token
says what it is for. A token names its user, says when they logged in, and carries a fingerprint of
the password. A refresh token gets the next pair, once (accounts/token_families.py), but never
beyond JWT_SESSION_SECONDS after the log-in. A changed password, a deactivated user or `end_log_ins`
ends every token at once; they stay ended when the user is activated again. Tokens are not stored:
`User.log_ins_from` is, and of a log-in that was refreshed the ids of its last two.
"""

import hmac
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from django.conf import settings
from django.db.models import Exists
from django.utils.crypto import salted_hmac

from accounts.models import TokenFamily, User
from accounts.token_families import follow
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
    expires_in: int
    refresh: str


def issue_tokens(user: User, *, now: float | None = None) -> TokenPair:
    """A pair for a user whose password was checked."""
    at = time.time() if now is None else now
    first = _new_id()
    return TokenPair(*_access(user, at, at, first), _refresh(user, at, at, first, first))


def renew_tokens(refresh: str, *, address: str = "") -> TokenPair:
    """The next pair of the same log-in, which ends when it would have. Raises TokenRefused.

    `address`: where this is asked for, told in the audit trail if the token was used before.
    """
    claims = _claims(refresh)
    user, family, logged_in = _user_of(claims, REFRESH), _family(claims), claims["auth_time"]
    ends_at = datetime.fromtimestamp(logged_in + settings.JWT_SESSION_SECONDS, UTC)
    found = follow(
        user,
        family=family,
        used=claims["jti"],
        successor=_new_id(),
        ends_at=ends_at,
        address=address,
    )
    if found is None:
        raise TokenRefused(
            "This refresh token was used before, so its log-in has ended. Log in again."
        )
    given_at = found.given_at.timestamp()
    return TokenPair(
        *_access(user, time.time(), logged_in, family),
        _refresh(user, given_at, logged_in, family, found.jti),
    )


def user_of(token: str, *, kind: str) -> User:
    """Whose token it is. One query. Raises TokenRefused."""
    return _user_of(_claims(token), kind)


def _access(user: User, at: float, logged_in: float, family: str) -> tuple[str, int]:
    """An access token and for how many seconds it works."""
    lives = min(settings.JWT_ACCESS_SECONDS, _left(at, logged_in))
    return _sign(user, ACCESS, at, lives, logged_in, family, _new_id()), lives


def _refresh(user: User, at: float, logged_in: float, family: str, jti: str) -> str:
    """The refresh token of that id; the same text for the same arguments."""
    lives = min(settings.JWT_REFRESH_SECONDS, _left(at, logged_in))
    return _sign(user, REFRESH, at, lives, logged_in, family, jti)


def _left(at: float, logged_in: float) -> int:
    return int(logged_in + settings.JWT_SESSION_SECONDS - at)


def _new_id() -> str:
    return secrets.token_urlsafe(12)


def _family(claims: dict[str, Any]) -> str:
    """Whose successor a refresh token is; one that names none is its log-in's first."""
    return str(claims.get("sid", claims["jti"]))


def _user_of(claims: dict[str, Any], kind: str) -> User:
    if claims.get("typ") != kind:
        raise TokenRefused(f"This is no {kind} token.")
    user, family_ended = _user(claims["sub"], _family(claims))
    if user is None or not user.is_active:
        raise TokenRefused("The user of this token may not log in.")
    if not hmac.compare_digest(str(claims.get("pwd", "")), _fingerprint(user)):
        raise TokenRefused("The password was changed since this token was made.")
    if family_ended or _has_ended(claims["auth_time"], user):
        raise TokenRefused("This log-in has ended. Log in again.")
    return user


def _has_ended(logged_in: float, user: User) -> bool:
    """Whether the log-in of that time (seconds since 1970) is too old, or was ended."""
    if logged_in + settings.JWT_SESSION_SECONDS <= time.time():
        return True
    return user.log_ins_from is not None and logged_in < user.log_ins_from.timestamp()


def _user(subject: str, family: str) -> tuple[User | None, bool]:
    """The user, and whether this log-in of theirs was ended by itself. One query."""
    if not is_whole(subject):
        return None, False
    ended = Exists(TokenFamily.objects.filter(pk=family, ended_at__isnull=False))
    found = User.objects.annotate(family_ended=ended).filter(pk=int(subject)).first()
    return found, found is not None and found.family_ended


def _sign(
    user: User, kind: str, at: float, seconds: int, logged_in: float, family: str, jti: str
) -> str:
    claims = {
        "iss": ISSUER,
        "sub": str(user.pk),
        "typ": kind,
        "iat": int(at),
        "exp": int(at) + seconds,
        "auth_time": round(logged_in, 6),
        "jti": jti,
        "sid": family,
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
