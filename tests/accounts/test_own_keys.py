"""Nothing begins with RISK_PII_KEYS that are not those which the database was written with."""

import sys
from importlib import import_module

import pytest
from celery.signals import beat_init, worker_init
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError

from accounts import own_keys
from accounts.models import AuditEntry, User
from accounts.own_keys import end_with_other_keys, refuse_other_keys
from accounts.services import record_audit

SAID = "RISK_PII_KEYS are not those of this database"


@pytest.fixture
def keys(settings, transactional_db):
    """Those with which the audit trail was signed; others are in force."""
    record_audit(actor=None, action="user.created")
    before = settings.PII_KEYS
    settings.PII_KEYS = f"k9:{'A' * 43}="
    return before


@pytest.mark.usefixtures("keys")
def test_a_server_ends_with_the_reason():
    with pytest.raises(SystemExit) as ended:
        end_with_other_keys()
    assert SAID in str(ended.value)


def test_keys_that_were_rotated_are_the_databases(keys, settings):
    settings.PII_KEYS = f"{settings.PII_KEYS},{keys}"
    end_with_other_keys()


@pytest.mark.parametrize(
    "command",
    [
        ["consume", "mqtt", "--detector", "payments"],
        ["import_events", "/nowhere.csv", "--detector", "payments"],
        ["erase_person", "--detector", "payments", "--entity-key", "user_id", "u-1"],
        ["apply_retention"],
        ["run_source", "card-transactions"],
        ["simulate", "--detector", "payments"],
        ["rebuild_windows", "--detector", "payments"],
        ["load_detectors"],
        ["create_api_key", "--user", "engineer", "--name", "shop"],
    ],
)
@pytest.mark.usefixtures("keys")
def test_commands_that_would_know_nobody_are_refused(command):
    with pytest.raises(ImproperlyConfigured, match=SAID):
        call_command(*command)
    assert AuditEntry.objects.count() == 1


@pytest.mark.usefixtures("keys")
def test_what_is_audited_is_refused_with_them_wherever_it_comes_from():
    with pytest.raises(ImproperlyConfigured, match=SAID):
        call_command("createsuperuser", "--noinput", "--username", "zoe", "--email", "z@x.org")
    assert not User.objects.exists()
    assert AuditEntry.objects.count() == 1


def test_a_database_that_is_away_or_was_never_prepared_refuses_nothing(monkeypatch):
    def away():
        raise OperationalError("connection refused")

    monkeypatch.setattr(own_keys.connection.introspection, "table_names", away)
    refuse_other_keys()
    monkeypatch.setattr(own_keys.connection.introspection, "table_names", list)
    refuse_other_keys()


@pytest.mark.parametrize("begin", ["web", worker_init, beat_init])
def test_web_worker_and_beat_begin_with_that_question(monkeypatch, begin):
    def end():
        raise SystemExit(SAID)

    monkeypatch.setattr(own_keys, "end_with_other_keys", end)
    monkeypatch.delitem(sys.modules, "riskplatform.asgi", raising=False)
    with pytest.raises(SystemExit, match=SAID):
        import_module("riskplatform.asgi") if begin == "web" else begin.send(sender=None)
