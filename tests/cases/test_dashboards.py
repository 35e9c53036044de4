"""Dashboards: what they sum up, what they ask for, where their points lead, and who may."""

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.urls import reverse
from django.utils import timezone

from cases.dashboard_asking import csv_line
from cases.dashboard_filters import DashboardFilters
from cases.dashboard_models import DailyTally, TallyRun, WaitingTally
from cases.dashboard_rows import AlertsAsked, EventsAsked
from cases.dashboards import matured, money_of, read_sums, scope_of
from cases.durations import bucket_of
from cases.models import Alert
from cases.services import label_alert
from cases.tallying import tally_everything
from scoring.models import Detector
from tests.cases.alerts import alert_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
TODAY = date(2026, 3, 20)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}


def tally(kind, day, count, **more):
    detector = more.pop("detector", None) or Detector.objects.get(slug="payments")
    return DailyTally.objects.create(kind=kind, day=day, detector=detector, count=count, **more)


def asked(**query):
    return DashboardFilters.read(query, TODAY)


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


@pytest.fixture
def boss(client, lead):
    client.force_login(lead)
    return client


# --- Days ----------------------------------------------------------------------------------------


def test_the_last_thirty_days_are_usual_and_others_can_be_asked_for():
    assert (asked().first, asked().last) == (date(2026, 2, 19), TODAY)
    assert asked(days="7").first == date(2026, 3, 14)
    chosen = asked(**{"from": "2026-01-05", "to": "2026-01-06"})
    assert (chosen.first, chosen.last, chosen.days) == (date(2026, 1, 5), date(2026, 1, 6), 0)
    assert chosen.query() == "from=2026-01-05&to=2026-01-06"
    assert chosen.query(days="7", detector="cards") == "detector=cards&days=7"


@pytest.mark.parametrize(
    ("first", "last", "problem"),
    [
        ("yesterday", "2026-01-05", "year-month-day"),
        ("2026-01-05", "", "year-month-day"),
        ("2026-02-05", "2026-01-05", "after"),
        ("2024-01-05", "2026-01-05", "366"),
        ("0001-01-01", "0001-01-02", "year-month-day"),
    ],
)
def test_days_that_cannot_be_shown_are_refused_and_kept(first, last, problem):
    found = asked(**{"from": first, "to": last})
    assert problem in found.problem
    assert (found.start_text, found.end_text) == (first, last)
    assert (found.last - found.first).days == 29


def test_long_spans_go_by_weeks_that_begin_on_monday():
    found = asked(**{"from": "2025-07-02", "to": "2026-03-20"})
    bins = found.bins()
    assert (bins[0].first, bins[0].last) == (date(2025, 7, 2), date(2025, 7, 6))
    assert bins[1].first.weekday() == 0 and bins[-1].last == TODAY
    assert len(asked(days="90").bins()) == 90


# --- Sums ----------------------------------------------------------------------------------------


def test_sums_add_up_what_was_counted_on_the_days_that_were_asked_for():
    tally("event", TODAY, 5, level=0, decision="APPROVE")
    tally("event", TODAY, 2, level=2, decision="REVIEW", outcome="fraud", amount=70, currency="EUR")
    tally("event", date(2026, 1, 1), 100, level=0, decision="APPROVE")
    tally("opened", TODAY, 3, level=2, outcome="open")
    tally("backlog", TODAY, 4, level=2)
    TallyRun.objects.create(pk=1, as_of=NOW)
    sums = read_sums(asked(days="7"), scope_of(""))
    today = sums.bins[-1]
    assert sums.volume == {(today, 0): 5, (today, 2): 2}
    assert sum(cell.count for cell in sums.events) == 7
    assert [n for key, n in sums.opened.items() if key[0] == today] == [3]
    assert list(sums.backlog.values()) == [4]


def test_a_week_has_the_events_of_its_days_and_the_backlog_of_its_end():
    monday, tuesday = date(2026, 3, 9), date(2026, 3, 10)
    for day in (monday, tuesday):
        tally("event", day, 5, level=0, decision="APPROVE")
        tally("backlog", day, 7, level=1)
    tally("backlog", date(2026, 3, 15), 9, level=1)
    TallyRun.objects.create(pk=1, as_of=NOW)
    sums = read_sums(asked(**{"from": "2025-11-01", "to": "2026-03-20"}), scope_of(""))
    (key,) = sums.volume
    assert (key[0].first, sums.volume[key]) == (monday, 10)
    assert {at.first: n for (at, _, _), n in sums.backlog.items()} == {monday: 9}


