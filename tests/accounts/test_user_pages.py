"""Pages of users: who may, who may not, and what nobody may."""

import logging
import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.lockout import MAX_FAILURES, MOST_FROM_AN_ADDRESS, note_failed_login
from accounts.models import AuditEntry, FailedLogin, User
from accounts.roles import ABOUT_ROLE, ADMIN, ANALYST, LEAD, PERMISSIONS_BY_ROLE
from accounts.selectors import permission_matrix, role_names
from accounts.services import change_roles
from cases.work_queue_models import QueueMember, WorkQueue
from tests.accounts.factories import UserFactory, key_for, user_with_role
from tests.page_forms import forms_of

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
NEW = "staple-of-the-year-9"
READ = (
    *("user_list", "user_new", "user_detail", "role_list", "key_list", "key_new", "key_detail"),
    *("audit_list", "audit_entry", "audit_export"),
)
WRITE = (
    *("user_roles", "user_active", "user_end_log_ins", "user_unlock", "user_link", "key_revoke"),
)


@pytest.fixture
def boss(client, admin):
    client.force_login(admin)
    return client


@pytest.fixture
def ann(db):
    return user_with_role(ANALYST, username="ann")


def address(name, user=None):
    if name.startswith("key_") and name not in ("key_list", "key_new"):
        return reverse(name, args=[key_for(user)[0].pk])
    if name == "audit_entry":
        key_for(user)
        return reverse(name, args=[1])
    if name.startswith("user_") and name not in ("user_list", "user_new"):
        return reverse(name, args=[user.pk])
    return reverse(name)


def text(response):
    return response.content.decode()


def last(action):
    return AuditEntry.objects.filter(action=action).first()


def link_in(response):
    return re.search(r"https?://[^/]+(/accounts/password/set/[^<\s]+)", text(response))[1]


# --- Who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", PERMISSIONS_BY_ROLE)
def test_only_an_admin_reads_these_pages(client, role, ann):
    client.force_login(user_with_role(role))
    expected = 200 if role == ADMIN else 403
    found = {name: client.get(address(name, ann)).status_code for name in READ}
    assert found == dict.fromkeys(READ, expected)


@pytest.mark.parametrize("role", [*PERMISSIONS_BY_ROLE, "nobody's"])
def test_only_an_admin_changes_anything(client, role, ann):
    client.force_login(user_with_role(role) if role in PERMISSIONS_BY_ROLE else UserFactory())
    before = AuditEntry.objects.exclude(action__startswith="api_key.c").count()
    for name in WRITE:
        status = client.post(address(name, ann), {"active": "1"}).status_code
        assert status in ((302, 200) if role == ADMIN else (403,)), name
    if role != ADMIN:
        assert before == AuditEntry.objects.exclude(action__startswith="api_key.c").count()


@pytest.mark.parametrize("name", [*READ, *WRITE])
def test_whoever_is_not_signed_in_goes_to_the_log_in(client, name, ann):
    where = address(name, ann)
    answer = client.post(where) if name in WRITE else client.get(where)
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("login"))


def test_only_admins_have_the_section_in_the_rail(client, ann, admin):
    client.force_login(ann)
    assert reverse("user_list") not in text(client.get(reverse("case_list")))
    client.force_login(admin)
    page = text(client.get(reverse("case_list")))
    assert all(reverse(name) in page for name in ("user_list", "key_list", "audit_list"))


# --- The list -------------------------------------------------------------------------------------


def test_the_list_tells_roles_queues_and_keys(boss, ann):
    key_for(ann)
    QueueMember.objects.create(queue=WorkQueue.objects.create(name="Night watch"), user=ann)
    page = boss.get(reverse("user_list"), {"q": "ann"})
    (row,) = page.context["rows"]
    assert (row["user"], row["roles"], row["keys"]) == (ann, [ANALYST], 1)
    assert "Night watch" in text(page)


def test_filters_narrow_and_what_is_none_counts_for_nothing(boss, ann):
    gone = UserFactory(username="gone", is_active=False, email="away@example.com")

    def names(**q):
        rows = boss.get(reverse("user_list"), q).context["rows"]
        return {row["user"].username for row in rows}

    assert names(role=ANALYST) == {"ann"}
    assert names(active="no") == {"gone"}
    assert names(q="AWAY@") == {gone.username}
    assert names(q="\0", role="Wizard", active="maybe", page="x" * 5000) >= {"ann", "gone"}


def test_who_is_locked_out_is_marked(boss, ann):
    for _ in range(MAX_FAILURES):
        note_failed_login("ann", "192.0.2.1")
    assert "Locked out" in text(boss.get(reverse("user_list")))


# --- A new user -----------------------------------------------------------------------------------


def invite(boss, **changed):
    form = {"username": "new", "display_name": "New One", "email": "", "time_zone": "UTC"}
    return boss.post(reverse("user_new"), {**form, "roles": [LEAD], **changed})


