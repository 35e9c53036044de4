"""Reports of the dashboards by e-mail: made once, really sent, to those who may."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from accounts.models import User
from accounts.roles import LEAD
from cases import scheduled_reports
from cases.dashboard_models import TallyRun
from cases.report_models import ReportRun, ReportSubscription
from cases.report_subscribing import (
    MOST,
    end_subscription,
    pause_subscription,
    readers_of,
    save_subscription,
)
from cases.scheduled_reports import make_due_reports, make_report_now
from cases.tasks import make_reports_task
from cases.workflow import MoveRefused
from notifications.models import Delivery, Notification, Preference, Receipt
from notifications.sending import deliver, send_due
from tests.accounts.factories import user_with_role
from tests.cases.reports import LAST, NOW, attached, bodies, mailed, subscribed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


@pytest.fixture
def counted(db):
    """Everything is counted until NOW."""
    return TallyRun.objects.create(pk=1, as_of=NOW)


# --- Once, and the right days --------------------------------------------------------------------


def test_a_report_that_is_due_is_sent_once_however_often_the_tick_comes(mail, counted, lead):
    subscribed(lead)
    assert make_due_reports(NOW) == 1
    assert [make_due_reports(NOW + timedelta(minutes=n)) for n in range(3)] == [0, 0, 0]
    send_due(most=10)
    send_due(most=10)
    (message,) = mail.mails
    assert mail.recipients == ["lead@bank.example"]
    subject = "[Risk platform] Report: All detectors, 13 to 19 March 2026"
    assert message["Subject"] == subject


def test_the_row_of_a_run_keeps_a_second_worker_from_making_it_again(counted, lead, monkeypatch):
    """Even one that looked before the first had written it down."""
    report = subscribed(lead)
    write = scheduled_reports.write_report

    def overtaken(*args):
        monkeypatch.setattr(scheduled_reports, "write_report", write)
        assert make_due_reports(NOW) == 1
        return write(*args)

    monkeypatch.setattr(scheduled_reports, "write_report", overtaken)
    assert make_due_reports(NOW) == 0
    assert (report.runs.count(), Notification.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_workers_that_tick_at_one_moment_send_it_once(payments_detector, mail, settings):
    TallyRun.objects.create(pk=1, as_of=NOW)
    subscribed(user_with_role(LEAD, username="lead"))

    def tick(_):
        try:
            return make_due_reports(NOW)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        made = sum(pool.map(tick, range(4)))
    make_due_reports(NOW)
    send_due(most=10)
    assert (made, ReportRun.objects.count(), len(mail.mails)) == (1, 1, 1)


def test_it_is_not_made_before_its_time_nor_for_what_lies_before_it_was_asked_for(counted, lead):
    subscribed(lead, since=NOW)
    assert make_due_reports(NOW + timedelta(hours=23)) == 0
    counted.as_of = NOW + timedelta(days=1)
    counted.save()
    assert make_due_reports(NOW + timedelta(hours=24)) == 1


def test_after_a_standstill_only_the_newest_comes(counted, lead):
    report = subscribed(lead, since=NOW - timedelta(days=9))
    assert make_due_reports(NOW + timedelta(hours=3)) == 1
    run = report.runs.get()
    assert (run.key, run.first, run.last) == ("2026-03-20T12:00", date(2026, 3, 13), LAST)


def test_it_waits_until_its_last_day_is_counted_but_not_for_ever(counted, lead):
    counted.as_of = datetime(2026, 3, 19, 23, 58, tzinfo=UTC)
    counted.save()
    subscribed(lead, hour=0)
    midnight = datetime(2026, 3, 20, tzinfo=UTC)
    ReportSubscription.objects.update(handled_until=midnight - timedelta(hours=1))
    assert make_due_reports(midnight + timedelta(minutes=1)) == 0
    assert make_due_reports(midnight + timedelta(hours=1)) == 1


def test_on_days_when_clocks_are_set_it_comes_once_a_day(lead):
    lead.time_zone = "Europe/Zurich"
    TallyRun.objects.create(pk=1, as_of=datetime(2026, 12, 1, tzinfo=UTC))
    start = datetime(2026, 10, 24, 0, 30, tzinfo=UTC)
    report = subscribed(lead, hour=2, since=start)
    made = [
        (moment.hour, make_due_reports(moment))
        for moment in (start + timedelta(minutes=30 * n) for n in range(100))
    ]
    assert [hour for hour, n in made if n] == [0, 1]  # 02:00 of summer, then of winter.
    keys = ["2026-10-25T00:00", "2026-10-26T01:00"]
    assert sorted(report.runs.values_list("key", flat=True)) == keys


def test_another_hour_or_zone_on_the_same_day_sends_what_the_page_says_comes_next(counted, lead):
    report = subscribed(lead)
    assert make_due_reports(NOW) == 1
    report.hour = 15
    save_subscription(report, recipients=None, actor=lead)
    ReportSubscription.objects.update(handled_until=NOW + timedelta(minutes=5))
    assert report.timetable.following(NOW).at == NOW + timedelta(hours=3)
    assert [make_due_reports(NOW + timedelta(hours=n)) for n in (2, 3, 4)] == [0, 1, 0]
    lead.time_zone = "America/New_York"  # 15:00 there is 19:00 here.
    lead.save()
    assert [make_due_reports(NOW + timedelta(hours=n)) for n in (6, 7, 8)] == [0, 1, 0]
    assert report.runs.count() == 3


def test_what_fails_keeps_nobody_else_from_theirs_and_is_tried_again(
    counted, lead, analyst, monkeypatch, caplog
):
    bad, _ = subscribed(lead), subscribed(analyst)
    write = scheduled_reports.write_report

    def fails(report, *args):
        if report.pk == bad.pk:
            raise ZeroDivisionError
        return write(report, *args)

    monkeypatch.setattr(scheduled_reports, "write_report", fails)
    assert make_due_reports(NOW) == 1
    assert f"Report {bad.pk} could not be made" in caplog.text
    monkeypatch.setattr(scheduled_reports, "write_report", write)
    assert make_due_reports(NOW + timedelta(minutes=1)) == 1


def test_a_clock_that_nobody_knows_keeps_nobody_else_from_theirs(counted, lead, analyst):
    subscribed(lead), subscribed(analyst)
    User.objects.filter(pk=lead.pk).update(time_zone="Mars/Olympus")
    assert make_due_reports(NOW) == 1


def test_a_paused_report_rests_and_goes_on_from_now(counted, lead):
    report = subscribed(lead)
    assert pause_subscription(report, pause=True, actor=lead)
    assert not pause_subscription(report, pause=True, actor=lead)
    assert make_due_reports(NOW) == 0
    pause_subscription(report, pause=False, actor=lead)
    assert make_due_reports(NOW) == 0  # Due before it went on.


def test_the_task_makes_what_is_due(lead):
    subscribed(lead, since=timezone.now() - timedelta(days=3), hour=0)
    TallyRun.objects.create(pk=1, as_of=timezone.now())
    assert (make_reports_task(), make_reports_task()) == (1, 0)


# --- On its way ----------------------------------------------------------------------------------


def test_while_the_mail_server_is_down_it_waits_and_then_arrives_once(
    mail, settings, counted, lead
):
    subscribed(lead)
    settings.EMAIL_PORT = 1
    make_due_reports(NOW)
    assert send_due(most=10) == 0
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempt) == (Delivery.Status.WAITING, 1)
    settings.EMAIL_PORT = mail.port
    make_due_reports(NOW)
    Delivery.objects.update(due_at=timezone.now())
    assert deliver(delivery.pk) and not deliver(delivery.pk)
    (message,) = mail.mails
    assert "All detectors" in bodies(message)[0] and len(attached(message)) == 2


def test_quiet_hours_hold_it_back(counted, lead, mail):
    subscribed(lead)
    Preference.objects.create(
        user=lead, quiet_from=(timezone.now() - timedelta(hours=1)).time(),
        quiet_until=(timezone.now() + timedelta(hours=1)).time(),
    )  # fmt: skip
    make_due_reports(NOW)
    assert send_due(most=10) == 0
    assert Delivery.objects.get().due_at > timezone.now() + timedelta(minutes=50)


def test_whoever_switched_these_mails_off_gets_none_and_whoever_wants_the_bell_a_line(
    counted, lead, mail
):
    subscribed(lead)
    Preference.objects.create(user=lead, chosen={"report.scheduled": ["bell"]})
    make_due_reports(NOW)
    assert (send_due(most=10), mail.mails) == (0, [])
    assert Receipt.objects.get(user=lead).notification.url.startswith(
        "/dashboards/?from=2026-03-13"
    )


# --- Who may -------------------------------------------------------------------------------------


def test_others_get_it_too_while_they_may_see_dashboards(
    mail, counted, lead, analyst, engineer, outsider
):
    report = subscribed(lead, analyst, engineer)
    report.recipients.add(mailed(outsider))
    engineer.is_active = False
    engineer.save()
    make_due_reports(NOW)
    send_due(most=10)
    assert sorted(mail.recipients) == ["analyst@bank.example", "lead@bank.example"]


def test_whoever_loses_the_right_between_making_and_sending_gets_nothing(
    mail, counted, lead, analyst
):
    subscribed(lead, analyst)
    make_due_reports(NOW)
    analyst.groups.clear()
    send_due(most=10)
    assert mail.recipients == ["lead@bank.example"]
    refused = Delivery.objects.get(user=analyst)
    assert (refused.status, "may no longer see" in refused.error) == (Delivery.Status.FAILED, True)


def test_an_owner_who_may_not_share_any_more_sends_to_nobody_else(lead, analyst):
    report = subscribed(lead, analyst)
    assert set(readers_of(report)) == {lead, analyst}
    lead.groups.set(analyst.groups.all())
    report = ReportSubscription.objects.get()
    assert readers_of(report) == [lead]
    lead.groups.clear()
    report = ReportSubscription.objects.get()
    assert readers_of(report) == []


def test_a_report_to_nobody_is_done_with(counted, lead):
    report = subscribed(lead)
    lead.groups.clear()
    assert make_due_reports(NOW) == 0
    assert (report.runs.get().notification, Notification.objects.count()) == (None, 0)


def test_sending_now_counts_the_mails_and_not_the_people(mail, lead, analyst):
    report = subscribed(lead, analyst)
    analyst.email = ""
    analyst.save()
    assert make_report_now(report, actor=lead, now=NOW) == 1


def test_sending_now_is_beside_what_is_due_and_once_a_minute(mail, counted, lead, analyst):
    report = subscribed(lead, analyst)
    assert make_report_now(report, actor=lead, now=NOW) == 2
    with pytest.raises(MoveRefused, match="a moment ago"):
        make_report_now(report, actor=lead, now=NOW + timedelta(seconds=20))
    assert make_due_reports(NOW) == 1
    assert sorted(report.runs.values_list("key", flat=True)) == [
        "2026-03-20T12:00", "now 2026-03-20T12:00"
    ]  # fmt: skip


def test_a_person_has_so_many_reports_and_no_more(lead):
    for _ in range(MOST):
        subscribed(lead)
    with pytest.raises(MoveRefused, match="Delete one"):
        subscribed(lead)


def test_an_end_leaves_what_was_sent(counted, lead):
    report = subscribed(lead)
    make_due_reports(NOW)
    end_subscription(report, actor=lead)
    assert (ReportRun.objects.count(), Notification.objects.count()) == (0, 1)
