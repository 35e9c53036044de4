import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.lockout import (
    MAX_FAILURES,
    MOST_FROM_AN_ADDRESS,
    client_address,
    closed_addresses,
    forget_failed_logins,
    locked_for,
    note_failed_login,
)
from accounts.models import AuditEntry, FailedLogin, User
from tests.accounts.factories import UserFactory

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def ann():
    return UserFactory(username="ann")


def log_in(client, username="ann", password=PASSWORD, url=None, **extra):
    return client.post(
        url or reverse("login"), {"username": username, "password": password}, **extra
    )


def test_the_right_password_opens_and_is_audited(client, ann):
    assert log_in(client).status_code == 302
    assert client.session["_auth_user_id"] == str(ann.pk)
    entry = AuditEntry.objects.get(action="user.logged_in")
    assert (entry.actor, entry.detail) == (ann, {"address": "127.0.0.1"})


def test_a_wrong_password_stays_out_and_is_audited(client, ann):
    response = log_in(client, password="wrong")
    assert response.status_code == 200
    assert "_auth_user_id" not in client.session
    entry = AuditEntry.objects.get(action="user.login_failed")
    assert (entry.object_label, entry.detail["failures"]) == ("ann", 1)


def test_a_name_that_nobody_has_is_not_written_down(client):
    log_in(client, username="my-password-in-the-wrong-field", password="x")
    assert "my-password" not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize("door", ["login", "admin:login"])
def test_repeated_failures_lock_out_even_the_right_password(client, door):
    UserFactory(username="ann", is_staff=True)
    url = reverse(door)
    for _ in range(MAX_FAILURES):
        log_in(client, password="wrong", url=url)
    response = log_in(client, username="Ann", url=url)
    assert "Too many failed attempts. Try again in 15 minutes." in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_the_log_in_page_says_429_and_when_to_come_back(client, ann):
    for _ in range(MAX_FAILURES):
        log_in(client, password="wrong")
    response = log_in(client)
    assert response.status_code == 429
    assert 890 < int(response["Retry-After"]) <= 900


def test_another_address_and_another_name_are_not_locked(client, ann):
    UserFactory(username="bob")
    for _ in range(MAX_FAILURES):
        log_in(client, password="wrong")
    assert log_in(client, username="bob").status_code == 302
    # Not the client that is logged in by now: the page leads such a one on, whatever it sends.
    assert log_in(Client(), REMOTE_ADDR="10.0.0.9").status_code == 302
    assert log_in(Client()).status_code == 429


def test_the_addresses_of_one_ipv6_network_have_no_more_tries_than_one(client, ann):
    for n in range(MAX_FAILURES):
        log_in(client, password="wrong", REMOTE_ADDR=f"2001:db8:1:2::{n:x}")
    assert log_in(client, REMOTE_ADDR="2001:db8:1:2:ffff::1").status_code == 429
    assert log_in(client, REMOTE_ADDR="2001:db8:1:3::1").status_code == 302


def test_an_address_written_as_ipv6_is_the_same_address():
    for _ in range(MAX_FAILURES):
        note_failed_login("ann", "::ffff:192.0.2.1")
    assert locked_for("ann", "192.0.2.1")
    assert locked_for("ann", "192.0.2.2") is None


def test_the_api_says_once_when_to_come_back(client, ann):
    for _ in range(MAX_FAILURES):
        note_failed_login("ann", "127.0.0.1")
    form = {"username": "ann", "password": PASSWORD}
    refused = client.post(reverse("api_login"), form, content_type="application/json")
    wait = r"Too many failed attempts. Try again in (\d+) minutes."
    said = re.fullmatch(wait, refused.json()["detail"])
    assert said is not None
    assert 0 < int(refused["Retry-After"]) <= 60 * int(said[1])


@pytest.mark.parametrize("door", ["login", "api_login"])
def test_who_tries_one_password_with_many_names_is_locked_out(client, ann, door):
    url, json = reverse(door), {"content_type": "application/json"} if door == "api_login" else {}
    form = {"password": "Summer2026!"}
    for n in range(MOST_FROM_AN_ADDRESS):
        note_failed_login(f"name{n}", "127.0.0.1")
    told = AuditEntry.objects.count()
    assert client.post(url, form | {"username": "name99"}, **json).status_code == 429
    assert client.post(url, {"username": "ann", "password": PASSWORD}, **json).status_code == 429
    # What is not tried is not told: an address cannot fill the audit trail.
    assert AuditEntry.objects.count() == told
    assert log_in(client, REMOTE_ADDR="10.0.0.9").status_code == 302


