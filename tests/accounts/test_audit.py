from concurrent.futures import ThreadPoolExecutor
from copy import copy
from io import StringIO

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import ProtectedError

from accounts import audit_chain
from accounts.audit_chain import (
    audit_breaks,
    entry_hash,
    find_audit_break,
    find_end_break,
    find_shown_breaks,
    sign_head,
)
from accounts.audit_guard import install_guard, remove_guard
from accounts.models import AppendOnlyError, AuditEntry, AuditHead
from accounts.own_keys import refuse_other_keys, were_found_ours
from accounts.services import record_audit
from tests.accounts.factories import UserFactory

pytestmark = pytest.mark.django_db


def write_entries(count=3):
    user = UserFactory()
    return [
        record_audit(actor=user, action="test.done", subject=user, detail={"n": n, "x": 1e16})
        for n in range(count)
    ]


def tamper(sql, *values):
    """As somebody with the database's own password would."""
    remove_guard(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
    install_guard(connection)


def test_an_entry_tells_who_did_what_to_what():
    user = UserFactory(username="ann")
    record_audit(actor=user, action="key.turned", subject=user, detail={"b": [1.5], "a": "é"})
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object_type) == (user, "key.turned", "accounts.user")
    assert (entry.object_id, entry.object_label) == (str(user.pk), "ann")
    assert entry.detail == {"a": "é", "b": [1.5]}


def test_a_whole_trail_is_found_whole():
    assert find_audit_break() is None
    write_entries()
    assert find_audit_break() is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE accounts_auditentry SET actor_id = NULL WHERE number = 2",
        "UPDATE accounts_auditentry SET action = 'x' WHERE number = 2",
        "UPDATE accounts_auditentry SET object_type = 'x' WHERE number = 2",
        "UPDATE accounts_auditentry SET object_id = '77' WHERE number = 2",
        "UPDATE accounts_auditentry SET object_label = 'x' WHERE number = 2",
        "UPDATE accounts_auditentry SET detail_json = '{}' WHERE number = 2",
        "UPDATE accounts_auditentry SET at = '2020-01-01 00:00:00+00:00' WHERE number = 2",
    ],
)
def test_an_edit_of_any_column_is_found(sql):
    write_entries()
    tamper(sql)
    assert find_audit_break().number == 2


def test_a_deleted_entry_is_found():
    write_entries()
    tamper("DELETE FROM accounts_auditentry WHERE number = 2")
    assert find_audit_break().number == 2


def test_two_swapped_entries_are_found():
    write_entries()
    for old, new in ((2, 9), (3, 2), (9, 3)):
        tamper("UPDATE accounts_auditentry SET number = %s WHERE number = %s", new, old)
    assert find_audit_break().number == 2


def test_a_trail_cut_off_at_its_end_is_found():
    write_entries()
    tamper("DELETE FROM accounts_auditentry WHERE number = 3")
    assert find_audit_break().number == 3


def test_a_cut_trail_with_a_head_made_to_fit_is_found():
    entries = write_entries()
    tamper("DELETE FROM accounts_auditentry WHERE number = 3")
    AuditHead.objects.update(number=2, row_hash=entries[1].row_hash)
    assert "signature" in find_audit_break().reason


def test_a_cut_trail_with_a_head_made_to_fit_does_not_go_on_as_if_it_were_whole():
    entries = write_entries()
    tamper("DELETE FROM accounts_auditentry WHERE number = 3")
    AuditHead.objects.update(number=2, row_hash=entries[1].row_hash)
    with pytest.raises(ImproperlyConfigured, match="its end was changed"):
        record_audit(actor=None, action="user.created")
    assert "signature" in find_audit_break().reason


def test_work_goes_on_behind_a_cut_trail_and_the_cut_is_seen_from_then_on(caplog):
    entries = write_entries()
    refuse_other_keys()  # As every server does when it begins.
    tamper("DELETE FROM accounts_auditentry WHERE number = 3")
    AuditHead.objects.update(number=2, row_hash=entries[1].row_hash)
    done = record_audit(actor=None, action="user.created")
    record_audit(actor=None, action="user.created")
    told = AuditEntry.objects.get(number=3)
    assert (told.action, done.number) == ("audit.end_changed", 4)
    assert told.detail["said"] == {"number": 2, "row_hash": entries[1].row_hash}
    assert "verify_audit" in caplog.text
    assert find_end_break() is None
    found = find_audit_break()
    assert found.number == 3 and "changed from outside" in found.reason
    assert find_shown_breaks([told, done]) == {3: found.reason}


def put_back_an_old_end(entries):
    old = entries[0]
    signature = sign_head(old.number, old.row_hash)
    AuditHead.objects.update(number=old.number, row_hash=old.row_hash, signature=signature)


