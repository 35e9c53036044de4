"""What tests of cases share: a mail server on this machine, and second looks."""

import pytest

from accounts.models import User
from accounts.roles import ANALYST
from tests.accounts.factories import user_with_role
from tests.notifications.receivers import mail_server


@pytest.fixture
def mail(settings):
    """A real mail server."""
    with mail_server(settings) as found:
        yield found


@pytest.fixture
def draw_everything(settings) -> None:
    """Every alert that is closed gets a second look."""
    settings.SECOND_LOOK_SHARE = 1.0


@pytest.fixture
def second(db: None) -> User:
    """Another analyst, who takes second looks."""
    return user_with_role(ANALYST, username="second-analyst")
