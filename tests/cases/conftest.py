"""A mail server on this machine, for what cases send."""

import pytest

from tests.notifications.receivers import mail_server


@pytest.fixture
def mail(settings):
    """A real mail server."""
    with mail_server(settings) as found:
        yield found
