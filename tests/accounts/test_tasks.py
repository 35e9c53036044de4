from datetime import timedelta
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.lockout import MAX_FAILURES, locked_for, note_failed_login
from accounts.models import FailedLogin
from accounts.tasks import forget_old_task

pytestmark = pytest.mark.django_db


def session(days):
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store["of"] = "somebody"
    store.set_expiry(timezone.now() + timedelta(days=days))
    store.save()
    return store.session_key


def test_a_session_that_is_over_is_deleted_and_one_that_goes_on_is_not():
    session(-1)
    goes_on = session(1)
    forget_old_task()
    assert [row.pk for row in Session.objects.all()] == [goes_on]


def test_who_failed_to_log_in_where_is_forgotten_after_a_day_without_anybody_logging_in():
    now = timezone.now()
    for hours, name in ((24.1, "old"), (23.9, "bob"), (0.0, "ann")):
        for _ in range(MAX_FAILURES):
            note_failed_login(name, "192.0.2.1", now=now - timedelta(hours=hours))
    assert forget_old_task() == 1
    assert FailedLogin.objects.count() == 2
    assert locked_for("ann", "192.0.2.1")
