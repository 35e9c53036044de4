"""`manage.py flush` takes the guard of the audit trail away after the yes, and puts it back."""

import builtins
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from accounts.management.commands import flush
from accounts.models import AuditEntry
from accounts.services import record_audit
from tests.accounts.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def entry():
    user = UserFactory()
    return record_audit(actor=user, action="test.done", subject=user)


def is_guarded():
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE accounts_auditentry SET action = 'x'")
    except DatabaseError as refusal:
        return "never changed" in str(refusal)
    return False


def answer(monkeypatch, text):
    """Says so when asked; gives a list of whether the trail was guarded meanwhile."""
    guarded = []

    def asked(prompt=""):
        guarded.append(is_guarded())
        return text

    monkeypatch.setattr(builtins, "input", asked)
    return guarded


def test_the_guard_stands_while_it_asks_and_after_a_no(monkeypatch):
    guarded, said = answer(monkeypatch, "no"), StringIO()
    call_command("flush", stdout=said)
    assert guarded == [True]
    assert is_guarded()
    assert AuditEntry.objects.count() == 1
    assert "Nothing was changed" in said.getvalue()


def test_after_a_yes_everything_is_gone_but_the_guard(monkeypatch):
    guarded = answer(monkeypatch, "yes")
    call_command("flush", verbosity=0, stdout=StringIO())
    assert guarded == [True]
    assert not AuditEntry.objects.filter(action="test.done").exists()
    record_audit(actor=None, action="test.again", subject=UserFactory())
    assert is_guarded()


def test_a_flush_that_fails_leaves_all_as_it_was(monkeypatch):
    def fails(self, **options):
        raise CommandError("no room on the disk")

    monkeypatch.setattr(flush.DjangoFlush, "handle", fails)
    with pytest.raises(CommandError):
        call_command("flush", interactive=False)
    assert AuditEntry.objects.count() == 1
    assert is_guarded()