def test_another_detector_is_left_out_when_one_is_asked_for(cards_detector):
    tally("event", TODAY, 5, level=0, decision="APPROVE")
    tally("event", TODAY, 3, level=0, decision="APPROVE", detector=cards_detector)
    assert sum(read_sums(asked(), scope_of("cards")).volume.values()) == 3
    assert sum(read_sums(asked(), scope_of("")).volume.values()) == 8


def test_saved_is_fraud_flagged_less_reviews_and_false_blocks():
    scope = scope_of("payments")
    spec = scope.specs[scope.ids[0]]
    day = TODAY - timedelta(days=40)
    money = {"currency": spec.currency, "level": 2}
    tally("event", day, 2, decision="BLOCK", outcome="fraud", amount=Decimal(500), **money)
    tally("event", day, 3, decision="REVIEW", outcome="fraud", amount=Decimal(300), **money)
    tally("event", day, 4, decision="REVIEW", outcome="legitimate", amount=Decimal(9), **money)
    tally("event", day, 5, decision="BLOCK", outcome="legitimate", amount=Decimal(9), **money)
    tally("event", day, 6, decision="BLOCK", outcome="", amount=Decimal(9), **money)
    tally("event", day, 7, decision="APPROVE", outcome="fraud", amount=Decimal(40), **money)
    tally("event", day, 1, decision="REVIEW", outcome="fraud", amount=Decimal(1000), level=2,
          currency="XTS")  # fmt: skip
    sums = read_sums(asked(days="90"), scope)
    found = money_of(sums.events, scope, spec.currency, NOW)
    costs = spec.costs
    assert (found.detected, found.lost) == (Decimal(800), Decimal(40))
    assert (found.reviewed, found.wrongly_blocked) == (8, 11)
    assert found.saved == pytest.approx(
        800 * costs.loss_share - 8 * costs.review_cost - 11 * costs.false_block_cost
    )


def test_a_young_block_without_a_label_counts_neither_way():
    scope = scope_of("payments")
    currency = scope.specs[scope.ids[0]].currency
    tally("event", TODAY, 6, level=3, decision="BLOCK", amount=9, currency=currency)
    sums = read_sums(asked(), scope)
    assert money_of(sums.events, scope, currency, NOW).saved == 0.0
    later = NOW + timedelta(days=60)
    assert money_of(sums.events, scope, currency, later).wrongly_blocked == 6


def test_a_bin_is_matured_when_the_labels_of_its_last_event_had_their_time():
    (at,) = asked(**{"from": "2026-03-01", "to": "2026-03-01"}).bins()
    week = timedelta(days=7)
    assert matured(at, week, datetime(2026, 3, 9, tzinfo=UTC))
    assert not matured(at, week, datetime(2026, 3, 8, 23, tzinfo=UTC))


# --- The page ------------------------------------------------------------------------------------


def panels(response):
    return {one["panel"].key: one["panel"] for one in response.context["panels"]}


def test_precision_is_fraud_of_those_decided_with_its_interval(reader):
    day = timezone.now().astimezone(UTC).date()
    for outcome, count in (("fraud", 8), ("false_positive", 2), ("open", 5), ("inconclusive", 1)):
        tally("opened", day, count, level=2, outcome=outcome)
    page = reader.get(reverse("dashboards"), {"days": "7"})
    row = dict(zip((p := panels(page)["precision"]).columns, p.rows[-1], strict=True))
    assert (row["alerts_fraud"], row["alerts_decided"], row["precision"]) == (8, 10, 0.8)
    assert (round(row["low"], 3), round(row["high"], 3)) == (0.490, 0.943)
    assert (row["not_decided"], row["inconclusive"]) == (5, 1)
    assert p.figure["data"][0]["marker"]["symbol"][-1] == "circle-open"


def test_young_labels_are_told_from_those_that_never_came(reader):
    day = timezone.now().astimezone(UTC).date()
    old = day - timedelta(days=60)
    tally("event", day, 3, level=2, decision="REVIEW")
    tally("event", old, 4, level=2, decision="REVIEW")
    tally("event", old, 2, level=2, decision="BLOCK", outcome="fraud")
    tally("event", old, 90, level=0, decision="APPROVE")
    panel = panels(reader.get(reverse("dashboards"), {"days": "90"}))["maturity"]
    rows = {row[0]: row[1:] for row in panel.rows}
    assert (rows[f"{day}"], rows[f"{old}"]) == ((0, 0, 3, 0), (2, 0, 0, 4))


