"""Admins hear of API keys before and when they expire, so that nobody's programs stop unheard."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.api_keys import revoke_api_key
from accounts.models import ApiKey
from notifications.expiring_keys import tell_expiring_keys
from notifications.models import Delivery, Notification
from notifications.selectors import list_receipts
from tests.accounts.factories import key_for, user_with_role
from tests.notifications.factories import route_for

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def key(engineer, now):
    """Made four weeks ago, in use, with three days to go."""
    made, _ = key_for(engineer)
    ends = {"created_at": now - 28 * DAY, "expires_at": now + 3 * DAY, "last_used_at": now - DAY}
    return changed(made, **ends)


def changed(key, **columns):
    ApiKey.objects.filter(pk=key.pk).update(**columns)
    key.refresh_from_db()
    return key


def told_to(user):
    return [receipt.notification.subject for receipt in list_receipts(user)]


def test_admins_hear_of_it_once_and_where_it_stands(client, key, admin, engineer, analyst, now):
    assert [tell_expiring_keys(now=now + n * DAY) for n in range(2)] == [1, 0]
    assert told_to(admin) == [f"API key {key.label} expires on {key.expires_at:%Y-%m-%d}"]
    assert told_to(engineer) == told_to(analyst) == []  # They cannot see keys.
    news = Notification.objects.get()
    assert f"last used on {key.last_used_at:%Y-%m-%d}. It acts as {engineer.name}." in news.text
    client.force_login(admin)
    assert client.get(news.url).status_code == 200


def test_that_it_expired_is_told_where_it_was_in_use(key, admin, now):
    tell_expiring_keys(now=now)
    over = key.expires_at + timedelta(minutes=1)
    assert [tell_expiring_keys(now=over) for _ in range(2)] == [1, 0]
    assert told_to(admin)[0] == f"API key {key.label} has expired"
    assert Notification.objects.get(kind="api_key.expired").critical


def test_nobody_misses_what_was_not_used_in_its_last_week(key, admin, now):
    changed(key, last_used_at=key.expires_at - 8 * DAY)
    assert tell_expiring_keys(now=key.expires_at + DAY) == 0
    changed(key, last_used_at=None)
    assert tell_expiring_keys(now=key.expires_at + DAY) == 0


def test_what_opens_nothing_anyhow_is_not_told(key, admin, engineer, now):
    changed(key, revoked_at=now)
    assert tell_expiring_keys(now=now) == 0
    changed(key, revoked_at=None)
    engineer.is_active = False
    engineer.save()
    assert tell_expiring_keys(now=now) == 0


def test_far_ends_and_none_are_not_told(key, admin, now):
    for ends in (now + 8 * DAY, None):
        changed(key, expires_at=ends)
        assert tell_expiring_keys(now=now) == 0


def test_a_key_of_a_day_is_told_of_in_its_last_quarter(key, admin, now):
    changed(key, created_at=now, expires_at=now + DAY)
    assert tell_expiring_keys(now=now + 17 * DAY / 24) == 0
    assert tell_expiring_keys(now=now + 19 * DAY / 24) == 1


def test_another_end_is_news_again(key, admin, now):
    tell_expiring_keys(now=now)
    changed(key, expires_at=key.expires_at + DAY)
    assert tell_expiring_keys(now=now) == 1


def test_a_revoked_key_that_was_told_of_is_told_no_more(key, admin, now):
    tell_expiring_keys(now=now)
    revoke_api_key(key, actor=admin)
    assert tell_expiring_keys(now=key.expires_at + timedelta(hours=1)) == 0


def test_routes_of_no_detector_take_it(key, now):
    user_with_role("Admin")
    route_for(kinds=["api_key.expires"])
    tell_expiring_keys(now=now)
    assert Delivery.objects.filter(notification__kind="api_key.expires").exists()
