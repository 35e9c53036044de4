"""Who decides as the second person is asked anew when it is their turn, whatever let them in."""

import pytest
from django.utils import timezone

from accounts.api_keys import create_api_key
from accounts.models import ApiKey, User
from accounts.roles import LEAD
from accounts.selectors import still_may
from tests.accounts.factories import user_with_role

pytestmark = pytest.mark.django_db
APPROVE = "cases.approve_case"


@pytest.fixture
def lead():
    """A lead whose rights were looked up when the request came in."""
    user = user_with_role(LEAD)
    assert user.has_perm(APPROVE)
    return user


def test_who_may_still_may(lead):
    assert still_may(lead, APPROVE)


@pytest.mark.parametrize(
    "end",
    [
        lambda user: user.groups.clear(),
        lambda user: setattr(user, "is_active", False) or user.save(),
        lambda user: user.delete(),
    ],
    ids=["demoted", "deactivated", "deleted"],
)
def test_who_lost_the_right_meanwhile_may_not(lead, end):
    end(User.objects.get(pk=lead.pk))
    assert lead.has_perm(APPROVE)
    assert not still_may(lead, APPROVE)


@pytest.mark.parametrize("ended", ["revoked_at", "expires_at"])
def test_nor_does_who_comes_by_a_key_that_was_ended_meanwhile(lead, ended):
    lead.came_by, _ = create_api_key(user=lead, label="key", scopes=["score"])
    assert still_may(lead, APPROVE)
    ApiKey.objects.update(**{ended: timezone.now()})
    assert not still_may(lead, APPROVE)