def test_time_to_disposition_shows_median_and_ninetieth(reader):
    day = timezone.now().astimezone(UTC).date()
    tally("closed", day, 8, bucket=bucket_of(600.0))
    tally("closed", day, 2, bucket=bucket_of(3600.0))
    panel = panels(reader.get(reverse("dashboards")))["disposition_time"]
    closed, median, p90, unit = panel.rows[-1][1:]
    assert (closed, unit) == (10, "minutes")
    assert median == pytest.approx(10.0, rel=0.051) and p90 == pytest.approx(60.0, rel=0.051)


def test_the_page_says_until_when_it_is_counted_and_what_it_does_not_know_yet(reader):
    page = reader.get(reverse("dashboards")).content.decode()
    assert "not counted yet" in page and "Nothing to draw" in page
    TallyRun.objects.create(pk=1, as_of=datetime(2026, 3, 20, 12, 5, tzinfo=UTC))
    assert "as of 2026-03-20 12:05 UTC" in reader.get(reverse("dashboards")).content.decode()


def test_a_bad_day_answers_422_and_keeps_what_was_typed(reader):
    page = reader.get(reverse("dashboards"), {"from": "soon", "to": "2026-01-01"})
    assert page.status_code == 422
    assert 'value="soon"' in page.content.decode()
    assert "year-month-day" in page.content.decode()


def test_where_events_are_older_the_way_to_them_is_shown(reader):
    tally("event", date(2020, 6, 1), 5, level=0, decision="APPROVE")
    assert "from=2020-06-01" in reader.get(reverse("dashboards")).content.decode()


def test_the_csv_has_what_the_chart_shows(reader):
    day = timezone.now().astimezone(UTC).date()
    tally("event", day, 5, level=0, decision="APPROVE")
    query = {"days": "7", "detector": "payments"}
    answer = reader.get(reverse("dashboard_csv", args=["volume"]), query)
    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.reader(StringIO(answer.content.decode())))
    shown = panels(reader.get(reverse("dashboards"), query))["volume"]
    assert rows == [list(shown.columns), *[[str(value) for value in row] for row in shown.rows]]
    assert rows[-1] == [f"{day}", "5", "0", "0", "0"]


def test_every_chart_has_a_csv_and_nothing_else_has(reader):
    for key in [*panels(reader.get(reverse("dashboards"))), "detectors"]:
        assert reader.get(reverse("dashboard_csv", args=[key])).status_code == 200
    assert reader.get(reverse("dashboard_csv", args=["passwords"])).status_code == 404


def test_a_text_cannot_run_as_a_formula():
    assert csv_line(["=1+1", "-2", -2, None]) == "'=1+1,'-2,-2,\r\n"


def test_the_false_positive_rate_waits_for_the_labels(reader):
    day = timezone.now().astimezone(UTC).date()
    for at in (day, day - timedelta(days=60)):
        tally("event", at, 5, level=2, decision="REVIEW", outcome="legitimate")
        tally("event", at, 95, level=0, decision="APPROVE")
    panel = panels(reader.get(reverse("dashboards"), {"days": "90"}))["false_positives"]
    rows = {row[0]: row[1:] for row in panel.rows}
    assert rows[f"{day}"] == (0, 0, None, None, None, "no")
    assert rows[f"{day - timedelta(days=60)}"][:3] == (5, 100, 0.05)


def test_money_is_told_in_the_currency_of_most_events(reader, cards_detector, fraud_detector):
    day = timezone.now().astimezone(UTC).date()
    currency = fraud_detector.spec().currency
    tally("event", day, 9, level=0, decision="APPROVE", currency=currency, detector=fraud_detector)
    assert reader.get(reverse("dashboards")).context["currency"] == currency
    asked_for = {"currency": cards_detector.spec().currency}
    shown = reader.get(reverse("dashboards"), asked_for).context["currency"]
    assert shown == asked_for["currency"]


def test_events_are_read_a_week_at_a_time():
    today = date(2026, 3, 20)
    assert EventsAsked().span(today) == (date(2026, 3, 14), today)
    year = EventsAsked(day_from="2025-01-01", day_to="2026-01-01")
    assert year.span(today) == (date(2025, 12, 26), date(2026, 1, 1))
    assert EventsAsked(day_from="2025-01-01").span(today) == (date(2025, 1, 1), date(2025, 1, 7))


# --- The rows behind a point ---------------------------------------------------------------------


@pytest.fixture
def lived(analyst):
    """Two alerts, one of them closed as fraud, all of it counted."""
    label_alert(alert_of("a"), actor=analyst, **FRAUD)
    alert_of("b")
    tally_everything()
    return timezone.now().astimezone(UTC).date()


