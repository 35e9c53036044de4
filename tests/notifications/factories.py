"""Rows of notifications."""

from itertools import count

from accounts.models import User
from notifications.models import Notification, Route
from notifications.routing import create_route
from notifications.services import notify

_numbers = count(1)


def told(user: User, kind: str = "case.mention", **given) -> Notification:
    """A notification of `user`."""
    given.setdefault("key", f"test:{next(_numbers)}")
    given.setdefault("subject", "Somebody mentioned you in case 3")
    given.setdefault("url", "/")
    found = notify(kind, users=[user], **given)
    assert found is not None
    return found


def route_for(
    channel: str = "webhook",
    *,
    kinds: list[str] | None = None,
    address: str = "https://hooks.example.com/services/T0/B0/verysecretpart",
    about: str = "",
) -> Route:
    """A route of its own name."""
    route, _ = create_route(
        name=f"route {next(_numbers)}",
        channel=channel,
        address=address,
        kinds=["alert.opened"] if kinds is None else kinds,
        about=about,
        actor=None,
    )
    return route
