"""Signatures of webhooks, so that a receiver knows who sent a body, and when.

`X-Risk-Signature: t=<seconds since 1970>,v1=<hex>[,v1=<hex>]` where each `v1` is the HMAC-SHA256
(RFC 2104) of `<t>.<body>` under one secret; two while a secret is being replaced.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from accounts.typed import is_whole

HEADER = "X-Risk-Signature"
_MARK = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and 256 random bits."""
    return _MARK + secrets.token_urlsafe(_SECRET_BYTES)


def signature(body: bytes, *, at: int, keys: Sequence[str]) -> str:
    """The value of the header for `body` sent `at` (seconds since 1970)."""
    return ",".join([f"t={at}", *(f"v1={_digest(body, at, key)}" for key in keys)])


def is_signed(body: bytes, header: str, *, key: str, now: int, tolerance: int = 300) -> bool:
    """What a receiver does: one `v1` fits, and the time is at most `tolerance` seconds off."""
    if not header.isascii():  # compare_digest takes no other text
        return False
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t" and is_whole(value)]
    if len(times) != 1 or abs(now - int(times[0])) > tolerance:
        return False
    expected = _digest(body, int(times[0]), key)
    given = [value for name, _, value in parts if name == "v1"]
    return any(hmac.compare_digest(expected, value) for value in given)


def _digest(body: bytes, at: int, key: str) -> str:
    return hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
