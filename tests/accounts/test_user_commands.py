"""`manage.py createsuperuser` and `changepassword` leave their lines in the audit trail."""

import getpass

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models.signals import post_save

from accounts.audit_chain import find_audit_break
from accounts.management import audited
from accounts.models import AuditEntry, User
from tests.accounts.factories import UserFactory

PASSWORD = "another horse battery"


def make(username="root", **options):
    call_command(
        "createsuperuser", username=username, email="", interactive=False, verbosity=0, **options
    )


def written():
    return list(AuditEntry.objects.order_by("number").values_list("action", flat=True))


@pytest.fixture
def typed(monkeypatch):
    """Whether a transaction was open each time that a password was asked for."""
    seen = []

    def ask(prompt=""):
        seen.append(transaction.get_connection().in_atomic_block)
        return PASSWORD

    monkeypatch.setattr(getpass, "getpass", ask)
    return seen


@pytest.mark.django_db
def test_a_new_superuser_is_two_lines_that_say_who_typed(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "operator")
    make()
    assert written() == ["user.created", "user.superuser_made"]
    entry = AuditEntry.objects.last()
    assert (entry.actor, entry.object_label) == (None, "root")
    assert entry.detail == {"command": "manage.py createsuperuser", "system_user": "operator"}
    assert find_audit_break() is None


@pytest.mark.django_db(transaction=True)
def test_a_changed_password_is_a_line_and_nothing_is_locked_while_it_is_typed(typed):
    user = UserFactory()
    call_command("changepassword", user.username)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert written() == ["user.password_set"]
    assert typed == [False, False]


@pytest.mark.django_db
def test_what_fails_leaves_no_line_and_no_user():
    UserFactory(username="Anna")
    for taken in ("Anna", "anna"):
        with pytest.raises(CommandError):
            make(taken)
    assert written() == []
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_line_that_cannot_be_written_leaves_no_user(monkeypatch):
    def fail(**kwargs):
        raise OSError("full")

    monkeypatch.setattr(audited, "record_audit", fail)
    with pytest.raises(OSError, match="full"):
        make()
    assert not User.objects.exists()


@pytest.mark.django_db
def test_after_a_command_users_are_saved_as_before():
    heard = len(post_save.receivers)
    make()
    UserFactory()
    assert len(post_save.receivers) == heard
    assert written() == ["user.created", "user.superuser_made"]


def test_a_process_without_a_name_is_told_by_its_number(monkeypatch):
    def nobody():
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert audited.system_user().startswith("uid ")
