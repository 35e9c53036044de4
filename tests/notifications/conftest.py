"""Receivers on this machine, and settings that let them be reached."""

from ipaddress import ip_network

import pytest

from tests.notifications.receivers import http_receiver, mail_server


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
    with mail_server(settings) as found:
        yield found
