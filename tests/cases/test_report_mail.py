"""Reports of the dashboards by e-mail: what they say is what the page says."""

import csv
import re
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from types import SimpleNamespace

import pytest
from django.urls import reverse

from cases import dashboard_views
from cases.dashboard_models import TallyRun
from cases.report_figures import Headline, in_words
from cases.report_mail import Period, write_report
from cases.scheduled_reports import make_due_reports
from notifications.sending import send_due
from scoring.models import Detector
from tests.cases.reports import LAST, NOW, attached, bodies, lived, subscribed, tally

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


@pytest.fixture
def counted(db):
    """Everything is counted until NOW."""
    return TallyRun.objects.create(pk=1, as_of=NOW)


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
        # Its owner, twice the detectors, the six sums and until when everything is counted.
        with django_assert_max_num_queries(17):
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