def forge_an_old_end(entries):
    refuse_other_keys()
    AuditHead.objects.update(number=1, row_hash=entries[0].row_hash)


def remove_the_end(entries):
    AuditHead.objects.all().delete()


@pytest.mark.parametrize("change", [put_back_an_old_end, forge_an_old_end, remove_the_end])
def test_an_end_that_leaves_entries_out_hides_none_and_stops_nobody(change):
    entries = write_entries()
    change(entries)
    assert record_audit(actor=None, action="user.created").number == 5
    assert AuditEntry.objects.get(number=4).previous_hash == entries[2].row_hash
    assert find_audit_break().number == 4


def test_what_breaks_behind_a_change_that_was_told_is_found_too():
    entries = write_entries()
    put_back_an_old_end(entries)
    for _ in range(3):
        record_audit(actor=None, action="user.created")
    tamper("UPDATE accounts_auditentry SET action = 'x' WHERE number = 6")
    assert [found.number for found in audit_breaks()] == [4, 6]
    with pytest.raises(CommandError, match=r"at entry 4: .*; it breaks at entry 6: its content"):
        call_command("verify_audit")


def test_an_empty_database_says_nothing_of_the_keys():
    refuse_other_keys()
    assert not were_found_ours()
    write_entries(1)
    refuse_other_keys()
    assert were_found_ours()


def test_a_missing_end_is_found():
    write_entries()
    AuditHead.objects.all().delete()
    assert find_audit_break().number == 3


@pytest.fixture
def meanwhile(monkeypatch):
    """`meanwhile(act)` lets `act` happen while the trail is walked, after its first entry."""

    def arrange(act):
        waiting = [act]

        def hash_and_act(entry):
            found = entry_hash(entry)
            if waiting:
                waiting.pop()()
            return found

        monkeypatch.setattr(audit_chain, "entry_hash", hash_and_act)

    return arrange


def test_what_is_written_while_the_trail_is_walked_breaks_nothing(meanwhile):
    write_entries()
    meanwhile(lambda: record_audit(actor=None, action="test.done"))
    assert find_audit_break() is None
    assert AuditEntry.objects.count() == 4


def test_an_end_cut_off_while_the_trail_is_walked_is_found(meanwhile, only_on_sqlite):
    write_entries()
    meanwhile(lambda: tamper("DELETE FROM accounts_auditentry WHERE number = 3"))
    assert find_audit_break().number == 3


def test_an_entry_put_in_while_the_trail_is_walked_is_found(meanwhile):
    entries = write_entries()

    def put_in():
        entry = copy(entries[-1])
        entry.pk, entry.number, entry.previous_hash = None, 4, entries[-1].row_hash
        entry.row_hash = entry_hash(entry)
        AuditEntry.objects.bulk_create([entry])

    meanwhile(put_in)
    found = find_audit_break()
    assert (found.number, found.reason) == (4, "the trail goes on after its signed end")


def test_a_rewritten_last_entry_is_not_the_one_that_was_signed():
    write_entries()
    last = AuditEntry.objects.get(number=3)
    last.action = "nothing"
    tamper(
        "UPDATE accounts_auditentry SET action = 'nothing', row_hash = %s WHERE number = 3",
        entry_hash(last),
    )
    for found in (find_audit_break(), find_end_break()):
        assert (found.number, found.reason) == (3, "it is not what was signed as the trail's end")


def test_the_models_refuse_to_change_or_delete():
    entry = write_entries()[0]
    for attempt in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(action="x"),
    ):
        with pytest.raises(AppendOnlyError):
            attempt()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE accounts_auditentry SET action = 'x'",
        "DELETE FROM accounts_auditentry",
        "TRUNCATE accounts_auditentry",
    ],
)
def test_the_database_refuses_to_change_or_delete(sql):
    write_entries()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert AuditEntry.objects.count() == 3


def test_who_has_a_past_cannot_be_deleted():
    user = write_entries()[0].actor
    with pytest.raises(ProtectedError):
        user.delete()


def test_an_entry_goes_when_what_it_tells_of_is_rolled_back():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write_entries(1)
        raise ZeroDivisionError
    write_entries(1)
    assert find_audit_break() is None


@pytest.mark.django_db(transaction=True)
def test_ten_writers_make_one_chain():
    def write(n):
        try:
            record_audit(actor=None, action="test.done", detail={"n": n})
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(write, range(30)))
    assert AuditEntry.objects.count() == 30
    assert find_audit_break() is None


def test_the_command_names_the_first_broken_entry():
    write_entries()
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert "3 entries" in out.getvalue()
    tamper("UPDATE accounts_auditentry SET action = 'x' WHERE number > 1")
    with pytest.raises(CommandError, match="entry 2: its content was changed"):
        call_command("verify_audit")
