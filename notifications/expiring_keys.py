"""API keys that expire: admins hear of it before programs are refused, and after."""

from datetime import datetime, timedelta

from django.db.models import QuerySet

from accounts.models import ApiKey
from notifications.services import notify

NEAR = timedelta(days=7)
"""So long before its end a key is told of; of a short life its last quarter."""
EXPIRES, EXPIRED = "api_key.expires", "api_key.expired"


def tell_expiring_keys(*, now: datetime) -> int:
    """Tell once of every key that soon expires, and of each that expired while it was in use; how
    many are told now. A key that gets another end is news again."""
    return sum(_tell(key, now=now) for key in _around(now))


def _around(now: datetime) -> QuerySet[ApiKey]:
    """Keys that would open something but for their end, which is near or was of late."""
    keys = ApiKey.objects.filter(revoked_at=None, user__is_active=True)
    near = keys.filter(expires_at__gt=now - NEAR, expires_at__lte=now + NEAR)
    return near.select_related("user").order_by("expires_at", "pk")


def _tell(key: ApiKey, *, now: datetime) -> bool:
    end, used = key.expires_at, key.last_used_at
    if end is None or now < end - min(NEAR, (end - key.created_at) / 4):
        return False
    is_over = end <= now
    if is_over and (used is None or used < end - NEAR):
        return False  # Nobody misses it.
    when = f"{end:%Y-%m-%d at %H:%M} UTC"
    last = f"last used on {used:%Y-%m-%d}" if used else "never used"
    if is_over:
        subject = f"API key {key.label} has expired"
        text = f"It ended on {when} and was in use to the end: what sends it is refused (401)."
    else:
        subject = f"API key {key.label} expires on {end:%Y-%m-%d}"
        text = f"From {when} on what sends it is refused (401). It was {last}."
    told = notify(
        EXPIRED if is_over else EXPIRES,
        key=f"{EXPIRED if is_over else EXPIRES}:{key.pk}:{end.isoformat()}",
        subject=subject,
        text=f"{text} It acts as {key.user.name}. Make a new one and put it in its place.",
        url=key.get_absolute_url(),
        data={"key": key.prefix, "label": key.label, "expires_at": end.isoformat()},
    )
    return told is not None
