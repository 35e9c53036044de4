"""Pages of API keys: the secret is shown once, and a revoked key opens nothing."""

import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.api_keys import create_api_key, revoke_api_key
from accounts.models import ApiKey, AuditEntry, User
from accounts.roles import ANALYST
from tests.accounts.factories import UserFactory, key_for, user_with_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(client, admin):
    client.force_login(admin)
    return client


def make(boss, **changed):
    user_with_role(ANALYST, username="shop")
    form = {"owner": "shop", "label": "till", "scopes": ["predictions:read"], "rate": "none"}
    return boss.post(reverse("key_new"), {**form, **changed})


def text(response):
    return response.content.decode()


def secret_in(response):
    return re.search(r"rp_[0-9a-f]{10}_[\w-]+", text(response))[0]


def test_a_key_is_made_used_and_revoked(boss, admin):
    page = make(boss)
    assert page["Cache-Control"] == "no-store"
    program = Client(headers={"authorization": f"Token {secret_in(page)}"})
    assert program.get("/api/v1/predictions").status_code == 200
    key = ApiKey.objects.get()
    assert (key.user.username, key.scopes, key.expires_at) == ("shop", ["predictions:read"], None)
    boss.post(reverse("key_revoke", args=[key.pk]))
    assert program.get("/api/v1/predictions").status_code == 401
    actions = AuditEntry.objects.filter(object_type="accounts.apikey").values_list(
        "action", "actor"
    )
    assert set(actions) == {("api_key.created", admin.pk), ("api_key.revoked", admin.pk)}


def test_the_secret_is_nowhere_but_on_that_page(boss, caplog):
    caplog.set_level(logging.DEBUG)
    secret = secret_in(make(boss)).split("_", 2)[2]
    key = ApiKey.objects.get()
    pages = [key.get_absolute_url(), reverse("key_list"), key.user.get_absolute_url()]
    pages += [reverse("audit_list")]
    assert all(secret not in text(boss.get(page)) for page in pages)
    assert all(key.secret_hash not in text(boss.get(page)) for page in pages)
    assert not any(secret in entry.detail_json for entry in AuditEntry.objects.all())
    assert secret not in caplog.text
    trail = b"".join(boss.get(reverse("audit_export")).streaming_content).decode()
    assert secret not in trail
    assert key.secret_hash not in trail


def test_a_key_ends_with_its_last_day(boss):
    day = timezone.now().date() + timedelta(days=3)
    make(boss, expires_on=day.isoformat())
    key = ApiKey.objects.get()
    assert key.expires_at.date() == day
    assert key.is_usable(key.expires_at - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"owner": "nobody"}, "owner"),
        ({"owner": "x\0"}, "owner"),
        ({"label": ""}, "label"),
        ({"label": "x" * 121}, "label"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"rate": "often"}, "rate"),
        ({"expires_on": "2020-01-01"}, "expires_on"),
        ({"expires_on": "9999-12-31"}, "expires_on"),
        ({"expires_on": "soon"}, "expires_on"),
    ],
)
def test_a_bad_form_says_where_and_keeps_what_was_typed(boss, changed, field):
    page = make(boss, **changed)
    assert page.status_code == 422
    assert field in page.context["form"].errors
    assert field == "rate" or 'value="none"' in text(page)
    assert not ApiKey.objects.exists()


def test_no_key_is_made_for_whoever_is_not_active(boss):
    UserFactory(username="gone", is_active=False)
    page = make(boss, owner="gone")
    assert "not active" in page.context["form"].errors["owner"][0]
    assert page.status_code == 422 and not ApiKey.objects.exists()


def test_only_a_superuser_makes_a_key_for_one(boss, admin):
    root = UserFactory(username="root", is_superuser=True, is_staff=True)
    page = make(boss, owner="root")
    assert "Only a superuser" in page.context["form"].errors["owner"][0]
    for actor in (root, None):
        create_api_key(user=root, label="x", scopes=["admin"], actor=actor)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"label": " "}, "label"),
        ({"label": "x" * 121}, "label"),
        ({"scopes": []}, "scopes"),
        ({"expires_at": datetime(9999, 12, 31, tzinfo=UTC)}, "expires_at"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
        ({"rate": "often"}, "rate"),
    ],
)
def test_the_service_refuses_what_the_form_does(analyst, wrong, field):
    given = {"user": analyst, "label": "x", "scopes": ["score"]} | wrong
    with pytest.raises(ValidationError) as problem:
        create_api_key(**given, actor=None)
    assert list(problem.value.message_dict) == [field]


def test_filters_find_by_label_prefix_owner_state_and_scope(boss):
    live, plain = key_for(user_with_role(ANALYST, username="shop"))
    dead, _ = key_for(UserFactory(username="bank"), scopes=("models:read",))
    idle, _ = create_api_key(user=UserFactory(), label="idle", scopes=["admin"], actor=None)
    User.objects.filter(pk=idle.user_id).update(is_active=False)
    revoke_api_key(dead, actor=None)

    def found(**asked):
        return set(boss.get(reverse("key_list"), asked, follow=True).context["page_obj"])

    assert found(state="live") == {live}
    assert found(state="ended") == {dead, idle}
    assert found(owner="BANK") == {dead}
    assert found(scope="models:read") == {dead}
    assert found(q=plain) == found(q=f"rp_{live.prefix}") == {live}
    assert found(q="IDLE") == {idle}
    assert found(state="x", scope="\0", q="\0") == {live, dead, idle}


def test_revoking_twice_is_said_and_written_once(boss):
    key, _ = key_for()
    for _ in range(2):
        assert boss.post(reverse("key_revoke", args=[key.pk])).status_code == 302
    assert AuditEntry.objects.filter(action="api_key.revoked").count() == 1


def test_a_whole_key_that_is_searched_for_leaves_the_address_but_its_prefix(boss):
    key, plain = create_api_key(user=UserFactory(), label="Till", scopes=["score"])
    sent = boss.get(reverse("key_list"), {"q": f" {plain}", "state": "live"})
    assert (sent.status_code, sent["Location"]) == (
        302, f"{reverse('key_list')}?q={key.prefix}&state=live",
    )  # fmt: skip
    page = boss.get(sent["Location"])
    assert list(page.context["page_obj"]) == [key]
    assert "not the whole key" in text(page) and plain[-20:] not in text(page)
    assert boss.get(reverse("key_list"), {"q": f"rp_{key.prefix}_"}).status_code == 200


def test_a_key_acts_for_exactly_the_user_that_is_named(boss):
    UserFactory(username="bob")
    other = UserFactory(username="Bob")
    make(boss, owner="Bob")
    assert ApiKey.objects.get().user == other
    page = boss.post(
        reverse("key_new"),
        {"owner": "BOB", "label": "till", "scopes": ["predictions:read"], "rate": "none"},
    )
    assert "write it exactly (Bob, bob)" in page.context["form"].errors["owner"][0]
    assert ApiKey.objects.count() == 1
