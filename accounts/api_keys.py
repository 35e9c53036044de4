"""API keys: made, closed for good, and known to whom."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import KEY_MARK, ApiKey, AuditEntry, User
from accounts.rates import DEFAULT_RATE
from accounts.scopes import SCOPES
from accounts.selectors import KEY_CREATED
from accounts.services import record_audit, take_turn
from accounts.typed import is_plausible

MAY_MAKE = "accounts.add_apikey"
_PREFIX_BYTES = 5
_SECRET_BYTES = 32


@transaction.atomic
def create_api_key(
    *,
    user: User,
    label: str,
    scopes: Collection[str],
    rate: str = DEFAULT_RATE,
    expires_at: datetime | None = None,
    actor: User | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its plain text `rp_<prefix>_<secret>`, which is shown once and never kept.

    Raises `ValidationError` by field: a user for whom `actor` may make none or who is not active, a
    label that is empty or too long, scopes that are none or unknown, a rate that is none, an expiry
    in the past or too far away. Raises `UserRefused` where `actor` may make none any more.
    """
    # As both are now: a key stays when whoever makes it has just lost the right.
    maker = take_turn(actor, MAY_MAKE, doing="make API keys")
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    _check_owner(user, maker)
    _check_choices(label, scopes, expires_at)
    prefix, secret = secrets.token_hex(_PREFIX_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    key = ApiKey(
        user=user,
        label=label.strip(),
        prefix=prefix,
        secret_hash=hash_secret(secret),
        scopes=sorted(set(scopes)),
        rate=rate.strip(),
        expires_at=expires_at,
    )
    key.clean_fields(exclude={"user"})
    key.clean()
    key.save(force_insert=True)
    record_audit(
        actor=actor,
        action=KEY_CREATED,
        subject=key,
        detail={
            "user": user.username,
            "scopes": key.scopes,
            "rate": key.rate,
            "expires_at": expires_at,
        },
    )
    return key, f"{KEY_MARK}_{prefix}_{secret}"


def _check_owner(user: User, actor: User | None) -> None:
    if not user.is_active:
        said = "This user is not active: the key would open nothing."
        raise ValidationError({"user": said})
    if user.is_superuser and actor is not None and not actor.is_superuser:
        said = "Only a superuser makes a key that acts for a superuser."
        raise ValidationError({"user": said})


def _check_choices(label: str, scopes: Collection[str], expires_at: datetime | None) -> None:
    if not label.strip():
        raise ValidationError({"label": "Say what the key is for."})
    if not scopes:
        raise ValidationError({"scopes": f"Choose what it may do: {', '.join(SCOPES)}."})
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown:
        raise ValidationError(
            {"scopes": f"Unknown: {', '.join(unknown)}. Known: {', '.join(SCOPES)}."}
        )
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": "This time has passed already."})
    if expires_at is not None and not is_plausible(expires_at):
        raise ValidationError({"expires_at": "This time is too far away."})


@transaction.atomic
def revoke_api_key(key: ApiKey, *, actor: User | None) -> bool:
    """Close `key` for good. False when it was closed before."""
    now = timezone.now()
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        return False
    key.revoked_at = now
    record_audit(actor=actor, action="api_key.revoked", subject=key)
    return True


def keys_known_to(user: User, now: datetime) -> QuerySet[ApiKey]:
    """Keys in use of others that `user` made, and whose secrets they saw; the newest first."""
    made = AuditEntry.objects.filter(
        actor=user, action=KEY_CREATED, object_type=ApiKey._meta.label_lower
    )
    pks = [int(pk) for pk in made.values_list("object_id", flat=True)]
    in_use = Q(expires_at=None) | Q(expires_at__gt=now)
    rows = ApiKey.objects.filter(in_use, pk__in=pks, revoked_at=None, user__is_active=True)
    return rows.exclude(user=user).select_related("user").order_by("-created_at")


def hash_secret(secret: str) -> str:
    """SHA-256 in hex. Enough for 256 random bits; a password hasher would only cost time."""
    return hashlib.sha256(secret.encode()).hexdigest()
