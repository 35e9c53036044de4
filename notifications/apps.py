"""Telling people and other systems what happened: bell, e-mail, Slack, Teams, signed webhooks."""

from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


class NotificationsConfig(AppConfig):
    name = "notifications"

    def ready(self) -> None:
        register(check_site_url, Tags.urls)


def check_site_url(**given: Any) -> list[CheckMessage]:
    """Whoever runs a platform for others is told when links in its messages lead nowhere."""
    if settings.EMBEDDED or urlsplit(settings.SITE_URL).hostname not in ("localhost", "127.0.0.1"):
        return []
    return [
        Warning(
            f"Links in messages lead to {settings.SITE_URL}, which is each reader's own machine.",
            hint="Set RISK_SITE_URL to the address that people open, such as https://risk.example.com.",
            id="notifications.W001",
        )
    ]
