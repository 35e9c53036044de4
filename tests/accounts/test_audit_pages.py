"""The audit search: it finds, goes on by number, shows what is broken, and hands out tables."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.audit_chain import find_end_break, find_shown_breaks
from accounts.audit_guard import install_guard, remove_guard
from accounts.models import AuditEntry, AuditHead
from accounts.roles import ANALYST
from accounts.selectors import AuditAsked, audit_page, search_audit
from accounts.services import record_audit
from scoring.models import Detector
from tests.accounts.factories import UserFactory, user_with_role

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def boss(client, admin):
    client.force_login(admin)
    return client


def write(count=1, *, at=None, actor=None, action="test.done", subject=None, monkey=None, **detail):
    if at is not None:
        monkey.setattr(timezone, "now", lambda: at)
    return [
        record_audit(actor=actor, action=action, subject=subject, detail=detail)
        for _ in range(count)
    ]


def tamper(sql, *values):
    remove_guard(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
    install_guard(connection)


def text(response):
    return response.content.decode()


def numbers(response):
    return [row["entry"].number for row in response.context["rows"]]


def test_each_filter_finds_its_own(boss, admin):
    ann = user_with_role(ANALYST, username="ann")
    (mine,) = write(actor=ann, action="case.opened", subject=admin)
    search = reverse("audit_list")
    assert numbers(boss.get(search, {"actor": "ANN"})) == [mine.number]
    assert numbers(boss.get(search, {"action": "case."})) == [mine.number]
    about = {"kind": "accounts.user", "key": str(admin.pk), "action": "case."}
    assert numbers(boss.get(search, about)) == [mine.number]
    assert numbers(boss.get(search, {"action": "opened"})) == []


def test_who_is_exactly_the_user_that_is_named(boss):
    for name in ("bob", "Bob"):
        write(actor=UserFactory(username=name), action=f"by.{name}")
    found = boss.get(reverse("audit_list"), {"actor": "Bob"})
    assert "by.Bob" in text(found) and "by.bob" not in text(found)
    page = boss.get(reverse("audit_list"), {"actor": "BOB"})
    assert "write it exactly" in page.context["form"].errors["actor"][0]


def test_a_percent_sign_is_a_letter(boss):
    write(action="test.done")
    assert numbers(boss.get(reverse("audit_list"), {"action": "%"})) == []
    assert numbers(boss.get(reverse("audit_list"), {"action": "test_d"})) == []


def test_days_are_whole_and_in_utc(monkeypatch):
    first, last = DAY.replace(hour=0), DAY.replace(hour=23, minute=59, second=59)
    moments = (first - timedelta(seconds=1), first, last, last + timedelta(seconds=1))
    entries = [write(at=at, monkey=monkeypatch)[0] for at in moments]
    found = search_audit(AuditAsked(since=DAY.date(), until=DAY.date()))
    assert {entry.number for entry in found} == {entries[1].number, entries[2].number}


def test_a_clock_that_is_behind_loses_nothing(monkeypatch):
    first = DAY.replace(hour=0)
    late = [
        first + timedelta(minutes=1),
        first - timedelta(minutes=5),
        first + timedelta(minutes=2),
    ]
    entries = [write(at=at, monkey=monkeypatch)[0] for at in late]
    found = search_audit(AuditAsked(since=DAY.date()))
    assert {entry.number for entry in found} == {entries[0].number, entries[2].number}


def test_pages_go_on_by_number_there_and_back():
    write(7)
    first = audit_page(AuditAsked(), size=3)
    assert ([e.number for e in first.entries], first.older, first.newer) == ([7, 6, 5], 5, None)
    second = audit_page(AuditAsked(), size=3, before=first.older)
    assert ([e.number for e in second.entries], second.older) == ([4, 3, 2], 2)
    last = audit_page(AuditAsked(), size=3, before=second.older)
    assert ([e.number for e in last.entries], last.older) == ([1], None)
    back = audit_page(AuditAsked(), size=3, after=last.newer)
    assert ([e.number for e in back.entries], back.newer) == ([4, 3, 2], 4)
    again = audit_page(AuditAsked(), size=3, after=back.newer)
    assert ([e.number for e in again.entries], again.newer) == ([7, 6, 5], None)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"actor": "nobody"}, "actor"),
        ({"actor": "\0"}, "actor"),
        ({"kind": "cases.none"}, "kind"),
        ({"kind": "x"}, "kind"),
        ({"since": "soon"}, "since"),
        ({"since": "0001-01-01"}, "since"),
        ({"until": "9999-12-31"}, "until"),
        ({"since": "2026-02-02", "until": "2026-02-01"}, "until"),
        ({"action": "x" * 81}, "action"),
        ({"action": "a\0"}, "action"),
        ({"key": "x" * 81}, "key"),
        ({"key": "7"}, "kind"),
    ],
)
@pytest.mark.parametrize("name", ["audit_list", "audit_export"])
def test_a_bad_filter_is_refused_with_field_and_reason(boss, name, asked, field):
    page = boss.get(reverse(name), asked)
    assert page.status_code == 422
    if name == "audit_list":
        assert field in page.context["form"].errors
    else:
        assert text(page).startswith(f"{field}: ")


@pytest.mark.parametrize("value", ["x", "-1", "9" * 19, "9" * 5000, "1.5", "\0"])
def test_a_number_that_is_none_begins_at_the_newest(boss, value):
    (entry,) = write()
    for name in ("before", "after"):
        assert numbers(boss.get(reverse("audit_list"), {name: value}))[0] == entry.number


def test_the_largest_numbers_find_nothing_and_break_nothing(boss):
    write()
    assert numbers(boss.get(reverse("audit_list"), {"after": "9" * 18})) == []
    assert boss.get(f"/manage/audit/{10**30}/").status_code == 404


def test_a_whole_trail_is_said_to_be_whole(boss):
    write(3)
    assert "Verified" in text(boss.get(reverse("audit_list")))
    assert find_end_break() is None


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("UPDATE accounts_auditentry SET action = 'x' WHERE number = 2", 2),
        ("UPDATE accounts_auditentry SET row_hash = 'x' WHERE number = 2", 3),
        ("DELETE FROM accounts_auditentry WHERE number = 2", 3),
    ],
)
def test_what_was_changed_is_marked_on_the_page(boss, sql, number):
    write(3)
    tamper(sql)
    assert number in find_shown_breaks(list(AuditEntry.objects.all()))
    page = text(boss.get(reverse("audit_list")))
    assert "Verified" not in page
    assert "Broken" in text(boss.get(reverse("audit_entry", args=[number])))


@pytest.mark.parametrize(
    "said", ["gone", "[1]", '"text"', "7", pytest.param("[" * 9999, id="deep")]
)
def test_a_detail_that_is_made_unreadable_breaks_the_entry_and_no_page(boss, said):
    write(2)
    tamper("UPDATE accounts_auditentry SET detail_json = %s WHERE number = 2", said)
    page = boss.get(reverse("audit_list"))
    assert {row["entry"].number: row["broken"] is None for row in page.context["rows"]}[2] is False
    assert "Broken" in text(boss.get(reverse("audit_entry", args=[2])))
    assert boss.get(reverse("audit_export")).getvalue()


def test_a_trail_that_was_cut_off_is_said_to_be_broken(boss):
    newest = write(3)[-1].number
    tamper("DELETE FROM accounts_auditentry WHERE number = %s", newest)
    assert "cut off" in text(boss.get(reverse("audit_list")))


def test_a_lost_end_is_said_to_be_broken(boss):
    write(2)
    AuditHead.objects.all().delete()
    assert "end of the trail is missing" in text(boss.get(reverse("audit_list")))


def test_subjects_lead_to_their_pages(boss, payments_detector):
    ann = user_with_role(ANALYST, username="ann")
    write(subject=ann)
    write(subject=payments_detector)
    page = text(boss.get(reverse("audit_list"), {"action": "test."}))
    assert ann.get_absolute_url() in page
    assert payments_detector.get_absolute_url() in page


def test_a_change_is_a_table_of_before_and_after_with_its_json_behind_it(boss):
    (entry,) = write(action="user.roles_changed", before=["Analyst"], after=["Lead"], why="moved")
    page = text(boss.get(entry.get_absolute_url()))
    assert '<th scope="row">Roles</th>' in page and "<dt>Why</dt>" in page
    assert '<table class="grid-table is-roomy is-changes">' in page
    assert page.index("Analyst</td>") < page.index("Lead</td>") < page.index("As JSON</summary>")
    assert "roles: Analyst → Lead; why: moved" in text(boss.get(reverse("audit_list")))


def test_a_subject_that_is_gone_or_odd_has_no_link(boss):
    ghost = Detector(pk=77, slug="ghost", name="Ghost")
    write(subject=ghost)
    odd = Detector(slug="odd", name="Odd")
    odd.pk = "not a key"
    write(subject=odd)
    assert boss.get(reverse("audit_list")).status_code == 200


def test_the_export_is_harmless_whole_and_audited(boss, admin):
    ann = UserFactory(username="ann")
    write(2, subject=ann, action="=cmd|calc", note="@x")
    answer = boss.get(reverse("audit_export"), {"kind": "accounts.user", "key": str(ann.pk)})
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert [row["Action"] for row in rows] == ["'=cmd|calc", "'=cmd|calc"]
    assert answer["Content-Disposition"] == 'attachment; filename="audit-trail.csv"'
    entry = AuditEntry.objects.filter(action="audit.exported").get()
    assert entry.actor == admin
    assert entry.detail == {"asked": {"kind": "accounts.user", "key": str(ann.pk)}}


def test_a_page_asks_no_more_for_more_rows(boss, django_assert_max_num_queries):
    write(60)
    boss.get(reverse("audit_list"))
    with django_assert_max_num_queries(14):
        boss.get(reverse("audit_list"))
