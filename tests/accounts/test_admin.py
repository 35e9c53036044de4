import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from accounts.models import ApiKey, AuditEntry, User
from accounts.roles import ADMIN, ANALYST
from tests.accounts.factories import UserFactory, key_for, user_with_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin_page(client):
    client.force_login(user_with_role(ADMIN, username="boss"))
    return client


def test_a_new_key_leads_to_the_page_that_makes_it(admin_page):
    past = {"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}
    form = {"user": UserFactory().pk, "label": "shop", "scopes": ["score"], "rate": "none"} | past
    url = reverse("admin:accounts_apikey_add")
    for answer in (admin_page.get(url), admin_page.post(url, form)):
        assert (answer.status_code, answer.url) == (302, reverse("key_new"))
    assert not ApiKey.objects.exists()


def test_a_key_is_named_anew_and_nothing_else(admin_page):
    key, _ = key_for()
    url = reverse("admin:accounts_apikey_change", args=[key.pk])
    admin_page.post(url, {"label": "till", "scopes": ["admin"], "rate": "1/h"})
    key.refresh_from_db()
    assert (key.label, key.scopes, key.rate) == ("till", ["score"], "none")
    assert AuditEntry.objects.get(action="api_key.changed").detail == {"fields": ["label"]}


def test_a_keys_page_never_shows_its_hash(admin_page):
    key, _ = key_for()
    page = admin_page.get(reverse("admin:accounts_apikey_change", args=[key.pk]))
    assert page.status_code == 200
    assert key.secret_hash not in page.content.decode()


def test_a_key_is_revoked_from_the_list(admin_page):
    key, _ = key_for()
    admin_page.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": [key.pk]},
    )
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_the_audit_trail_can_be_read_and_nothing_else(admin_page):
    key_for()
    entry = AuditEntry.objects.first()
    assert admin_page.get(reverse("admin:accounts_auditentry_changelist")).status_code == 200
    url = reverse("admin:accounts_auditentry_change", args=[entry.pk])
    assert admin_page.get(url).status_code == 200
    assert admin_page.post(url, {"action": "x"}).status_code == 403
    assert admin_page.get(reverse("admin:accounts_auditentry_add")).status_code == 403


def change_form(user, **changed):
    return {
        "username": user.username,
        "time_zone": "UTC",
        "is_active": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    } | changed


def test_a_change_of_roles_in_the_admin_is_audited(client):
    client.force_login(UserFactory(username="root", is_superuser=True, is_staff=True))
    user = UserFactory()
    url = reverse("admin:accounts_user_change", args=[user.pk])
    form = change_form(user, groups=[Group.objects.get(name=ANALYST).pk])
    assert client.post(url, form).status_code == 302
    entry = AuditEntry.objects.filter(action="user.roles_changed").first()
    assert entry.detail == {"before": [], "after": [ANALYST]}
    assert entry.actor.username == "root"


def test_roles_and_who_is_let_in_are_left_to_the_guarded_pages(admin_page):
    boss = User.objects.get(username="boss")
    url = reverse("admin:accounts_user_change", args=[boss.pk])
    form = change_form(boss, is_staff="on", display_name="The boss", is_active="", groups=[])
    assert admin_page.post(url, form).status_code == 302
    boss.refresh_from_db()
    assert boss.display_name == "The boss"
    assert boss.is_active
    assert [group.name for group in boss.groups.all()] == [ADMIN]


def test_an_admin_cannot_make_a_superuser(admin_page):
    user = UserFactory()
    url = reverse("admin:accounts_user_change", args=[user.pk])
    admin_page.post(
        url,
        {"username": user.username, "time_zone": "UTC", "is_active": "on", "is_superuser": "on"},
    )
    user.refresh_from_db()
    assert not user.is_superuser


def test_an_analyst_does_not_get_in(client):
    client.force_login(user_with_role(ANALYST))
    response = client.get(reverse("admin:accounts_apikey_changelist"))
    assert response.status_code == 302


def test_an_admin_cannot_take_over_a_superuser(admin_page):
    root = UserFactory(is_superuser=True)
    url = reverse("admin:auth_user_password_change", args=[root.pk])
    form = {"password1": "taken-over-42", "password2": "taken-over-42"}
    assert admin_page.post(url, form).status_code == 403
    root.refresh_from_db()
    assert not root.check_password("taken-over-42")
