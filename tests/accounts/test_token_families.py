"""A refresh token works once; using it again ends its log-in, but for a retry."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts import tokens
from accounts.models import AuditEntry, TokenFamily
from accounts.tasks import forget_old_task
from accounts.token_families import GRACE

pytestmark = pytest.mark.django_db
REFRESH, READS = "/api/v1/auth/refresh", "/api/v1/predictions"


def refresh(client, token):
    body = json.dumps({"refresh": token})
    return client.post(REFRESH, body, content_type="application/json", REMOTE_ADDR="192.0.2.7")


def reads(client, token):
    return client.get(READS, headers={"authorization": f"Bearer {token}"}).status_code


def wait(seconds):
    """As if all was renewed that much earlier."""
    for family in TokenFamily.objects.all():
        family.renewed_at -= timedelta(seconds=seconds)
        family.save(update_fields=["renewed_at"])


@pytest.fixture
def first(engineer):
    return tokens.issue_tokens(engineer)


@pytest.fixture
def second(client, first):
    return refresh(client, first.refresh).json()


def test_a_used_refresh_token_gets_nothing_and_ends_its_log_in(client, first, second):
    wait(GRACE.total_seconds() + 1)
    assert refresh(client, first.refresh).status_code == 401
    assert refresh(client, second["refresh_token"]).status_code == 401
    for access in (first.access, second["access_token"]):
        assert reads(client, access) == 401


def test_the_audit_trail_has_one_line_of_it_and_from_where(client, first, second, engineer):
    wait(GRACE.total_seconds() + 1)
    for _ in range(2):
        refresh(client, first.refresh)
    entry = AuditEntry.objects.get(action="user.refresh_token_reused")
    assert (entry.actor, entry.object_id) == (None, str(engineer.pk))
    assert entry.detail == {"address": "192.0.2.7"}


def test_other_log_ins_of_the_same_person_go_on(client, engineer, first, second):
    other = tokens.issue_tokens(engineer)
    wait(GRACE.total_seconds() + 1)
    refresh(client, first.refresh)
    assert reads(client, other.access) == 200
    assert refresh(client, other.refresh).status_code == 200


def test_a_client_whose_answer_was_lost_gets_the_same_successor(client, first, second):
    wait(GRACE.total_seconds() - 5)
    again = refresh(client, first.refresh)
    assert again.status_code == 200
    token = again.json()["refresh_token"]
    assert tokens._claims(token)["jti"] == tokens._claims(second["refresh_token"])["jti"]
    assert refresh(client, token).status_code == 200
    assert not AuditEntry.objects.filter(action="user.refresh_token_reused").exists()


def test_asked_at_once_it_is_the_same_token_to_the_letter(client, first, second):
    assert refresh(client, first.refresh).json()["refresh_token"] == second["refresh_token"]


def test_a_token_whose_successor_was_used_is_not_forgiven(client, first, second):
    third = refresh(client, second["refresh_token"]).json()
    assert refresh(client, first.refresh).status_code == 401
    assert refresh(client, third["refresh_token"]).status_code == 401


def test_a_clock_that_was_set_back_forgives_no_longer(client, first, second):
    wait(-3600)
    assert refresh(client, first.refresh).status_code == 401


def test_a_token_of_an_earlier_version_works_once(client, first):
    claims = tokens._claims(first.refresh)
    del claims["sid"]
    old = tokens.jwt.encode(claims, tokens._key(), algorithm="HS256")
    assert refresh(client, old).status_code == 200
    wait(GRACE.total_seconds() + 1)
    assert refresh(client, old).status_code == 401


def test_a_log_in_of_which_no_token_is_valid_any_more_is_forgotten(client, engineer, settings):
    settings.JWT_SESSION_SECONDS = 7 * 86_400
    goes_on = tokens.issue_tokens(engineer, now=time.time() - 3600).refresh
    for token in (goes_on, tokens.issue_tokens(engineer).refresh):
        assert refresh(client, token).status_code == 200
    over = TokenFamily.objects.order_by("expires_at").last()
    lasts = over.expires_at - timezone.now()
    assert timedelta(days=6.9) < lasts <= timedelta(days=7)
    TokenFamily.objects.filter(pk=over.pk).update(expires_at=timezone.now())
    forget_old_task()
    assert TokenFamily.objects.get().pk == tokens._claims(goes_on)["jti"]


@pytest.mark.django_db(transaction=True)
def test_of_eight_that_ask_at_once_all_get_the_same_successor(engineer):
    first = tokens.issue_tokens(engineer).refresh

    def ask(_):
        try:
            return tokens.renew_tokens(first).refresh
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(ask, range(8)))
    assert len(got) == 1
    assert tokens.renew_tokens(got.pop())