@pytest.fixture
def meanwhile(monkeypatch):
    """While a password is compared, as many wrong ones fail as lock its name out."""
    compare = User.check_password

    def slowly(user, password):
        for _ in range(MAX_FAILURES):
            note_failed_login("ann", "127.0.0.1")
        return compare(user, password)

    monkeypatch.setattr(User, "check_password", slowly)


@pytest.mark.parametrize("door", ["login", "admin:login", "api_login"])
@pytest.mark.usefixtures("meanwhile")
def test_of_many_passwords_sent_at_once_the_right_one_is_told_from_no_wrong_one(client, door):
    UserFactory(username="ann", is_staff=True)
    json = {"content_type": "application/json"} if door == "api_login" else {}
    answers = []
    for password in ("wrong", PASSWORD):
        FailedLogin.objects.all().delete()
        answers.append(log_in(client, password=password, url=reverse(door), **json))
    assert {answer.status_code for answer in answers} == {401 if json else 200}
    assert not AuditEntry.objects.filter(action="user.logged_in").exists()
    assert "_auth_user_id" not in client.session


def test_nor_of_many_old_passwords(client, ann, meanwhile):
    client.force_login(ann)
    new = "an entirely new password"
    words = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert "incorrect" in client.post(reverse("password_change"), words).content.decode()


def test_who_is_in_changes_a_password_whatever_failed_under_other_names(client, ann):
    client.force_login(ann)
    for i in range(MOST_FROM_AN_ADDRESS):
        note_failed_login(f"name-{i}", "127.0.0.1")
    assert locked_for(ann.username, "127.0.0.1") is not None
    new = "staple-of-the-year-9"
    words = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post(reverse("password_change"), words).status_code == 302


def test_closed_addresses_are_told_with_the_end_of_the_lock():
    now = timezone.now()
    for i in range(MOST_FROM_AN_ADDRESS):
        note_failed_login(f"name-{i}", "203.0.113.9", now=now - timedelta(minutes=5))
    note_failed_login("ann", "203.0.113.10", now=now)
    assert closed_addresses(now=now) == [("203.0.113.9", now + timedelta(minutes=10))]
    assert closed_addresses(now=now + timedelta(minutes=11)) == []


@pytest.mark.parametrize(
    "wrapped", ["::ffff:203.0.113.9", "64:ff9b::cb00:7109", "2002:cb00:7109:1::2"]
)
def test_an_address_that_wraps_one_of_ipv4_is_that_one(wrapped):
    for _ in range(MAX_FAILURES):
        note_failed_login("ann", wrapped)
    assert locked_for("ann", "203.0.113.9") is not None
    assert locked_for("ann", "203.0.113.10") is None


def test_an_address_is_let_in_again_once_its_failures_are_few():
    now = timezone.now()
    for n in range(MOST_FROM_AN_ADDRESS):
        note_failed_login(f"name{n}", "1.2.3.4", now=now - timedelta(minutes=5 if n else 14))
    assert locked_for("ann", "1.2.3.4") <= timedelta(minutes=1)
    assert locked_for("ann", "1.2.3.4", now=now + timedelta(minutes=2)) is None


def test_a_lock_ends_by_itself_and_counting_starts_anew():
    then = timezone.now() - timedelta(minutes=15, seconds=1)
    for _ in range(MAX_FAILURES):
        note_failed_login("ann", "1.2.3.4", now=then)
    assert locked_for("ann", "1.2.3.4", now=then + timedelta(minutes=14))
    assert locked_for("ann", "1.2.3.4") is None
    assert note_failed_login("ann", "1.2.3.4") == 1


def test_a_clock_that_was_set_back_locks_nobody_out_until_it_has_come_there_again(client, ann):
    ahead = timezone.now() + timedelta(days=365)
    for n in range(MOST_FROM_AN_ADDRESS):
        note_failed_login(f"name{n % 9}" if n > 4 else "ann", "127.0.0.1", now=ahead)
    assert locked_for("ann", "127.0.0.1", now=ahead)
    assert log_in(client).status_code == 302
    assert closed_addresses() == []
    assert note_failed_login("name1", "127.0.0.1") == 1
    assert forget_failed_logins() == 8
    assert FailedLogin.objects.get().failures == 1


def test_success_forgets_the_failures(client, ann):
    log_in(client, password="wrong")
    log_in(client)
    assert not FailedLogin.objects.exists()


