"""Reports of the dashboards by e-mail: made once, really sent, the page's numbers."""

import csv
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from types import SimpleNamespace

import pytest
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from accounts.roles import LEAD
from cases import dashboard_views, scheduled_reports
from cases.dashboard_models import DailyTally, TallyRun
from cases.report_figures import Headline, in_words
from cases.report_mail import Period, write_report
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
from scoring.models import Detector
from tests.accounts.factories import user_with_role
from tests.notifications.receivers import mail_sink

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
LAST = date(2026, 3, 19)
"""The last day of a report that is due at NOW."""


@pytest.fixture
def mail(settings):
    """A real mail server."""
    with mail_sink() as found:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", found.port
        settings.DEFAULT_FROM_EMAIL = "Risk platform <risk@bank.example>"
        settings.SITE_URL = "https://risk.bank.example"
        yield found


@pytest.fixture
def counted(db):
    """Everything is counted until NOW."""
    return TallyRun.objects.create(pk=1, as_of=NOW)


def mailed(user):
    user.email = f"{user.username}@bank.example"
    user.save()
    return user


def subscribed(owner, *others, since=NOW - timedelta(days=1), **given):
    """A report every day at 12:00 UTC that was subscribed to at `since`."""
    given = {"often": "daily", "hour": 12, "days": 7} | given
    report = ReportSubscription(owner=mailed(owner), **given)
    save_subscription(report, recipients=[mailed(one) for one in others], actor=owner)
    ReportSubscription.objects.filter(pk=report.pk).update(handled_until=since)
    report.refresh_from_db()
    return report


def tally(kind, day, count, **more):
    detector = more.pop("detector", None) or Detector.objects.get(slug="payments")
    return DailyTally.objects.create(kind=kind, day=day, detector=detector, count=count, **more)


def lived():
    """A week that ends at LAST, and one before it; old enough that some labels have matured."""
    currency = Detector.objects.get(slug="payments").spec().currency
    money = {"currency": currency}
    for day, times in ((LAST, 1), (LAST - timedelta(days=7), 2)):
        tally("event", day, 1000 * times, level=0, decision="APPROVE", outcome="legitimate")
        tally("event", day, 8, level=2, decision="REVIEW", outcome="fraud",
              amount=Decimal("4321.5") * times, **money)  # fmt: skip
        tally("event", day, 4, level=2, decision="BLOCK", outcome="legitimate")
        tally("event", day, 4, level=3, decision="BLOCK")
        tally("event", day, 2, level=0, decision="APPROVE", outcome="fraud", amount=77, **money)
        tally("opened", day, 6, level=3, outcome="fraud")
        tally("opened", day, 2 * times, level=2, outcome="false_positive")
        tally("closed", day, 5, bucket=40)
        tally("backlog", day, 9 * times, level=2)


def bodies(message):
    return tuple(message.get_body((kind,)).get_content() for kind in ("plain", "html"))


def attached(message):
    """By file name, the rows of each CSV."""
    return {
        part.get_filename(): list(csv.reader(StringIO(part.get_content())))
        for part in message.iter_attachments()
    }


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
    assert (run.key, run.first, run.last) == ("2026-03-20", date(2026, 3, 13), LAST)


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
    assert sorted(report.runs.values_list("key", flat=True)) == ["2026-10-25", "2026-10-26"]


def test_another_hour_or_zone_on_the_same_day_sends_no_second_one(counted, lead):
    report = subscribed(lead)
    assert make_due_reports(NOW) == 1
    report.hour = 15
    save_subscription(report, recipients=None, actor=lead)
    ReportSubscription.objects.update(handled_until=NOW)
    assert make_due_reports(NOW + timedelta(hours=4)) == 0
    lead.time_zone = "America/New_York"
    lead.save()
    assert make_due_reports(NOW + timedelta(hours=8)) == 0
    assert report.runs.count() == 1


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
    assert readers_of(report) == [lead, analyst] or readers_of(report) == [analyst, lead]
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
        "2026-03-20", "now 2026-03-20T12:00"
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


# --- What it says --------------------------------------------------------------------------------


