"""Contract B, logging in: tokens for a password, and what they open."""

import json
import time

import jwt
import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse

from accounts import tokens
from accounts.lockout import MAX_FAILURES
from accounts.models import AuditEntry
from tests.accounts.factories import key_for

pytestmark = pytest.mark.django_db
LOGIN, REFRESH = "/api/v1/auth/login", "/api/v1/auth/refresh"
LOGOUT = "/api/v1/auth/logout"
PASSWORD = "correct horse battery"
READS = "/api/v1/predictions"


def post(client, url, body):
    return client.post(url, json.dumps(body), content_type="application/json")


def login(client, username="engineer", password=PASSWORD):
    return post(client, LOGIN, {"username": username, "password": password})


def reads(client, token):
    return client.get(READS, headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def pair(client, engineer):
    response = login(client)
    assert response.status_code == 200, response.content
    return response.json()


def test_a_password_gets_an_access_and_a_refresh_token(pair):
    assert pair["token_type"] == "bearer"
    assert pair["expires_in"] == django_settings.JWT_ACCESS_SECONDS
    assert pair["access_token"] != pair["refresh_token"]


def test_the_access_token_opens_what_the_user_may(client, pair, payments_detector):
    assert reads(client, pair["access_token"]).status_code == 200
    lower = client.get(READS, headers={"authorization": f"bearer {pair['access_token']}"})
    assert lower.status_code == 200


def test_it_opens_nothing_that_the_user_may_not(client, outsider):
    token = login(client, "outsider").json()["access_token"]
    assert reads(client, token).status_code == 403


def test_a_deactivated_user_is_refused_at_once(client, pair, engineer):
    engineer.is_active = False
    engineer.save()
    assert reads(client, pair["access_token"]).status_code == 401
    assert post(client, REFRESH, {"refresh": pair["refresh_token"]}).status_code == 401
    assert login(client).status_code == 401


def test_a_changed_password_ends_every_token(client, pair, engineer):
    engineer.set_password("another horse battery")
    engineer.save()
    assert reads(client, pair["access_token"]).status_code == 401
    assert post(client, REFRESH, {"refresh": pair["refresh_token"]}).status_code == 401


def test_refreshing_keeps_the_time_of_the_log_in(engineer):
    refresh = tokens.issue_tokens(engineer, now=time.time() - 3000).refresh
    before = tokens._claims(refresh)["auth_time"]
    for _ in range(3):
        refresh = tokens.renew_tokens(refresh).refresh
    assert tokens._claims(refresh)["auth_time"] == before


def test_a_log_in_ends_however_often_it_was_refreshed(client, engineer, settings):
    refresh = tokens.issue_tokens(engineer, now=time.time() - 4000).refresh
    refresh = post(client, REFRESH, {"refresh": refresh}).json()["refresh_token"]
    settings.JWT_SESSION_SECONDS = 3600
    assert post(client, REFRESH, {"refresh": refresh}).status_code == 401


def test_no_token_outlives_its_log_in(engineer, settings):
    settings.JWT_SESSION_SECONDS = 3600
    pair = tokens.renew_tokens(tokens.issue_tokens(engineer, now=time.time() - 3000).refresh)
    for token in (pair.access, pair.refresh):
        claims = tokens._claims(token)
        assert claims["exp"] - claims["auth_time"] <= 3600
    assert pair.expires_in <= 600


def test_a_user_who_is_activated_again_has_to_log_in_again(client, pair, engineer):
    for active in (False, True):
        engineer.is_active = active
        engineer.save(update_fields=["is_active"])
    assert reads(client, pair["access_token"]).status_code == 401
    assert post(client, REFRESH, {"refresh": pair["refresh_token"]}).status_code == 401
    assert reads(client, login(client).json()["access_token"]).status_code == 200


def test_who_logs_out_ends_every_token_and_browser_of_theirs_and_of_nobody_else(
    client, pair, engineer, lead
):
    theirs = tokens.issue_tokens(lead).refresh
    other, browser = login(client).json(), Client()
    browser.force_login(engineer)
    assert post(client, LOGOUT, {"refresh": other["refresh_token"]}).status_code == 204
    for one in (pair, other):
        assert reads(client, one["access_token"]).status_code == 401
        assert post(client, REFRESH, {"refresh": one["refresh_token"]}).status_code == 401
    assert browser.get("/").status_code == 302
    assert post(client, REFRESH, {"refresh": theirs}).status_code == 200
    assert reads(client, login(client).json()["access_token"]).status_code == 200
    assert AuditEntry.objects.get(action="user.log_ins_ended").actor == engineer


@pytest.mark.parametrize("kind", ["access_token", None])
def test_only_a_refresh_token_logs_out(client, pair, kind):
    given = pair[kind] if kind else "x.y.z"
    assert post(client, LOGOUT, {"refresh": given}).status_code == 401
    assert reads(client, pair["access_token"]).status_code == 200


def test_an_admin_ends_the_log_ins_of_a_user(client, pair, engineer, admin):
    client.force_login(admin)
    chosen = {"action": "end_log_ins", "_selected_action": [engineer.pk]}
    assert client.post(reverse("admin:accounts_user_changelist"), chosen).status_code == 302
    client.logout()
    assert reads(client, pair["access_token"]).status_code == 401
    assert AuditEntry.objects.filter(action="user.log_ins_ended").count() == 1


def test_whoever_may_not_change_users_ends_nobodys_log_ins(client, pair, engineer, lead):
    client.force_login(lead)
    chosen = {"action": "end_log_ins", "_selected_action": [engineer.pk]}
    client.post(reverse("admin:accounts_user_changelist"), chosen)
    client.logout()
    assert post(client, REFRESH, {"refresh": pair["refresh_token"]}).status_code == 200


@pytest.mark.parametrize(
    ("username", "password"), [("engineer", "wrong"), ("nobody", PASSWORD), ("engineer", " ")]
)
def test_a_wrong_password_is_401_in_the_same_words(client, engineer, username, password):
    response = login(client, username, password)
    assert response.status_code == 401
    assert response.json()["detail"] == "The user name or the password is not right."
    assert response["WWW-Authenticate"] == "Bearer"


def test_after_repeated_failures_even_the_right_password_is_429(client, engineer):
    for _ in range(MAX_FAILURES):
        assert login(client, password="wrong").status_code == 401
    response = login(client)
    assert response.status_code == 429
    assert "Too many failed attempts" in response.json()["detail"]
    assert 0 < int(response["Retry-After"]) <= 15 * 60


def test_the_lockout_counts_failures_of_both_doors(client, engineer):
    for _ in range(MAX_FAILURES):
        client.post(reverse("login"), {"username": "engineer", "password": "wrong"})
    assert login(client).status_code == 429


def test_logging_in_is_audited_and_forgets_failures(client, engineer):
    login(client, password="wrong")
    login(client)
    actions = list(AuditEntry.objects.order_by("number").values_list("action", flat=True))
    assert actions[-2:] == ["user.login_failed", "user.logged_in"]
    for _ in range(MAX_FAILURES - 1):
        login(client, password="wrong")
    assert login(client).status_code == 200


def test_a_refresh_token_gets_the_next_pair_and_opens_nothing_itself(client, pair):
    response = post(client, REFRESH, {"refresh": pair["refresh_token"]})
    assert response.status_code == 200
    assert reads(client, response.json()["access_token"]).status_code == 200
    assert reads(client, pair["refresh_token"]).status_code == 401


def test_an_access_token_is_no_refresh_token(client, pair):
    assert post(client, REFRESH, {"refresh": pair["access_token"]}).status_code == 401


def test_an_expired_token_is_refused(client, engineer):
    old = tokens.issue_tokens(engineer, now=time.time() - django_settings.JWT_REFRESH_SECONDS - 1)
    assert reads(client, old.access).status_code == 401
    assert post(client, REFRESH, {"refresh": old.refresh}).status_code == 401


def forged(engineer, *, key, algorithm, **changed):
    now = int(time.time())
    claims = {"iss": "riskplatform", "sub": str(engineer.pk), "typ": "access", "iat": now,
              "exp": now + 600, "jti": "x", "pwd": tokens._fingerprint(engineer),
              "auth_time": now}  # fmt: skip
    claims |= changed
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm=algorithm)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "somebody"},
        {"typ": None},
        {"exp": None},
        {"sub": None},
        {"sub": "1 OR 1"},
        {"sub": "99999999"},
        {"sub": "9" * 18},
        {"pwd": None},
        {"pwd": ""},
        {"iat": 4_000_000_000},
        {"auth_time": None},
        {"auth_time": "yesterday"},
        {"auth_time": True},
    ],
)
def test_a_token_with_other_claims_is_refused(client, engineer, changed):
    token = forged(engineer, key=tokens._key(), algorithm="HS256", **changed)
    assert reads(client, token).status_code == 401


