"""Who is told, once, and what is held back."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils import timezone

from accounts.roles import ADMIN, ANALYST, LEAD, MODEL_OWNER
from notifications import failed_jobs, services
from notifications.failed_jobs import tell_failed_jobs
from notifications.kinds import KINDS, Channel
from notifications.models import Delivery, Notification, Preference, Receipt
from notifications.selectors import MOST_COUNTED, unread_count
from notifications.services import forget_old, mark_read, mark_unread, notify
from tests.accounts.factories import UserFactory, user_with_role
from tests.jobs.factories import JobFactory
from tests.notifications.factories import route_for, told

pytestmark = pytest.mark.django_db
NEWS = {"key": "k1", "subject": "Critical alert 7", "url": "/alerts/7/"}


@pytest.fixture
def with_mail(settings):
    settings.EMAIL_HOST = "mail.example.com"


def who_saw():
    return set(Receipt.objects.values_list("user__username", flat=True))


def test_the_roles_of_a_kind_are_told_and_nobody_else(analyst, lead, owner, outsider):
    notify("alert.opened", **NEWS)
    assert who_saw() == {"analyst", "lead"}


def test_telling_the_same_twice_tells_it_once(analyst, with_mail):
    route_for(kinds=["alert.opened"])
    assert notify("alert.opened", **NEWS) is not None
    assert notify("alert.opened", **NEWS) is None
    assert (Receipt.objects.count(), Delivery.objects.count()) == (1, 1)


def test_who_is_named_is_told_only_if_they_may_see_it_and_are_here(analyst, outsider):
    gone = user_with_role(ANALYST)
    gone.is_active = False
    gone.save()
    notify("case.mention", users=[analyst, outsider, gone, None], **NEWS)
    assert who_saw() == {"analyst"}


def test_nobody_is_told_what_they_did_themselves(analyst, lead):
    notify("alert.opened", actor=lead, **NEWS)
    assert who_saw() == {"analyst"}


def test_what_nobody_wants_to_hear_leaves_no_row(analyst):
    Preference.objects.create(user=analyst, chosen={"alert.opened": []})
    assert notify("alert.opened", **NEWS) is None
    assert notify("alert.closed", **NEWS | {"key": "k2"}) is None
    assert not Notification.objects.exists()


def test_a_choice_counts_per_kind_and_channel(analyst, with_mail):
    analyst.email = "ana@example.com"
    analyst.save()
    Preference.objects.create(user=analyst, chosen={"alert.opened": ["email"]})
    notify("alert.opened", **NEWS)
    notify("case.mention", users=[analyst], **NEWS | {"key": "k2"})
    assert [receipt.kind for receipt in Receipt.objects.all()] == ["case.mention"]
    assert sorted(Delivery.objects.values_list("notification__kind", flat=True)) == [
        "alert.opened",
        "case.mention",
    ]


def test_without_an_address_or_a_mail_server_no_mail_waits(analyst, lead, settings):
    settings.EMAIL_HOST = ""
    lead.email = "lea@example.com"
    lead.save()
    notify("sla.due", users=[analyst, lead], **NEWS)
    settings.EMAIL_HOST = "mail.example.com"
    notify("sla.due", users=[analyst], **NEWS | {"key": "k2"})
    assert (Receipt.objects.count(), Delivery.objects.count()) == (3, 0)


def test_a_route_takes_its_kinds_of_its_detector(analyst):
    route_for(kinds=["drift.alarm"], about="cards")
    route_for(kinds=["model.promoted"])
    for number, about in enumerate(("cards", "payments", "")):
        notify("drift.alarm", key=str(number), subject="Drift", about=about)
    assert [row.notification.about for row in Delivery.objects.all()] == ["cards"]


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example/", "alerts/7/", "\\\\x"])
def test_a_notification_leads_nowhere_else(analyst, url):
    with pytest.raises(ValueError, match="a path of this platform"):
        notify("alert.opened", key="k", subject="s", url=url)


def test_subjects_are_one_line_and_hold_no_nul(analyst):
    news = notify("alert.opened", key="k", subject="a\r\nBcc: x\0" + "y" * 300, text="\0t")
    assert news.subject.startswith("a Bcc: xyyy") and len(news.subject) == 200
    assert news.text == "t"


@pytest.mark.parametrize(("passes", "held"), [(False, True), (True, False)])
def test_quiet_hours_hold_mail_back_and_critical_may_pass(
    lead, with_mail, monkeypatch, passes, held
):
    now = datetime(2026, 1, 10, 23, 0, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    lead.email, lead.time_zone = "lea@example.com", "Europe/Zurich"
    lead.save()
    Preference.objects.create(
        user=lead, quiet_from=time(22), quiet_until=time(7), critical_passes=passes
    )
    notify("sla.due", **NEWS)
    expected = datetime(2026, 1, 11, 6, 0, tzinfo=UTC) if held else now
    assert Delivery.objects.get().due_at == expected
    assert unread_count(lead.pk) == 1


def test_people_get_one_summary_when_it_is_too_much_and_machines_get_all(analyst, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 1, 10, 12, 30, tzinfo=UTC))
    route_for("webhook", kinds=["alert.opened"])
    route_for("slack", kinds=["alert.opened"])
    most = KINDS["alert.opened"].most_an_hour
    for number in range(most + 5):
        notify("alert.opened", key=f"a{number}", subject="Critical", about="cards", url="/")
    notify("alert.opened", key="other", subject="Critical", about="payments", url="/")
    sent = Delivery.objects.values_list("channel", flat=True)
    assert list(sent).count("webhook") == most + 6
    assert list(sent).count("slack") == most + 1
    subjects = list(Receipt.objects.values_list("notification__subject", flat=True))
    assert len(subjects) == most + 2
    assert f"More than {most} within an hour of cards: a critical alert opened" in subjects


def test_the_limit_counts_what_is_of_one_group_within_the_last_hour(analyst, monkeypatch):
    clock = [datetime(2026, 1, 10, 12, 30, tzinfo=UTC)]
    monkeypatch.setattr(timezone, "now", lambda: clock[0])
    most = KINDS["alert.opened"].most_an_hour
    for number in range(most):
        notify("alert.opened", key=f"a{number}", subject="Critical", group="rule 1")
    assert notify("alert.opened", key="over", subject="s", group="rule 1") is None
    assert notify("alert.opened", key="another group", subject="s", group="rule 2") is not None
    clock[0] += timedelta(hours=1)
    assert notify("alert.opened", key="an hour later", subject="s", group="rule 1") is not None


def test_telling_many_people_costs_the_same_queries_as_telling_few(
    django_assert_max_num_queries,
):
    for many in (1, 20):
        for _ in range(many):
            user_with_role(ANALYST)
        # People, preferences, routes, how many of late, savepoint, look-up, insert, receipts.
        with django_assert_max_num_queries(11):
            notify("alert.opened", **NEWS | {"key": f"k{many}"})


def test_counting_costs_one_query_and_stops_at_a_hundred(analyst, django_assert_num_queries):
    for number in range(3):
        told(analyst, key=f"n{number}")
    with django_assert_num_queries(1):
        assert unread_count(analyst.pk) == 3
    rows = [
        Notification(key=f"m{number}", kind="case.mention", subject="s") for number in range(120)
    ]
    Receipt.objects.bulk_create(
        Receipt(user=analyst, notification=row, kind=row.kind, created_at=row.created_at)
        for row in Notification.objects.bulk_create(rows)
    )
    assert unread_count(analyst.pk) == MOST_COUNTED


def test_marking_all_read_is_about_oneself(analyst, lead):
    for user in (analyst, lead):
        told(user)
    assert mark_read(analyst) == 1
    assert (unread_count(analyst.pk), unread_count(lead.pk)) == (0, 1)


def test_marking_unread_is_about_oneself(analyst, lead):
    told(lead)
    mark_read(lead)
    theirs = Receipt.objects.get(user=lead)
    assert mark_unread(analyst, receipt_id=theirs.pk) == 0
    assert unread_count(lead.pk) == 0
    assert mark_unread(lead, receipt_id=theirs.pk) == 1
    assert unread_count(lead.pk) == 1


def test_a_failed_job_is_told_to_who_asked_else_to_the_owners_once(owner, engineer):
    now = timezone.now()
    JobFactory(status="failed", finished_at=now, requested_by=engineer, subject="cards")
    JobFactory(status="failed", finished_at=now, kind="models_registry.train")
    long_ago = now - timedelta(days=8)
    JobFactory(status="failed", queued_at=long_ago, finished_at=long_ago)
    JobFactory(status="succeeded", finished_at=now)
    assert tell_failed_jobs(now=now) == 2
    assert tell_failed_jobs(now=now) == 0
    assert who_saw() == {"engineer", "owner"}


def test_all_failed_jobs_are_told_however_many_and_however_late(owner, monkeypatch):
    monkeypatch.setattr(failed_jobs, "_AT_ONCE", 3)
    now = timezone.now()
    for hours in range(8):
        JobFactory(status="failed", finished_at=now - timedelta(hours=hours))
    assert [tell_failed_jobs(now=now) for _ in range(4)] == [3, 3, 2, 0]


def test_what_failed_first_is_told_first(owner, monkeypatch):
    monkeypatch.setattr(failed_jobs, "_AT_ONCE", 1)
    now = timezone.now()
    JobFactory(status="failed", finished_at=now)
    first = JobFactory(status="failed", finished_at=now - timedelta(hours=1))
    tell_failed_jobs(now=now)
    assert Notification.objects.get().data["job"] == first.pk


def test_a_failed_job_of_who_is_gone_is_told_to_the_owners(owner):
    now, stranger = timezone.now(), UserFactory()
    for asked in (UserFactory(is_active=False), stranger):
        JobFactory(status="failed", finished_at=now, requested_by=asked)
    assert tell_failed_jobs(now=now) == 2
    assert who_saw() == {"owner"}


def test_failed_jobs_that_nobody_wants_to_hear_of_keep_no_others_waiting(engineer, monkeypatch):
    monkeypatch.setattr(failed_jobs, "_AT_ONCE", 1)
    now = timezone.now()
    JobFactory(status="failed", finished_at=now - timedelta(hours=1))  # There is no model owner.
    JobFactory(status="failed", finished_at=now, requested_by=engineer)
    assert [tell_failed_jobs(now=now) for _ in range(3)] == [0, 1, 0]


def test_what_was_told_and_forgotten_is_not_told_again(owner, settings):
    settings.NOTIFICATIONS_KEPT_DAYS = 2
    now = timezone.now()
    JobFactory(status="failed", finished_at=now)
    assert tell_failed_jobs(now=now) == 1
    later = now + timedelta(days=3)
    forget_old(later - timedelta(days=2))
    assert tell_failed_jobs(now=later) == 0


def test_old_notifications_are_forgotten_with_all_that_hangs_on_them(analyst):
    route_for(kinds=["case.mention"])
    told(analyst, key="new")
    old = told(analyst, key="old")
    Notification.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=91))
    assert forget_old(timezone.now() - timedelta(days=90)) == 1
    assert (Receipt.objects.count(), Delivery.objects.count()) == (1, 1)


def test_what_is_told_is_undone_with_the_act_that_it_tells_of(analyst, monkeypatch):
    monkeypatch.setattr(services, "announce", lambda pk: 1 / 0)
    route_for(kinds=["alert.opened"])
    with pytest.raises(ZeroDivisionError):
        notify("alert.opened", **NEWS)
    assert not Notification.objects.exists()


def test_every_kind_names_roles_and_permissions_that_exist():
    people = {role: user_with_role(role) for role in (ADMIN, ANALYST, LEAD, MODEL_OWNER)}
    for kind in KINDS.values():
        assert UserFactory._meta.model.objects.with_perm(
            kind.permission, backend="django.contrib.auth.backends.ModelBackend"
        ).exists(), kind.name
        assert all(people[role].has_perm(kind.permission) for role in kind.roles), kind.name
        assert set(kind.channels) <= {Channel.BELL, Channel.EMAIL}


def test_the_bell_reads_its_own_index(analyst, only_on_sqlite):
    unread = Receipt.objects.filter(user=analyst, read_at=None).order_by()[:MOST_COUNTED]
    assert "receipt_unread" in unread.explain()