@pytest.fixture
def read(client, lead, monkeypatch):
    """Reads a page of the dashboards as it stood at NOW."""
    client.force_login(lead)
    monkeypatch.setattr(dashboard_views, "timezone", SimpleNamespace(now=lambda: NOW))
    return client.get


@pytest.fixture
def sent(mail, counted, lead):
    """The e-mail of a week that was lived."""
    lived()
    subscribed(lead, detector=Detector.objects.get(slug="payments"))
    make_due_reports(NOW)
    send_due(most=10)
    (message,) = mail.mails
    return message


def test_its_numbers_are_those_of_the_page_that_it_links_to(sent, read):
    text, html = bodies(sent)
    link = re.search(r"Open the dashboard: https://risk\.bank\.example(\S+)", text)[1]
    assert "from=2026-03-13&to=2026-03-19&detector=payments" in link
    assert link.replace("&", "&amp;") in html
    shown = read(link).context
    whole, panels = shown["whole"], {one["panel"].key: one["panel"] for one in shown["panels"]}
    rows = {row[0]: row for row in attached(sent)["figures-2026-03-13-to-2026-03-19.csv"]}
    assert rows["Events"][1:] == [str(whole.events), "count", "2018"]
    assert rows["Alerts opened"][1] == str(whole.alerts) == "8"
    assert rows["Precision of alerts"][1] == str(whole.precision.value) == "0.75"
    assert rows["Value detected"][1] == str(whole.detected)
    assert rows["Value lost"][1] == str(whole.lost)
    assert rows["Cost saved"][1] == str(whole.saved)
    assert rows["Time to disposition, median"][1] == str(whole.median_seconds)
    assert rows["Alerts not closed at the end"][1] == str(whole.backlog) == "9"
    critical = sum(row[4] for row in panels["alerts"].rows)
    assert rows["Critical alerts"][1] == str(critical) == "6"
    assert rows["High alerts"][1:] == ["2", "count", "4"]
    known = sum(row[1] + row[2] for row in panels["maturity"].rows)
    every = sum(sum(row[1:]) for row in panels["maturity"].rows)
    assert float(rows["Flagged events with a label"][1]) == known / every == 0.75


def test_the_false_positive_rate_is_that_of_the_matured_days_of_the_page(client, lead, counted):
    lived()
    report = subscribed(lead, detector=Detector.objects.get(slug="payments"))
    now = NOW + timedelta(days=200)
    written = write_report(report, Period(date(2026, 3, 13), LAST), now)
    rows = {row[0]: row for row in csv.reader(StringIO(written.files[0].text))}
    client.force_login(lead)
    query = {"from": "2026-03-13", "to": f"{LAST}", "detector": "payments"}
    answer = client.get(reverse("dashboard_csv", args=["false_positives"]), query)
    shown = list(csv.DictReader(StringIO(answer.content.decode())))
    flagged = sum(int(row["flagged"]) for row in shown)
    good = sum(int(row["legitimate"]) for row in shown)
    assert good and float(rows["False-positive rate"][1]) == flagged / good


def test_it_says_what_changed_and_both_parts_say_the_same(sent):
    text, html = bodies(sent)
    assert "Events: 1,018; before 2,018, −50\u00a0%" in text  # noqa: RUF001
    assert "Precision of alerts: 75\u00a0% (6 of 8); before 60\u00a0%, +15.0\u00a0points" in text
    assert "13 to 19 March 2026" in text and "6 to 12 March 2026" in text
    for words in ("1,018", "2,018", "75\u00a0%", "+15.0\u00a0points", "13 to 19 March 2026"):
        assert words in html


def test_the_table_of_detectors_is_the_file_that_the_page_gives(sent, read):
    query = {"from": "2026-03-13", "to": f"{LAST}", "detector": "payments"}
    answer = read(reverse("dashboard_csv", args=["detectors"]), query).content.decode()
    file = attached(sent)["detectors-2026-03-13-to-2026-03-19.csv"]
    assert file == list(csv.reader(StringIO(answer)))