def test_a_new_user_sets_their_password_by_a_link_that_works_once(boss, admin):
    page = invite(boss)
    assert page.status_code == 200
    assert page["Cache-Control"] == "no-store"
    user, path = User.objects.get(username="new"), link_in(page)
    assert not user.has_usable_password()
    assert [group.name for group in user.groups.all()] == [LEAD]
    assert last("user.created").actor == admin
    theirs = Client()
    form = theirs.get(path, follow=True)
    assert "Set your password" in text(form)
    where = form.redirect_chain[-1][0]
    assert path not in where, "the token stays out of the address"
    theirs.post(where, {"new_password1": NEW, "new_password2": NEW})
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert last("user.password_set").actor == user
    assert "does not work" in text(Client().get(path, follow=True))


def test_the_link_is_nowhere_but_on_that_page(boss, caplog):
    caplog.set_level(logging.DEBUG)
    token = link_in(invite(boss)).rstrip("/").split("/")[-1]
    assert token not in caplog.text
    assert not any(token in entry.detail_json for entry in AuditEntry.objects.all())
    assert token not in text(boss.get(User.objects.get(username="new").get_absolute_url()))


def test_the_link_is_mailed_where_there_is_a_mail_server(boss, settings):
    settings.EMAIL_HOST = "mail.example.com"
    page = invite(boss, email="new@example.com")
    assert link_in(page) in mail.outbox[0].body
    assert "mailed to them" in text(page)


def test_a_mail_server_that_is_gone_is_said_and_costs_nothing(boss, settings):
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    page = invite(boss, email="new@example.com")
    assert "did not take it" in text(page)
    assert User.objects.filter(username="new").exists()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"username": "ANN"}, "username"),
        ({"username": "no spaces"}, "username"),
        ({"username": ""}, "username"),
        ({"username": "x\0y"}, "username"),
        ({"email": "nobody"}, "email"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"roles": ["Wizard"]}, "roles"),
        ({"display_name": "x" * 121}, "display_name"),
    ],
)
def test_a_bad_form_says_where_and_keeps_what_was_typed(boss, ann, changed, field):
    page = invite(boss, **changed)
    assert page.status_code == 422
    assert field in page.context["form"].errors
    assert "New One" in text(page) or field == "display_name"
    assert not User.objects.filter(username="new").exists()


# --- Changes --------------------------------------------------------------------------------------


def test_a_person_is_changed_and_the_trail_names_the_fields_alone(boss, ann):
    form = {"display_name": "Ann Lee", "email": "ann@example.com", "time_zone": "Europe/Zurich"}
    assert boss.post(ann.get_absolute_url(), form).status_code == 302
    ann.refresh_from_db()
    assert (ann.name, ann.email) == ("Ann Lee", "ann@example.com")
    assert last("user.changed").detail == {"fields": ["display_name", "email", "time_zone"]}


def test_an_old_row_that_breaks_a_rule_elsewhere_is_changed_all_the_same(boss):
    old = User.objects.create(username="with spaces", password="")
    form = {"display_name": "Old One", "email": "", "time_zone": "UTC"}
    assert boss.post(old.get_absolute_url(), form).status_code == 302
    old.refresh_from_db()
    assert old.name == "Old One"


def test_nothing_different_writes_nothing(boss, ann):
    form = {"display_name": "", "email": "", "time_zone": "UTC"}
    assert boss.post(ann.get_absolute_url(), form).status_code == 302
    assert last("user.changed") is None


def test_a_bad_address_is_refused_with_its_reason(boss, ann):
    form = {"display_name": "A", "email": "nobody", "time_zone": "UTC"}
    page = boss.post(ann.get_absolute_url(), form)
    assert page.status_code == 422
    assert "valid email" in text(page)
    assert 'value="nobody"' in text(page)


def test_roles_are_changed_and_audited(boss, ann, admin):
    boss.post(reverse("user_roles", args=[ann.pk]), {"roles": [LEAD]})
    assert [group.name for group in ann.groups.all()] == [LEAD]
    entry = last("user.roles_changed")
    assert (entry.actor, entry.detail) == (admin, {"before": [ANALYST], "after": [LEAD]})


def test_a_page_from_before_gives_back_no_role_that_somebody_took_away(boss, ann):
    change_roles(ann, roles=[ANALYST, LEAD], actor=None)
    page = boss.get(ann.get_absolute_url())
    action = reverse("user_roles", args=[ann.pk])
    change_roles(ann, roles=[ANALYST], actor=None)
    for expected in (422, 302):
        form = next(one for one in forms_of("/", page.content.decode()) if one.path == action)
        sent = {"seen": form.fields["seen"], "roles": [ANALYST, LEAD]}
        page = boss.post(action, sent)
        assert page.status_code == expected
        assert page.status_code == 302 or "now Analyst. Look again." in page.content.decode()
    assert role_names(ann) == [ANALYST, LEAD]


def test_an_unknown_role_changes_nothing(boss, ann):
    page = boss.post(reverse("user_roles", args=[ann.pk]), {"roles": [LEAD, "Wizard"]})
    assert page.status_code == 422
    assert [group.name for group in ann.groups.all()] == [ANALYST]


