"""What the e-mail with a report of the dashboards says: numbers of some days and of as many before
them, in text and HTML, and the same as CSV."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

from cases.dashboard_asking import Asked, Panel, ask
from cases.dashboard_filters import DashboardFilters
from cases.dashboard_summaries import Summary, detectors_panel
from cases.report_figures import (
    NOTHING,
    figures_panel,
    headlines,
    in_words,
    money,
)
from cases.report_models import ReportSubscription
from notifications.services import File, Written


@dataclass(frozen=True, slots=True)
class Period:
    """Days `first` to `last` (UTC), both included."""

    first: date
    last: date

    @property
    def words(self) -> str:
        """`1 to 31 March 2026`."""
        last = f"{self.last.day} {self.last:%B %Y}"
        if (self.first.year, self.first.month) == (self.last.year, self.last.month):
            return f"{self.first.day} to {last}"
        year = f" {self.first.year}" if self.first.year != self.last.year else ""
        return f"{self.first.day} {self.first:%B}{year} to {last}"

    @property
    def before(self) -> "Period":
        """As many days, just before."""
        length = self.last - self.first + timedelta(days=1)
        return Period(self.first - length, self.first - timedelta(days=1))


def period_until(at: datetime, days: int) -> Period:
    """The last `days` days that are over at `at`; today, which is not, would look like a fall."""
    last = at.astimezone(UTC).date() - timedelta(days=1)
    return Period(last - timedelta(days=days - 1), last)


@dataclass(frozen=True, slots=True)
class Line:
    """A detector in words; `cells` are (head, number)."""

    name: str
    cells: tuple[tuple[str, str], ...]


LINE_HEADS = ("Events", "Alerts", "Precision", "Detected", "Lost", "Saved", "Not closed")


def write_report(subscription: ReportSubscription, period: Period, now: datetime) -> Written:
    """The e-mail. Seventeen queries, whatever is stored."""
    asked = _asked(subscription, period, subscription.currency, now)
    before = _asked(subscription, period.before, asked.currency, now)
    figures = headlines(asked, before)
    table, lines = detectors_panel(asked)
    name = subscription.detector.name if subscription.detector else "All detectors"
    site = settings.SITE_URL.rstrip("/")
    context: dict[str, Any] = {
        "name": name,
        "period": period,
        "figures": figures,
        "heads": LINE_HEADS,
        "lines": [_line(one) for one in lines],
        "currency": asked.currency if len(asked.scope.currencies()) > 1 else "",
        "events": bool(asked.sums.volume),
        "as_of": asked.sums.counted,
        "url": site + dashboard_url(asked),
        "manage_url": site + reverse("dashboard_report_list"),
        "owner": subscription.owner,
        "timetable": subscription.timetable,
    }
    subject = f"{name}, {period.words}"
    return Written(
        subject=f"Report: {subject}",
        summary="; ".join(f"{one.label}: {one.words}" for one in figures[:2]) + ".",
        url=dashboard_url(asked),
        text=render_to_string("cases/report_mail.txt", context),
        html=render_to_string("cases/report_mail.html", context),
        files=[_csv(figures_panel(figures), period), _csv(table, period)],
    )


def dashboard_url(asked: Asked) -> str:
    """The page that shows exactly these days."""
    return f"{reverse('dashboards')}?{asked.filters.query(currency=asked.currency)}"


def _asked(subscription: ReportSubscription, period: Period, currency: str, now: datetime) -> Asked:
    slug = subscription.detector.slug if subscription.detector else ""
    return ask(DashboardFilters(period.first, period.last, 0, slug, currency), now)


def _line(one: Summary) -> Line:
    moneys = (one.detected, one.lost, one.saved)
    numbers = (
        f"{one.events:,}",
        f"{one.alerts:,}",
        in_words(one.precision.value, "share"),
        *(money(float(n), one.currency) if one.currency else NOTHING for n in moneys),
        in_words(one.backlog, "count"),
    )
    return Line(str(one.detector), tuple(zip(LINE_HEADS, numbers, strict=True)))


def _csv(panel: Panel, period: Period) -> File:
    name = f"{panel.key}-{period.first}-to-{period.last}.csv"
    return File(name, "text/csv", "".join(panel.csv_lines()))
