"""Receivers on this machine, and settings that let them be reached."""

from ipaddress import ip_network

import pytest

from tests.notifications.receivers import http_receiver, mail_sink


@pytest.fixture
def receiver(settings):
    """A real HTTP receiver in a network that the settings allow."""
    with http_receiver() as found:
        settings.NOTIFY_NETWORKS = [ip_network("127.0.0.0/8")]
        settings.NOTIFY_PORTS = [443, found.port]
        yield found


@pytest.fixture
def mail(settings):
    """A real mail server."""
    with mail_sink() as found:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", found.port
        settings.DEFAULT_FROM_EMAIL = "Risk platform <risk@bank.example>"
        settings.SITE_URL = "https://risk.bank.example"
        yield found
