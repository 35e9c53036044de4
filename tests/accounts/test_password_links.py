"""A link that sets a password opens nothing once whoever made it may not manage users any more."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.password_links import PasswordLinkTokens
from accounts.roles import ADMIN, ANALYST
from accounts.services import make_password_link, set_active, set_roles
from tests.accounts.factories import UserFactory, user_with_role

pytestmark = pytest.mark.django_db
NEW = "a pass phrase of some length"


@pytest.fixture
def boss(db):
    return user_with_role(ADMIN, username="boss")


def opens(link):
    return Client().get(link, follow=True).context["validlink"]


def take_role(user):
    set_roles(user, roles=[ANALYST], actor=None)


def shut_out(user):
    set_active(user, active=False, actor=None)


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize("end", [take_role, shut_out])
def test_it_ends_with_the_right_of_whoever_made_it(boss, end):
    """Who is shut out for what they did would come back as whom they had made a link for."""
    link = make_password_link(UserFactory(), actor=boss)
    assert opens(link)
    end(boss)
    assert not opens(link)


def test_it_ends_while_its_page_lies_open(boss):
    user, page = UserFactory(), Client()
    shown = page.get(make_password_link(user, actor=boss), follow=True)
    take_role(boss)
    answer = page.post(shown.request["PATH_INFO"], {"new_password1": NEW, "new_password2": NEW})
    assert not answer.context["validlink"]
    user.refresh_from_db()
    assert not user.check_password(NEW)


def test_of_two_links_each_ends_with_its_own_maker(boss, admin, monkeypatch):
    user = UserFactory()
    with monkeypatch.context() as clock:
        then = timezone.now() - timedelta(hours=1)
        clock.setattr(timezone, "now", lambda: then)
        clock.setattr(PasswordLinkTokens, "_now", lambda self: then.replace(tzinfo=None))
        earlier = make_password_link(user, actor=boss)
    later = make_password_link(user, actor=admin)
    assert opens(earlier) and opens(later)
    take_role(boss)
    assert opens(later) and not opens(earlier)


def test_the_link_of_nobody_opens():
    assert opens(make_password_link(UserFactory(), actor=None))