def test_success_forgets_nobody_else_s_failures_and_none_of_another_address(client, ann):
    UserFactory(username="bob")
    for name, address in (("ann", "1.1.1.1"), ("bob", "127.0.0.1"), ("ann", "127.0.0.1")):
        note_failed_login(name, address)
    log_in(client)
    left = set(FailedLogin.objects.values_list("username", "address"))
    assert left == {("ann", "1.1.1.1"), ("bob", "127.0.0.1")}


@pytest.mark.parametrize("sent", ["10.1.1.1", "6.6.6.6, 7.7.7.7, 10.1.1.1"])
def test_the_last_address_is_what_our_proxy_saw(rf, settings, sent):
    settings.SECURE_PROXY = True
    assert client_address(rf.get("/", headers={"X-Forwarded-For": sent})) == "10.1.1.1"


def test_an_address_is_taken_from_the_proxy_only_behind_one(rf, settings):
    request = rf.get("/", headers={"X-Forwarded-For": "6.6.6.6, 10.1.1.1"})
    assert client_address(request) == "127.0.0.1"
    settings.SECURE_PROXY = True
    assert client_address(request) == "10.1.1.1"


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("203.0.113.5:51234", "203.0.113.5"),
        ("[2001:db8::5]:443", "2001:db8::5"),
        ("2001:db8::5", "2001:db8::5"),
    ],
)
def test_the_port_that_a_proxy_tells_is_no_part_of_the_address(rf, settings, told, meant):
    settings.SECURE_PROXY = True
    assert client_address(rf.get("/", headers={"X-Forwarded-For": told})) == meant


def test_logging_out_takes_a_post(client, ann):
    client.force_login(ann)
    assert client.get(reverse("logout")).status_code == 405
    client.post(reverse("logout"))
    assert "_auth_user_id" not in client.session


def test_a_password_can_be_changed_and_that_is_audited(client, ann):
    client.force_login(ann)
    new = {"new_password1": "a much longer phrase", "new_password2": "a much longer phrase"}
    response = client.post(reverse("password_change"), {"old_password": PASSWORD, **new})
    assert response.url == reverse("password_change_done")
    ann.refresh_from_db()
    assert ann.check_password("a much longer phrase")
    assert AuditEntry.objects.filter(action="user.password_changed", actor=ann).exists()


def change_password(client, old, new="a much longer phrase"):
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post(reverse("password_change"), form)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("gl4cier-owl", "at least 12 characters"),
        ("password1234", "too common"),
        ("480213775920", "entirely numeric"),
        ("ann.otherwise", "too similar"),
    ],
)
def test_a_password_that_is_soon_guessed_is_refused(client, said, new):
    client.force_login(UserFactory(username="ann.otherwise"))
    assert said in change_password(client, PASSWORD, new).content.decode()


def test_guessing_the_old_password_locks_out_as_logging_in_does(client, ann):
    client.force_login(ann)
    assert [change_password(client, f"guess{n}").status_code for n in range(5)] == [200] * 5
    answer = change_password(client, PASSWORD)
    assert (answer.status_code, "Too many failed attempts" in answer.content.decode()) == (
        429,
        True,
    )
    assert 890 < int(answer["Retry-After"]) <= 900
    ann.refresh_from_db()
    assert ann.check_password(PASSWORD)
    assert log_in(Client()).status_code == 429
    entry = AuditEntry.objects.filter(action="user.password_refused").first()
    assert (entry.actor, entry.detail) == (ann, {"address": "127.0.0.1", "failures": 5})


def test_the_right_old_password_forgets_the_wrong_ones_and_keeps_this_log_in(client, ann):
    client.force_login(ann)
    change_password(client, "wrong")
    assert change_password(client, PASSWORD).status_code == 302
    assert not FailedLogin.objects.exists()
    assert client.get(reverse("password_change")).status_code == 200


def test_the_admins_password_page_is_the_products_own(client):
    boss = UserFactory(is_staff=True, is_superuser=True)
    client.force_login(boss)
    new = {"new_password1": "a much longer phrase", "new_password2": "a much longer phrase"}
    url = reverse("admin:password_change")
    for answer in (client.get(url), client.post(url, {"old_password": PASSWORD, **new})):
        assert (answer.status_code, answer.url) == (302, reverse("password_change"))
    boss.refresh_from_db()
    assert boss.check_password(PASSWORD)


def test_a_stranger_cannot_change_a_password(client):
    assert reverse("login") in client.get(reverse("password_change")).url


@pytest.mark.django_db
def test_a_password_typed_as_the_name_is_not_kept() -> None:
    note_failed_login("hunter2-secret", "1.2.3.4")
    assert "hunter2" not in FailedLogin.objects.get().username