def first_address(panel, series):
    """Where the last point of a series leads, as charts.js makes it."""
    meta = panel.figure["layout"]["meta"]
    url = panel.figure["data"][series]["meta"]["url"]
    return url.replace("{first}", meta["first"][-1]).replace("{last}", meta["last"][-1])


@pytest.mark.parametrize("key", ["alerts", "backlog", "precision", "disposition_time"])
def test_a_point_leads_to_as_many_alerts_as_it_counts(reader, lived, key):
    panel = panels(reader.get(reverse("dashboards")))[key]
    wanted = {"alerts": 2, "backlog": 1, "precision": 1, "disposition_time": 1}[key]
    found = 0
    for number in range(len(panel.figure["data"]) if key in ("alerts", "backlog") else 1):
        page = reader.get(first_address(panel, number))
        found += page.context["page_obj"].paginator.count
    assert found == wanted


def test_a_point_of_age_leads_to_the_alerts_that_wait(reader, lived):
    panel = panels(reader.get(reverse("dashboards")))["waiting"]
    meta, level = panel.figure["layout"]["meta"], Alert.objects.get(status="open").level
    url = panel.figure["data"][level]["meta"]["url"].replace("{first}", meta["first"][0])
    assert reader.get(url).context["page_obj"].paginator.count == 1


@pytest.mark.parametrize(
    ("asked_for", "count"),
    [
        ({}, 2),
        ({"decision": "flagged"}, 2),
        ({"truth": "fraud"}, 1),
        ({"truth": "none"}, 1),
        ({"truth": "not_fraud"}, 1),
        ({"truth": "legitimate"}, 0),
        ({"decision": "APPROVE"}, 0),
        ({"detector": "nothing"}, 0),
        ({"day_to": "2019-01-01"}, 0),
    ],
)
def test_events_are_narrowed_as_asked(reader, lived, asked_for, count):
    page = reader.get(reverse("dashboard_events"), {"day_from": "2020-06-01", **asked_for})
    assert len(page.context["rows"]) == count


def test_nonsense_in_an_address_counts_as_not_asked(reader, lived):
    bad = {"opened_from": "soon", "level": "HUGE", "waited": "-1", "by": "x", "page": "\0"}
    assert reader.get(reverse("dashboard_alerts"), bad).context["page_obj"].paginator.count == 2
    bad = {"day_from": "2020-13-01", "truth": "maybe", "decision": "1=1", "page": "99999999"}
    assert reader.get(reverse("dashboard_events"), bad).status_code == 200
    assert AlertsAsked.read({"detector": "a\0b"}).detector == "ab"
    assert EventsAsked.read({"day_from": "2020-06-01"}).query() == "day_from=2020-06-01"


# --- Who may -------------------------------------------------------------------------------------

PAGES = ["dashboards", "dashboard_alerts", "dashboard_events"]


@pytest.mark.parametrize("name", PAGES)
def test_an_outsider_may_not(client, outsider, name):
    client.force_login(outsider)
    assert client.get(reverse(name)).status_code == 403


@pytest.mark.parametrize("name", [*PAGES, "dashboard_analysts"])
def test_nobody_may_without_a_login(client, name):
    assert client.get(reverse(name)).status_code == 302


def test_single_analysts_are_shown_to_leads_only(client, analyst, lead, lived):
    csv_of = reverse("dashboard_csv", args=["analysts"])
    by = f"{reverse('dashboard_alerts')}?by={analyst.pk}"
    for user, status in ((analyst, 403), (lead, 200)):
        client.force_login(user)
        for address in (reverse("dashboard_analysts"), csv_of, by):
            assert client.get(address).status_code == status
    assert client.get(by).context["page_obj"].paginator.count == 1
    client.force_login(analyst)
    assert reverse("dashboard_analysts") not in client.get(reverse("dashboards")).content.decode()


def test_leads_see_what_each_analyst_closed(boss, analyst, lived):
    (line,) = boss.get(reverse("dashboard_analysts")).context["lines"]
    assert (line.figures.user, line.figures.handled) == (analyst, 1)
    assert line.agreement.value is None


def test_the_page_asks_as_many_questions_whatever_there_is(reader, django_assert_max_num_queries):
    for days in range(40):
        day = timezone.now().astimezone(UTC).date() - timedelta(days=days)
        for level in range(4):
            tally("event", day, 5, level=level, decision="REVIEW")
            tally("opened", day, 5, level=level, outcome="fraud")
    WaitingTally.objects.create(
        detector=Detector.objects.get(slug="payments"), level=1, hours=0, count=1
    )
    with django_assert_max_num_queries(14):
        assert reader.get(reverse("dashboards"), {"days": "90"}).status_code == 200
