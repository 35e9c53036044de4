"""Routes: where news goes for a team. Addresses and secrets are sealed by the vault; a secret is
shown once, when it is made."""

from collections.abc import Collection
from datetime import timedelta
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from accounts import vault
from accounts.models import User
from accounts.services import record_audit
from notifications.kinds import KINDS, TEST, Channel
from notifications.limits import configured_limits
from notifications.models import Delivery, Notification, Route
from notifications.outgoing import Fault, check_url
from notifications.services import write_down
from notifications.signing import new_secret

OVERLAP = timedelta(hours=24)
"""For so long a replaced secret still signs beside the new one."""
_SHOWN_HOST = 60


class RouteRefused(ValueError):
    """What was asked of a route cannot be; the message says why."""


def check_address(channel: str, address: str) -> str:
    """What may be shown of `address` (its host and its end). Raises ValidationError."""
    if channel == Channel.EMAIL:
        validate_email(address)
        return address
    try:
        parts = check_url(address, configured_limits())
    except Fault as fault:
        raise ValidationError(str(fault)) from None
    # Whoever has the path of an incoming webhook can write to the channel: it is a secret.
    return f"{str(parts.hostname)[:_SHOWN_HOST]}/{vault.MASK}"


@transaction.atomic
def create_route(
    *,
    name: str,
    channel: str,
    address: str,
    kinds: Collection[str],
    about: str = "",
    actor: User | None,
) -> tuple[Route, str]:
    """A new route and, for signed webhooks, its secret (else empty), which is shown this once.

    Raises ValidationError for an address that cannot be one.
    """
    secret = new_secret() if channel == Channel.WEBHOOK else ""
    route = Route(
        name=name,
        channel=channel,
        kinds=_known(kinds),
        about=about,
        shown_address=check_address(channel, address),
        sealed_address=vault.encrypt(address),
        sealed_secret=vault.encrypt(secret) if secret else "",
        created_by=actor,
    )
    route.save()
    record_audit(actor=actor, action="route.created", subject=route, detail=_told(route))
    return route, secret


@transaction.atomic
def change_route(
    route: Route,
    *,
    name: str,
    address: str,
    kinds: Collection[str],
    about: str,
    enabled: bool,
    actor: User | None,
) -> None:
    """Change what is given; an empty `address` leaves it. Raises ValidationError."""
    route.name, route.kinds, route.about, route.enabled = name, _known(kinds), about, enabled
    if address:
        route.shown_address = check_address(route.channel, address)
        route.sealed_address = vault.encrypt(address)
    route.save(
        update_fields=["name", "kinds", "about", "enabled", "shown_address", "sealed_address"]
    )
    detail = _told(route) | {"address_changed": bool(address)}
    record_audit(actor=actor, action="route.changed", subject=route, detail=detail)


@transaction.atomic
def rotate_secret(route: Route, *, actor: User | None) -> str:
    """A new secret, shown this once; the former one signs beside it for `OVERLAP`.

    Raises RouteRefused for a route that signs nothing.
    """
    row = Route.objects.select_for_update().get(pk=route.pk)
    if row.channel != Channel.WEBHOOK or row.removed_at is not None:
        raise RouteRefused("Only signed webhooks have a secret.")
    secret = new_secret()
    row.sealed_former_secret = row.sealed_secret
    row.former_secret_until = timezone.now() + OVERLAP
    row.sealed_secret = vault.encrypt(secret)
    row.save(update_fields=["sealed_former_secret", "former_secret_until", "sealed_secret"])
    record_audit(
        actor=actor,
        action="route.secret_rotated",
        subject=row,
        detail={"former_until": row.former_secret_until},
    )
    return secret


@transaction.atomic
def remove_route(route: Route, *, actor: User | None) -> bool:
    """Forget where it led; what was delivered stays in the log. False when it was removed before.

    What waits for it fails when its turn comes.
    """
    removed = Route.objects.filter(pk=route.pk, removed_at=None).update(
        removed_at=timezone.now(),
        enabled=False,
        sealed_address="",
        sealed_secret="",
        sealed_former_secret="",
        former_secret_until=None,
    )
    if removed:
        record_audit(actor=actor, action="route.removed", subject=route)
    return bool(removed)


@transaction.atomic
def send_test(route: Route, *, actor: User) -> Delivery:
    """Send a test by `route`, once and without another attempt. Raises RouteRefused."""
    if not route.enabled or route.removed_at is not None:
        raise RouteRefused("This route is switched off. Switch it on first.")
    news = Notification(
        key=f"test:{uuid4()}",
        kind=TEST,
        subject=f"A test of “{route.name}”",
        text=f"{actor.name} sent this test. If you can read it, the route works.",
        url="",
        created_at=timezone.now(),
    )
    stored = write_down(news, routes=[route], max_attempts=1)
    record_audit(actor=actor, action="route.tested", subject=route)
    return Delivery.objects.get(notification=stored, route=route)


@transaction.atomic
def resend(delivery: Delivery, *, actor: User) -> bool:
    """Put a delivery that is over back into the queue. False when it is under way."""
    over = (Delivery.Status.SENT, Delivery.Status.FAILED)
    again = Delivery.objects.filter(pk=delivery.pk, status__in=over).update(
        status=Delivery.Status.WAITING,
        attempt=0,
        due_at=timezone.now(),
        sent_at=None,
        error="",
    )
    if again:
        record_audit(actor=actor, action="delivery.resent", subject=delivery)
    return bool(again)


def signing_keys(route: Route) -> list[str]:
    """The secrets that sign at this time, the present one first."""
    sealed = [route.sealed_secret]
    if route.overlaps(timezone.now()):
        sealed.append(route.sealed_former_secret)
    return [vault.decrypt(text) for text in sealed if text]


def _known(kinds: Collection[str]) -> list[str]:
    return [name for name, kind in KINDS.items() if name in kinds and not kind.asked_for]


def _told(route: Route) -> dict[str, object]:
    return {
        "channel": route.channel,
        "to": route.shown_address,
        "kinds": route.kinds,
        "about": route.about,
        "enabled": route.enabled,
    }