def test_nothing_in_it_has_to_be_loaded_and_no_script_runs(sent):
    _, html = bodies(sent)
    for part in ("<img", "<link", "<script", "<style", "src=", "@import", "url(", "{#", "{%"):
        assert part not in html
    assert set(re.findall(r'href="(https?://[^/"]+)', html)) == {"https://risk.bank.example"}
    assert html.lstrip().startswith("<!DOCTYPE html>")


def test_it_leads_to_where_it_is_stopped(sent, client):
    text, html = bodies(sent)
    manage = "https://risk.bank.example/dashboards/reports/"
    assert manage in text and manage in html
    assert client.get("/dashboards/reports/").status_code == 302  # To the log-in.


def test_names_are_escaped_in_the_mail_and_made_harmless_in_the_file(mail, counted, lead):
    Detector.objects.filter(slug="payments").update(name="=HYPERLINK(<b>1</b>)")
    tally("event", LAST, 5, level=0, decision="APPROVE")
    subscribed(lead)
    make_due_reports(NOW)
    send_due(most=10)
    (message,) = mail.mails
    assert "=HYPERLINK(&lt;b&gt;1&lt;/b&gt;)" in bodies(message)[1]
    names = [row[0] for row in attached(message)["detectors-2026-03-13-to-2026-03-19.csv"]]
    assert "'=HYPERLINK(<b>1</b>)" in names


def test_a_report_of_days_without_events_says_so(mail, counted, lead):
    subscribed(lead)
    make_due_reports(NOW)
    send_due(most=10)
    assert all("No event lies on these days." in body for body in bodies(mail.mails[0]))


def test_making_one_costs_as_much_with_more_of_everything(
    counted, lead, cards_detector, django_assert_max_num_queries
):
    report = subscribed(lead)
    for days in (1, 30):
        for n in range(days):
            for detector in Detector.objects.all():
                tally("event", LAST - timedelta(days=n), 5, level=0, decision="APPROVE",
                      detector=detector)  # fmt: skip
        # Its owner, twice the detectors and the six sums, and until when everything is counted.
        with django_assert_max_num_queries(16):
            write_report(report, Period(date(2026, 3, 13), LAST), NOW)


@pytest.mark.parametrize(
    ("unit", "value", "before", "words", "change"),
    [
        ("count", 1200, 1000, "1,200", "+20\u00a0%"),
        ("count", 0, 10, "0", "−100\u00a0%"),  # noqa: RUF001
        ("count", 3, 0, "3", "new"),
        ("count", 0, 0, "0", "same"),
        ("count", 5, None, "5", ""),
        ("share", 0.123, 0.1, "12\u00a0%", "+2.3\u00a0points"),
        ("share", 0.004, 0.004, "0.40\u00a0%", "same"),
        ("share", 0.04, 0.04, "4.0\u00a0%", "same"),
        ("share", None, 0.5, "–", ""),  # noqa: RUF001
        ("seconds", 600.0, 1200.0, "10\u00a0min", "−50\u00a0%"),  # noqa: RUF001
        ("EUR", Decimal("3214.49"), Decimal(3000), "€\u00a03,214", "+7\u00a0%"),
        ("EUR", -250.0, 100.0, "−€\u00a0250", "−€\u00a0350"),  # noqa: RUF001
        ("CHF", 9.5, -19.0, "CHF\u00a09.50", "+CHF\u00a028.50"),
        ("EUR", 40, 0, "€\u00a040.00", "+€\u00a040.00"),
        ("share", 0.0004, 0.0001, "0.04\u00a0%", "+0.03\u00a0points"),
        ("share", 0, 1, "0\u00a0%", "−100.0\u00a0points"),  # noqa: RUF001
        ("count", 10_001, 10_000, "10,001", "+<\u00a01\u00a0%"),
    ],
)
def test_numbers_and_their_change_read_well(unit, value, before, words, change):
    found = Headline("Figure", unit, value, before)
    assert (found.words, found.change) == (words, change)


def test_durations_read_as_on_the_page():
    assert [in_words(s, "seconds") for s in (5399, 7200, 200_000)] == [
        "90\u00a0min", "2\u00a0h", "2\u00a0d"
    ]  # fmt: skip