def test_the_very_same_claims_would_do(client, engineer):
    token = forged(engineer, key=tokens._key(), algorithm="HS256")
    assert reads(client, token).status_code == 200


def test_another_key_or_algorithm_is_refused(client, engineer):
    raw_key = django_settings.SECRET_KEY
    for key, algorithm in [(raw_key, "HS256"), (tokens._key() * 2, "HS512"), ("", "none")]:
        token = forged(engineer, key=key, algorithm=algorithm)
        assert reads(client, token).status_code == 401


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "é.é.é", "." * 3000, "eyJhbGciOiJIUzI1NiJ9.e30.x"]
)
def test_what_is_no_token_is_401(client, db, token):
    assert reads(client, token).status_code == 401


def test_a_key_as_bearer_is_still_a_key(client, engineer):
    _, secret = key_for(engineer, scopes=("predictions:read",))
    assert reads(client, secret).status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["username", "password"]),
        ({"username": "a"}, ["password"]),
        ({"username": 3.5, "password": []}, ["password"]),
        ({"username": "x" * 151, "password": "y"}, ["username"]),
        ({"username": "", "password": ""}, ["username", "password"]),
        ([], [""]),
    ],
)
def test_a_login_that_lacks_something_is_422(client, db, body, fields):
    response = post(client, LOGIN, body)
    assert response.status_code == 422, response.content
    assert [entry["field"] for entry in response.json()["errors"]] == fields


def test_no_password_reaches_the_audit_trail_or_the_answer(client, engineer):
    response = login(client, username="my-secret-password", password="another-secret")
    assert "secret" not in response.content.decode()
    assert "secret" not in AuditEntry.objects.order_by("number").last().detail_json