def test_nobody_changes_their_own_roles_or_shuts_themselves_out(boss, admin):
    for name, form in (
        ("user_roles", {"roles": [ANALYST]}),
        ("user_active", {"active": "0"}),
        ("user_link", {}),
    ):
        page = boss.post(reverse(name, args=[admin.pk]), form)
        assert page.status_code == 422
        assert "another admin" in text(page)
    admin.refresh_from_db()
    assert admin.is_active
    assert admin.has_perm("accounts.change_user")


def test_an_admin_changes_no_superuser(boss):
    root = UserFactory(is_superuser=True)
    for name in ("user_roles", "user_active", "user_link", "user_end_log_ins"):
        page = boss.post(reverse(name, args=[root.pk]), {"active": "0"})
        assert page.status_code == 422, name
        assert "Only a superuser" in text(page)
    person = {"time_zone": "UTC", "display_name": "x"}
    assert boss.post(root.get_absolute_url(), person).status_code == 422


def test_whoever_is_deactivated_is_out_for_good_and_their_keys_stop(boss, ann):
    theirs, (_, secret) = Client(), key_for(ann, scopes=("predictions:read",))
    theirs.force_login(ann)
    program = Client(headers={"authorization": f"Token {secret}"})
    assert theirs.get(reverse("queue")).status_code == 200
    assert program.get("/api/v1/predictions").status_code == 200
    path = link_in(boss.post(reverse("user_link", args=[ann.pk])))
    boss.post(reverse("user_active", args=[ann.pk]), {"active": "0"})
    assert theirs.get(reverse("queue")).status_code == 302
    assert program.get("/api/v1/predictions").status_code == 401
    assert "does not work" in text(Client().get(path, follow=True))
    boss.post(reverse("user_active", args=[ann.pk]), {"active": "1"})
    assert theirs.get(reverse("queue")).status_code == 302, "the old session stays shut"
    assert program.get("/api/v1/predictions").status_code == 200
    assert last("user.deactivated").object_id == last("user.activated").object_id == str(ann.pk)


def test_deactivating_says_what_happens_with_counts(boss, ann):
    key_for(ann)
    page = text(boss.get(ann.get_absolute_url()))
    assert "1 API key stops" in page
    assert "no open alerts or cases" in page


@pytest.mark.parametrize("value", ["", "2", "yes"])
def test_active_is_0_or_1(boss, ann, value):
    page = boss.post(reverse("user_active", args=[ann.pk]), {"active": value})
    assert page.status_code == 422
    assert "active: say 0 or 1" in text(page)


def test_log_ins_end_everywhere_and_one_may_log_in_again(boss, ann):
    theirs = Client()
    theirs.force_login(ann)
    boss.post(reverse("user_end_log_ins", args=[ann.pk]))
    assert theirs.get(reverse("queue")).status_code == 302
    ann.refresh_from_db()
    theirs.force_login(ann)
    assert theirs.get(reverse("queue")).status_code == 200


def test_a_page_names_the_addresses_from_which_nobody_logs_in(boss, client, ann):
    url = ann.get_absolute_url()
    assert "nobody logs in" not in boss.get(url).content.decode()
    for i in range(MOST_FROM_AN_ADDRESS):
        note_failed_login(f"name-{i}", "203.0.113.9")
    page = boss.get(url).content.decode()
    assert "nobody logs in" in page and "203.0.113.9, until" in page


def test_an_admin_unlocks_from_every_address(boss, ann):
    for host in ("192.0.2.1", "192.0.2.2"):
        for _ in range(MAX_FAILURES):
            note_failed_login("Ann", host)
    assert "192.0.2.2" in text(boss.get(ann.get_absolute_url()))
    boss.post(reverse("user_unlock", args=[ann.pk]))
    assert not FailedLogin.objects.exists()
    assert last("user.unlocked").detail == {"addresses": 2}


def test_failed_log_ins_from_many_addresses_are_counted_and_the_last_ones_shown(boss, ann):
    for i in range(60):
        note_failed_login(ann.username, f"2001:db8:0:{i:x}::1")
    page = boss.get(address("user_detail", ann))
    assert len(page.context["failures"]) == 50
    assert page.context["failures"][0].address == "2001:db8:0:3b::/64"
    assert "and from 10 more addresses" in text(page)


def test_a_page_of_nobody_is_not_found(boss):
    for pk in (10**9, 10**17, 10**30):
        assert boss.get(f"/manage/users/{pk}/").status_code == 404


def test_the_roles_page_says_who_may_what_in_words(boss, ann):
    page = text(boss.get(reverse("role_list")))
    assert "Approve or return closings above the loss limit" in page
    assert f"?role={ANALYST}&amp;active=yes" in page
    assert "Can " not in page.split("<main")[1]


def test_the_matrix_is_the_table_of_roles_and_leaves_nothing_out():
    lines = [line for _, part in permission_matrix() for line in part]
    table = {
        line.name: tuple(line.name in names for names in PERMISSIONS_BY_ROLE.values())
        for line in lines
    }
    assert {line.name: line.held for line in lines} == table
    assert set(table) == set().union(*PERMISSIONS_BY_ROLE.values())
    assert set(ABOUT_ROLE) == set(PERMISSIONS_BY_ROLE)
