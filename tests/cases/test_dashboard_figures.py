"""Figures of the dashboards that must say what other pages say, and nothing that nobody counted."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from cases.casework import close_case, move_case
from cases.dashboard_asking import ask
from cases.dashboard_filters import DashboardFilters
from cases.dashboard_models import DailyTally, TallyRun
from cases.dashboard_panels import backlog
from cases.dashboard_summaries import summary
from cases.dashboards import analyst_figures, scope_of
from cases.second_look_selectors import agreement
from cases.second_looks import answer_second_look, take_second_look
from cases.tallying import NEVER, tally_everything
from scoring.models import Detector
from tests.cases.alerts import alert_of, case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
TODAY = date(2026, 3, 20)
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
FALSE = {"disposition": "false_positive", "reason_code": "travel"}


def pairs(analyst):
    """(second looks of an analyst, those that the page of agreement knows)."""
    tally_everything()
    now = timezone.now()
    filters = DashboardFilters.read({}, now.astimezone(UTC).date())
    (found,) = (one for one in analyst_figures(filters, scope_of("")) if one.user == analyst)
    told = agreement(now - timedelta(days=1), now, scope_of("").ids)
    return found.looked_at, told.kappa.pairs


@pytest.mark.usefixtures("draw_everything")
def test_second_looks_at_what_was_decided_anew_count_nowhere(analyst, second, lead):
    case = close_case(case_of(analyst, "a"), actor=analyst, **FRAUD)
    answer_second_look(take_second_look(second), actor=second, notes="", **FRAUD)
    assert pairs(analyst) == (1, 1)
    case = move_case(case, move="reopen", actor=lead)
    close_case(move_case(case, move="investigate", actor=analyst), actor=analyst, **FALSE)
    assert pairs(analyst) == (0, 0)


# --- Backlog -------------------------------------------------------------------------------------


def tally(day, count):
    detector = Detector.objects.get(slug="payments")
    DailyTally.objects.create(kind="backlog", day=day, detector=detector, count=count, level=2)


def asked(first, last):
    return ask(DashboardFilters.read({"from": f"{first}", "to": f"{last}"}, TODAY), NOON)


@pytest.fixture
def counted():
    """Yesterday two waited, today three, up to noon."""
    TallyRun.objects.create(pk=1, as_of=NOON)
    tally(TODAY - timedelta(days=1), 2)
    tally(TODAY, 3)


@pytest.mark.parametrize("days", [0, 1, 30, 200])
def test_the_backlog_is_that_of_the_last_day_that_is_counted(counted, days):
    found = summary(asked("2026-03-01", TODAY + timedelta(days=days)))
    assert (found.backlog, found.backlog_on) == (3, TODAY)


def test_just_after_midnight_the_backlog_is_that_of_yesterday(counted):
    TallyRun.objects.update(as_of=NOON - timedelta(days=1))
    DailyTally.objects.filter(day=TODAY).delete()
    found = summary(asked("2026-03-01", TODAY))
    assert (found.backlog, found.backlog_on) == (2, TODAY - timedelta(days=1))


def test_a_counted_day_on_which_nothing_waited_has_no_backlog(counted):
    DailyTally.objects.filter(day=TODAY).delete()
    assert summary(asked("2026-03-01", TODAY)).backlog == 0


@pytest.mark.parametrize("mark", [NOON, NEVER])
def test_of_days_that_are_not_counted_no_backlog_is_told(counted, client, analyst, mark):
    TallyRun.objects.update(as_of=mark)
    client.force_login(analyst)
    page = client.get(reverse("dashboards"), {"from": "2026-03-21", "to": "2026-03-25"})
    assert page.context["whole"].backlog is None
    assert "None" not in page.content.decode()


def test_the_chart_has_a_gap_where_no_day_is_counted(counted):
    panel = backlog(asked("2026-03-19", "2026-03-21"))
    assert [row[3] for row in panel.rows] == [2, 3, None]
    weeks = backlog(asked("2025-11-01", "2026-04-20"))
    assert [row[3] for row in weeks.rows][-7:-4] == [0, 3, None]


def test_the_page_says_on_which_day_it_is_counted_where_that_is_not_the_last(
    counted, client, analyst
):
    alert_of("a")
    client.force_login(analyst)
    page = client.get(reverse("dashboards"), {"from": "2026-03-01", "to": "2026-03-25"})
    assert "on 2026-03-20" in page.content.decode()
    page = client.get(reverse("dashboards"), {"from": "2026-03-01", "to": "2026-03-20"})
    assert "on 2026-03-20" not in page.content.decode()
