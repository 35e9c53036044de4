"""The vault for personal data: keyed tokens to search by, ciphertext to keep, masks to show.

Keys come from `settings.PII_KEYS`, `id:base64,id2:base64` (32 random bytes each). The *first* entry
encrypts; every entry decrypts. To rotate, put a new entry in front. From each key HKDF-SHA256
(RFC 5869) derives separate keys for encryption and for tokens, so neither use can weaken the other.

Tokens are a blind index: the same value must give the same token for ever, or the history of an
entity would break in two. They therefore come from the *last* (oldest) entry, which a rotation
leaves where it is. Dropping the last entry means computing every stored token anew.

AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces: rotate before 2**32 texts under one key.
"""

import base64
import binascii
import hashlib
import os
import re
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

MASK = "••••"
_SHOWN_CHARACTERS = 4
# Shorter texts are masked whole: their last four characters would give most of them away.
_SHORTEST_SHOWN = 8
_PREFIX = "enc:"
_NONCE_BYTES = 12
_TOKEN_HEX_DIGITS = 32
_INNER_PAD, _OUTER_PAD = 0x36, 0x5C
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class VaultError(Exception):
    """A text could not be decrypted: not ours, its key is missing, or a byte was changed."""


@dataclass(frozen=True, slots=True)
class _KeyRing:
    current_header: str
    current_aad: bytes
    current: AESGCM
    ciphers: dict[str, AESGCM]
    inner: "hashlib._Hash"
    outer: "hashlib._Hash"


def token(purpose: str, value: str) -> str:
    """A keyed, irreversible stand-in for `value`: 32 hex digits (HMAC-SHA256, cut to 128 bits).

    `purpose` (for example `entity`, `ip_address`) separates domains: the same value under two
    purposes gives unrelated tokens.
    """
    # The length keeps ("a", "b:c") and ("a:b", "c") apart.
    message = f"{len(purpose)}:{purpose}:{value}".encode()
    ring = _ring(settings.PII_KEYS)
    inner, outer = ring.inner.copy(), ring.outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer.hexdigest()[:_TOKEN_HEX_DIGITS]


def encrypt(text: str) -> str:
    """`text` as `enc:<key id>:<base64 of nonce, ciphertext, tag>`; twice never the same."""
    ring = _ring(settings.PII_KEYS)
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + ring.current.encrypt(nonce, text.encode(), ring.current_aad)
    return ring.current_header + _encode(sealed)


def decrypt(text: str) -> str:
    """The text that `encrypt` was given.

    Raises `VaultError` when `text` was not made by `encrypt`, its key is unknown or it was changed.
    """
    if not is_encrypted(text):
        raise VaultError("This text was not encrypted by the vault.")
    _, key_id, body = text.split(":", 2)
    cipher = _ring(settings.PII_KEYS).ciphers.get(key_id)
    if cipher is None:
        raise VaultError(f"The key '{key_id}' that encrypted this text is not configured.")
    try:
        sealed = base64.b64decode(body, validate=True)
        if _encode(sealed) != body:
            # Base64 has spare bits at its end; one text has one form here.
            raise VaultError("The encrypted text was changed.")
        opened = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], key_id.encode())
        # UnicodeDecodeError, binascii.Error and "nonce too short" are all ValueErrors.
        return opened.decode()
    except (InvalidTag, ValueError) as error:
        raise VaultError("The encrypted text was changed or cut off.") from error


def is_encrypted(text: str) -> bool:
    """Whether `text` has the form that `encrypt` gives (its content is not checked)."""
    return text.startswith(_PREFIX) and text.count(":") == 2


def is_ours(text: str) -> bool:
    """Whether `encrypt` made `text` under a key that is still configured."""
    if not is_encrypted(text):
        return False
    try:
        decrypt(text)
    except VaultError:
        return False
    return True


def mask(text: str) -> str:
    """`text` for the screen: `••••` and the last four characters; short texts show none."""
    return MASK + text[-_SHOWN_CHARACTERS:] if len(text) >= _SHORTEST_SHOWN else MASK


@lru_cache(maxsize=8)
def _ring(configured: str) -> _KeyRing:
    keys = parse_keys(configured)
    ciphers = {key_id: AESGCM(_derive(key, "encryption")) for key_id, key in keys.items()}
    current_id, oldest_id = next(iter(keys)), next(reversed(keys))
    return _KeyRing(
        current_header=f"{_PREFIX}{current_id}:",
        current_aad=current_id.encode(),
        current=ciphers[current_id],
        ciphers=ciphers,
        inner=_begun(_derive(keys[oldest_id], "token"), _INNER_PAD),
        outer=_begun(_derive(keys[oldest_id], "token"), _OUTER_PAD),
    )


def _begun(key: bytes, pad: int) -> "hashlib._Hash":
    """One of HMAC's two hashes after its block of key (RFC 2104), to be copied for each text: a
    token then costs less than half of a whole HMAC (measured)."""
    block = key.ljust(hashlib.sha256().block_size, b"\0")
    return hashlib.sha256(bytes(byte ^ pad for byte in block))


def parse_keys(configured: str) -> dict[str, bytes]:
    """The keys of 32 bytes by their ids, in order; `ImproperlyConfigured` says what is wrong."""
    keys: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in configured.split(","))):
        key_id, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise ImproperlyConfigured(f"RISK_PII_KEYS: key '{key_id}' is not base64.") from error
        if not _KEY_ID.fullmatch(key_id) or len(key) != hashlib.sha256().digest_size:
            raise ImproperlyConfigured(
                "RISK_PII_KEYS: each entry is id:base64 with an id of letters, digits, - and _, "
                "and a key of exactly 32 bytes."
            )
        if key_id in keys:
            raise ImproperlyConfigured(f"RISK_PII_KEYS: the id '{key_id}' stands there twice.")
        keys[key_id] = key
    if not keys:
        raise ImproperlyConfigured("RISK_PII_KEYS is empty; it needs at least one id:base64 entry.")
    return keys


def _encode(sealed: bytes) -> str:
    return binascii.b2a_base64(sealed, newline=False).decode("ascii")


def _derive(key: bytes, use: str) -> bytes:
    info = f"riskplatform vault {use} 1".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key)
