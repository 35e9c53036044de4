"""What the settings allow requests to."""

from django.conf import settings

from notifications.outgoing import Limits


def configured_limits() -> Limits:
    """The limits in force for addresses that admins type in."""
    return Limits(
        networks=tuple(settings.NOTIFY_NETWORKS),
        ports=frozenset(settings.NOTIFY_PORTS),
        deadline=settings.NOTIFY_SECONDS,
    )
