"""Addresses of dashboards: what cannot be shown is told, and links say what they lead to."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from cases import dashboard_views
from cases.dashboard_filters import DashboardFilters
from cases.dashboard_models import TallyRun
from cases.dashboard_rows import AlertsAsked, EventsAsked
from scoring.labelling import record_label
from scoring.models import Prediction
from tests.cases.test_dashboards import TODAY, first_address, panels, tally
from tests.factories import payment, scored_many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
BAD_DAYS = [
    {"from": "2026-02-30", "to": "2026-03-01"},
    {"from": "2025-03-31", "to": "2025-03-01"},
    {"from": "2020-01-01", "to": "2026-01-01"},
    {"days": "abc", "from": "2020-01-01", "to": "2020-01-05"},
    {"days": "8"},
]


@pytest.fixture
def boss(client, lead):
    client.force_login(lead)
    return client


def text_of(response):
    return " ".join(response.content.decode().split())


# --- What cannot be shown ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dashboards", "dashboard_analysts", "second_look_agreement"])
def test_an_unknown_detector_is_told_and_goes_on_into_no_link(boss, cards_detector, name):
    page = boss.get(reverse(name), {"detector": "gone"})
    assert page.status_code == 422
    assert "There is no detector gone. All detectors are shown instead." in text_of(page)
    assert "detector=gone" not in text_of(page)
    assert boss.get(reverse(name), {"detector": "cards"}).status_code == 200


@pytest.mark.parametrize("asked", BAD_DAYS)
def test_bad_days_are_told_on_the_page_and_refused_as_csv(boss, asked):
    page = boss.get(reverse("dashboards"), asked)
    assert page.status_code == 422
    assert "The last 30 days are shown instead." in text_of(page)
    for key in ("detectors", "volume", "analysts"):
        answer = boss.get(reverse("dashboard_csv", args=[key]), asked)
        assert (answer.status_code, answer["Content-Type"]) == (422, "text/plain; charset=utf-8")
        assert "Content-Disposition" not in answer


def test_the_csv_of_an_unknown_detector_is_refused_with_everything_that_is_wrong(boss):
    asked = {"detector": "gone", "days": "abc"}
    answer = boss.get(reverse("dashboard_csv", args=["volume"]), asked)
    assert answer.status_code == 422
    assert answer.content.decode().splitlines() == [
        "The last days are 7, 30 or 90.",
        "There is no detector gone.",
    ]


def test_unknown_days_leave_what_was_typed_in_the_fields():
    both = {"days": "abc", "from": "2020-01-01", "to": "2020-01-05"}
    found = DashboardFilters.read(both, TODAY)
    assert (found.start_text, found.end_text, found.days) == ("2020-01-01", "2020-01-05", 30)
    found = DashboardFilters.read({"days": "abc"}, TODAY)
    assert (found.start_text, found.end_text) == (f"{TODAY - timedelta(days=29)}", f"{TODAY}")


# --- Where links lead ----------------------------------------------------------------------------


def test_what_was_saved_leads_to_events_in_its_currency(boss, payments_detector):
    currency = payments_detector.spec().currency
    rows = scored_many("payments", [payment(amount=20_000.0, user_id=f"u{i}") for i in range(2)])
    now = timezone.now()
    Prediction.objects.filter(pk__in=[row.pk for row in rows]).update(event_time=now)
    Prediction.objects.filter(pk=rows[1].pk).update(currency="XTS")
    record_label(rows[0], is_fraud=True, source="analyst")
    tally("event", now.astimezone(UTC).date(), 1, level=3, decision="REVIEW", outcome="fraud",
          amount=Decimal(20_000), currency=currency)  # fmt: skip
    found = panels(boss.get(reverse("dashboards"), {"currency": currency}))["saved"]
    page = boss.get(first_address(found, 0))
    assert [row["event"].pk for row in page.context["rows"]] == [rows[0].pk]
    assert f"in {currency}" in page.context["title"]


def test_titles_say_currency_and_analyst(analyst):
    asked = EventsAsked(day_from="2026-01-05", day_to="2026-01-05", currency="EUR")
    assert asked.words() == "Events on 2026-01-05 in EUR"
    days = {"closed_from": "2026-01-05", "closed_to": "2026-01-05"}
    name = analyst.name
    assert (
        AlertsAsked(**days, by=f"{analyst.pk}").words() == f"Alerts closed on 2026-01-05 by {name}"
    )
    assert AlertsAsked(by=f"{analyst.pk}").words() == f"Alerts closed by {name}"
    assert AlertsAsked(by="99999").words() == "Alerts closed by somebody unknown"


def test_the_last_page_of_events_says_that_there_are_more(boss, monkeypatch):
    monkeypatch.setattr(dashboard_views, "PAGE_SIZE", 2)
    monkeypatch.setattr(dashboard_views, "FURTHEST", 2)
    rows = scored_many("payments", [payment() for _ in range(5)])
    asked = {"day_from": f"{rows[0].event_time:%Y-%m-%d}"}
    said = "The newest 4 events; there are more."
    assert said not in text_of(boss.get(reverse("dashboard_events"), asked | {"page": "1"}))
    for page in ("2", "9"):
        shown = text_of(boss.get(reverse("dashboard_events"), asked | {"page": page}))
        assert said in shown and 'rel="next"' not in shown
    Prediction.objects.filter(pk=rows[0].pk).delete()
    assert said not in text_of(boss.get(reverse("dashboard_events"), asked | {"page": "2"}))


# --- As of when ----------------------------------------------------------------------------------


def test_the_day_of_the_last_count_is_told_once_it_is_over(boss):
    now = timezone.now().astimezone(UTC)
    run = TallyRun.objects.create(pk=1, as_of=now)
    assert f"as of {now:%H:%M} UTC" in text_of(boss.get(reverse("dashboards")))
    TallyRun.objects.filter(pk=run.pk).update(as_of=datetime(2026, 3, 20, 7, 45, tzinfo=UTC))
    for name in ("dashboards", "dashboard_analysts"):
        assert "as of 2026-03-20 07:45 UTC" in text_of(boss.get(reverse(name)))
