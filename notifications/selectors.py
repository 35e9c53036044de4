"""Reads of notifications, routes and deliveries."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from accounts.models import User
from accounts.selectors import holders_of
from notifications.kinds import KINDS, Channel, Kind
from notifications.models import Delivery, Notification, Preference, Receipt, Route

MOST_COUNTED = 100
"""The bell says 99+ from here on, so that counting never costs more."""


def unread_count(user_id: int) -> int:
    """How many unread notifications somebody has, at most `MOST_COUNTED`. One indexed query."""
    return Receipt.objects.filter(user=user_id, read_at=None).order_by()[:MOST_COUNTED].count()


def list_receipts(user: User, *, kind: str = "", unread: bool = False) -> QuerySet[Receipt]:
    """Somebody's notifications that they may still see, newest first."""
    found = Receipt.objects.filter(user=user, kind__in=heard_by(user))
    found = found.select_related("notification")
    if kind:
        found = found.filter(kind=kind)
    if unread:
        found = found.filter(read_at=None)
    return found


def heard_by(user: User) -> list[str]:
    """The kinds that somebody may be told of now: roles change after a notification was written."""
    return [kind.name for kind in KINDS.values() if user.has_perm(kind.permission)]


def allowed_users(
    kind: Kind, *, users: Iterable[User] | None, roles: Collection[str]
) -> list[User]:
    """Who may be told of `kind` among `users`, or among those who have one of `roles`."""
    may = holders_of(kind.permission).filter(is_active=True)
    if users is not None:
        return list(may.filter(pk__in={user.pk for user in users}).order_by("pk"))
    return list(may.filter(groups__name__in=roles).distinct().order_by("pk")) if roles else []


def preferences_of(users: Collection[User]) -> dict[int, Preference]:
    """By user id; a fresh one for whoever has chosen nothing."""
    stored = Preference.objects.in_bulk([user.pk for user in users])
    return {user.pk: stored.get(user.pk) or Preference(user=user) for user in users}


def routes_for(kind: str, slugs: Collection[str]) -> list[Route]:
    """The routes in force that take `kind` of one of these detectors."""
    routes = Route.objects.filter(enabled=True, removed_at=None, about__in={"", *slugs})
    # A few rows; SQLite cannot look into a JSON list.
    return [route for route in routes if kind in route.kinds]


def told_of_late(kind: str, about: str, group: str, *, now: datetime) -> QuerySet[Notification]:
    """What was told of a kind, a detector and a group within an hour."""
    since = now - timedelta(hours=1)
    rows = Notification.objects.filter(kind=kind, about=about, group=group, created_at__gt=since)
    return rows.order_by()


def list_routes() -> QuerySet[Route]:
    """Routes that were not removed."""
    return Route.objects.filter(removed_at=None).select_related("created_by")


def list_deliveries(
    *, status: str = "", channel: str = "", route: str = "", kind: str = ""
) -> QuerySet[Delivery]:
    """The delivery log, newest first."""
    asked: dict[str, Any] = {
        "status": status,
        "channel": channel,
        "route": route,
        "notification__kind": kind,
    }
    return (
        Delivery.objects.filter(**{name: value for name, value in asked.items() if value})
        .select_related("notification", "route", "user")
        .defer("log")
    )


def due_deliveries(now: datetime) -> QuerySet[Delivery]:
    """What waits and may be sent, longest first."""
    return Delivery.objects.filter(status=Delivery.Status.WAITING, due_at__lte=now).order_by(
        "due_at"
    )


def mail_is_set_up() -> bool:
    """Whether e-mail can be sent at all."""
    return bool(settings.EMAIL_HOST)


def known_details() -> QuerySet[Delivery]:
    """Deliveries with all that their page shows."""
    return Delivery.objects.select_related("notification", "route", "user")


def channels_of(preference: Preference, kind: str) -> set[Channel]:
    """The personal channels by which somebody is told of `kind`."""
    return {channel for channel in (Channel.BELL, Channel.EMAIL) if preference.wants(kind, channel)}


def people_for(kind: str, users: Iterable[User]) -> list[User]:
    """Those of `users` who may be told of `kind`, by name of the kind."""
    return allowed_users(KINDS[kind], users=users, roles=())


def wants_mail(user: User, kind: str) -> bool:
    """Whether somebody did not switch the e-mails of a kind off."""
    return preferences_of([user])[user.pk].wants(kind, Channel.EMAIL)
