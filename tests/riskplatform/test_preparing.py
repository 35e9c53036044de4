"""What a start does before it serves."""

import os
import subprocess
import sys

import pytest
from celery.signals import worker_init
from django.core.management import CommandError, call_command

from accounts.audit_chain import find_audit_break
from accounts.models import AuditEntry
from accounts.services import record_audit
from riskplatform.measurement_files import forget_gone_measurements
from riskplatform.preparing import prepare


def test_measurements_of_processes_that_are_gone_are_removed(settings, tmp_path):
    settings.PROMETHEUS_DIR = tmp_path
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for process in (gone.pid, os.getpid()):
        (tmp_path / f"counter_{process}.db").touch()
    (tmp_path / "of_somebody.db").touch()
    forget_gone_measurements()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"counter_{os.getpid()}.db", "of_somebody.db"}


def test_the_worker_removes_them_when_it_starts(settings, tmp_path):
    settings.PROMETHEUS_DIR = tmp_path
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f"counter_{gone.pid}.db").touch()
    worker_init.send(sender=None)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def keys(settings, db):
    """Those with which the audit trail was signed; others are in force."""
    record_audit(actor=None, action="user.created")
    before = settings.PII_KEYS
    settings.PII_KEYS = f"k9:{'A' * 43}="
    return before


@pytest.mark.usefixtures("keys")
def test_keys_that_are_not_the_databases_are_refused_before_anything_is_done():
    with pytest.raises(CommandError, match="RISK_PII_KEYS are not those of this database"):
        prepare(static=False)
    assert AuditEntry.objects.count() == 1


def test_keys_that_were_rotated_are_the_databases(keys, settings):
    settings.PII_KEYS = f"{settings.PII_KEYS},{keys}"
    prepare(static=False)
    assert find_audit_break() is None


@pytest.mark.usefixtures("keys")
def test_who_has_lost_the_keys_goes_on_with_others_and_the_trail_tells_it(capsys):
    call_command("prepare", static=False, other_keys=True)
    assert AuditEntry.objects.filter(action="personal_data.keys_replaced").count() == 1
    prepare(static=False)
    assert find_audit_break() is None
