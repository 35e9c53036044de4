"""Somebody can always manage users: the last admin stays one, also when two take turns."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from accounts.models import User
from accounts.roles import ADMIN, ANALYST, LEAD
from accounts.services import (
    UserRefused,
    change_person,
    change_roles,
    create_user,
    end_log_ins,
    make_password_link,
    set_active,
)
from tests.accounts.factories import user_with_role

pytestmark = pytest.mark.django_db


def test_the_last_admin_stays_one(admin):
    for change in (
        lambda: change_roles(admin, roles=[LEAD], actor=None),
        lambda: set_active(admin, active=False, actor=None),
    ):
        with pytest.raises(UserRefused, match="last active Admin"):
            change()
    user_with_role(ADMIN)
    change_roles(admin, roles=[LEAD], actor=None)


def test_who_cannot_log_in_yet_is_no_other_admin(admin):
    ghost = create_user(username="ghost", roles=[ADMIN], actor=admin)
    with pytest.raises(UserRefused, match="last active Admin who can log in"):
        change_roles(admin, roles=[], actor=None)
    set_active(ghost, active=False, actor=admin)


@pytest.mark.parametrize(
    "unseat",
    [
        lambda user, by: change_roles(user, roles=[ANALYST], actor=by),
        lambda user, by: set_active(user, active=False, actor=by),
    ],
)
def test_of_two_admins_who_unseat_each_other_the_second_is_refused(admin, unseat):
    first, second = (user_with_role(ADMIN, username=name) for name in ("one", "two"))
    second.has_perm("accounts.change_user")  # Asked, and remembered, before the first one's turn.
    unseat(second, first)
    person = {"display_name": "x", "email": "", "time_zone": "UTC"}
    for act in (
        lambda: unseat(first, second),
        lambda: change_person(first, **person, actor=second),
        lambda: make_password_link(first, actor=second),
        lambda: end_log_ins(first, actor=second),
        lambda: create_user(username="mine", roles=[ADMIN], actor=second),
    ):
        with pytest.raises(UserRefused, match="any more"):
            act()
    assert User.objects.filter(groups__name=ADMIN, is_active=True).count() == 2


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", range(5))
def test_two_admins_who_unseat_each_other_leave_one(turn):
    first, second = (user_with_role(ADMIN, username=name) for name in ("one", "two"))
    start = Barrier(2)

    def unseat(whom, by):
        try:
            start.wait()
            change_roles(whom, roles=[ANALYST], actor=by)
        except UserRefused:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(unseat, (first, second), (second, first)))
    assert sorted(done) == [False, True]
    assert User.objects.filter(groups__name=ADMIN, is_active=True).count() == 1
