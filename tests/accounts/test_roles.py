import pytest
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.core.management import call_command

from accounts.models import AuditEntry
from accounts.roles import ADMIN, ANALYST, DATA_ENGINEER, LEAD, MODEL_OWNER, PERMISSIONS_BY_ROLE
from accounts.services import set_roles, sync_roles
from tests.accounts.factories import UserFactory, user_with_role

pytestmark = pytest.mark.django_db


def test_a_migrated_database_has_every_role():
    names = set(Group.objects.values_list("name", flat=True))
    assert names >= {ANALYST, LEAD, DATA_ENGINEER, MODEL_OWNER, ADMIN}


def test_roles_may_what_the_table_says():
    assert user_with_role(MODEL_OWNER).has_perm("jobs.cancel_job")
    assert not user_with_role(ANALYST).has_perm("jobs.cancel_job")
    assert user_with_role(ANALYST).has_perm("jobs.view_job")
    assert not UserFactory().has_perm("jobs.view_job")


def test_an_admin_may_everything_that_the_others_may():
    for names in PERMISSIONS_BY_ROLE.values():
        assert names <= PERMISSIONS_BY_ROLE[ADMIN]


def test_syncing_twice_changes_nothing_and_undoes_edits():
    analyst = Group.objects.get(name=ANALYST)
    analyst.permissions.add(Permission.objects.get(codename="delete_user"))
    assert sync_roles() == sync_roles()
    assert not analyst.permissions.filter(codename="delete_user").exists()
    call_command("sync_roles", verbosity=0)


def test_a_change_of_roles_is_audited_with_before_and_after():
    boss = UserFactory()
    user = user_with_role(ANALYST)
    set_roles(user, roles=[LEAD, ADMIN], actor=boss)
    entry = AuditEntry.objects.filter(action="user.roles_changed").first()
    assert entry.actor == boss
    assert entry.detail == {"before": [ANALYST], "after": [ADMIN, LEAD]}


def test_only_admins_get_into_the_admin_pages():
    user = user_with_role(ADMIN)
    assert user.is_staff
    set_roles(user, roles=[ANALYST], actor=None)
    user.refresh_from_db()
    assert not user.is_staff


def test_an_unknown_role_is_refused():
    with pytest.raises(ValidationError, match="Wizard"):
        set_roles(UserFactory(), roles=["Wizard"], actor=None)
