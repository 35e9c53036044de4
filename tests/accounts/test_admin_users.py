"""Users in Django's admin: changed as on their pages, or not at all, and never unseen."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, FailedLogin, User
from accounts.roles import ADMIN, ANALYST
from accounts.services import UserRefused, make_password_link, set_roles, set_superuser
from tests.accounts.factories import UserFactory, key_for, user_with_role

pytestmark = pytest.mark.django_db
NEW = "another horse battery"


@pytest.fixture
def root(db):
    return UserFactory(username="root", is_superuser=True, is_staff=True)


@pytest.fixture
def root_page(client, root):
    client.force_login(root)
    return client


@pytest.fixture
def admin_page(client, admin):
    client.force_login(admin)
    return client


def change(page, user, **changed):
    """Post the page of `user` as it shows, but for `changed`; a box that is None is not ticked."""
    user.refresh_from_db()
    form = {
        "display_name": user.display_name,
        "email": user.email,
        "time_zone": user.time_zone,
        "is_active": "on" if user.is_active else None,
        "is_superuser": "on" if user.is_superuser else None,
        "groups": [group.pk for group in user.groups.all()],
    } | changed
    given = {name: value for name, value in form.items() if value is not None}
    answer = page.post(reverse("admin:accounts_user_change", args=[user.pk]), given, follow=True)
    user.refresh_from_db()
    return answer.content.decode()


def written():
    """The actions of the trail about users, newest first, log-ins left out."""
    entries = AuditEntry.objects.filter(object_type="accounts.user")
    return list(entries.exclude(action="user.logged_in").values_list("action", flat=True))


@pytest.mark.parametrize("who", ["root_page", "admin_page"])
def test_nobody_sets_the_password_of_another(request, who):
    page, user = request.getfixturevalue(who), UserFactory()
    url = reverse("admin:auth_user_password_change", args=[user.pk])
    for answer in (page.get(url), page.post(url, {"password1": NEW, "password2": NEW})):
        assert answer["Location"] == user.get_absolute_url()
    user.refresh_from_db()
    assert not user.check_password(NEW)


def test_ones_own_password_asks_for_the_old_one(admin_page, admin):
    url = reverse("admin:auth_user_password_change", args=[admin.pk])
    answer = admin_page.post(url, {"password1": NEW, "password2": NEW})
    assert answer["Location"] == reverse("password_change")


def test_a_password_of_nobody_is_not_found(root_page):
    url = reverse("admin:auth_user_password_change", args=[12345])
    assert root_page.get(url).status_code == 404


def test_new_users_come_from_their_page_alone(root_page):
    form = {"username": "eve", "usable_password": "true", "password1": NEW, "password2": NEW}
    answer = root_page.post(reverse("admin:accounts_user_add"), form)
    assert answer["Location"] == reverse("user_new")
    assert not User.objects.filter(username="eve").exists()


@pytest.mark.parametrize(
    ("before", "changed", "action"),
    [
        ({}, {"is_active": None}, "user.deactivated"),
        ({"is_active": False}, {"is_active": "on"}, "user.activated"),
        ({}, {"is_superuser": "on"}, "user.superuser_made"),
        ({"is_superuser": True, "is_staff": True}, {"is_superuser": None}, "user.superuser_unmade"),
        ({}, {"email": "ann@example.com"}, "user.changed"),
    ],
)
def test_what_a_superuser_changes_is_in_the_trail(root_page, before, changed, action):
    change(root_page, UserFactory(**before), **changed)
    assert written() == [action]
    assert AuditEntry.objects.get(action=action).actor.username == "root"


def test_whoever_is_shut_out_in_the_admin_loses_their_log_ins(root_page):
    user = UserFactory()
    change(root_page, user, is_active=None)
    assert not user.is_active
    assert user.log_ins_from is not None


def test_a_superuser_opens_the_admin_and_an_ordinary_user_does_not(root_page):
    user = UserFactory()
    for ticked in ("on", None):
        change(root_page, user, is_superuser=ticked)
        assert (user.is_superuser, user.is_staff) == (bool(ticked), bool(ticked))


def test_what_is_saved_unchanged_leaves_no_line(root_page):
    change(root_page, user_with_role(ANALYST))
    assert written() == ["user.roles_changed"]  # By the factory.


def test_several_changes_come_together_or_not_at_all(root_page, root):
    said = change(root_page, root, display_name="The root", is_superuser=None)
    assert "Nobody changes your own account" in said
    assert root.is_superuser
    assert root.display_name == ""
    assert written() == []


def test_nobody_takes_their_own_role_in_the_admin(root_page, root):
    assert "Nobody changes your own roles" in change(
        root_page, root, groups=[Group.objects.get(name=ANALYST).pk]
    )
    assert not root.groups.exists()


def test_a_user_name_and_who_opens_the_admin_are_not_typed_in(root_page):
    user = UserFactory(username="ann")
    change(root_page, user, username="anne", is_staff="on")
    assert (user.username, user.is_staff) == ("ann", False)


@pytest.mark.parametrize("of", ["oneself", "another"])
def test_an_admin_raises_nobody(admin_page, admin, of):
    user = admin if of == "oneself" else UserFactory()
    groups = set(user.groups.all())
    everything = [group.pk for group in Group.objects.all()]
    change(
        admin_page,
        user,
        is_superuser="on",
        is_staff="on",
        groups=everything,
        user_permissions=["1"],
    )
    assert not user.is_superuser
    assert set(user.groups.all()) == groups
    assert not user.user_permissions.exists()


def test_an_admin_changes_no_superuser(admin_page, root):
    change(admin_page, root, email="taken@example.com", is_active=None)
    assert root.is_active
    assert root.email == ""


def test_only_a_superuser_of_now_makes_one(root):
    set_roles(root, roles=[ADMIN], actor=None)
    user, stale = UserFactory(), User.objects.get(pk=root.pk)
    User.objects.filter(pk=root.pk).update(is_superuser=False)
    for actor in (stale, user_with_role(ADMIN)):
        with pytest.raises(UserRefused, match="Only a superuser"):
            set_superuser(user, superuser=True, actor=actor)


def test_the_last_who_manages_users_stays_a_superuser(root):
    with pytest.raises(UserRefused, match="last active Admin"):
        set_superuser(root, superuser=False, actor=None)


def test_unlocking_is_left_to_the_page_that_audits_it(root_page):
    row = FailedLogin.objects.create(
        username="ann", address="10.0.0.1", failures=9, last_failed_at=timezone.now()
    )
    url = reverse("admin:accounts_failedlogin_delete", args=[row.pk])
    assert root_page.post(url, {"post": "yes"}).status_code == 403


def test_another_label_of_a_key_is_in_the_trail(root_page):
    key, _ = key_for()
    url = reverse("admin:accounts_apikey_change", args=[key.pk])
    for label in ("till", "till"):
        root_page.post(url, {"label": label})
    assert AuditEntry.objects.get(action="api_key.changed").detail == {"fields": ["label"]}


def test_what_an_admin_held_of_an_ordinary_user_opens_no_superuser(root_page, admin, client):
    """Else the link that an admin made for a colleague yesterday would make them a superuser."""
    user = UserFactory()
    link, session = make_password_link(user, actor=admin), Client()
    session.force_login(user)
    change(root_page, user, is_superuser="on")
    assert user.is_superuser
    assert client.get(link, follow=True).context["validlink"] is False
    assert session.get(reverse("user_list")).url.startswith(reverse("login"))
