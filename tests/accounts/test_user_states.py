"""What the pages say of whether somebody gets in."""

import pytest
from django.urls import reverse

from accounts.services import create_user
from tests.accounts.factories import UserFactory

pytestmark = pytest.mark.django_db


def who_has_a_link():
    return create_user(username="nina", actor=None)


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (who_has_a_link, "Invited"),
        (UserFactory, "Active"),
        (lambda: UserFactory(is_active=False), "Not active"),
    ],
)
def test_a_password_that_is_not_set_yet_is_an_invitation(client, admin, make, state):
    user = make()
    client.force_login(admin)
    pages = (
        client.get(reverse("user_detail", args=[user.pk])),
        client.get(reverse("user_list"), {"q": user.username}),
    )
    for page in pages:
        shown = page.content.decode().split("<main")[1]
        assert f">{state}</span>" in shown
