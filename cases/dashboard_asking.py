"""What a chart of a dashboard is made from and made of; its numbers as a CSV."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from accounts.csv_tables import Cell, safe
from cases.dashboard_figures import Figure, Points
from cases.dashboard_filters import DashboardFilters
from cases.dashboard_rows import AlertsAsked, EventsAsked
from cases.dashboards import (
    Scope,
    Sums,
    counted_until,
    read_sums,
    scope_of,
    usual_currency,
)

FIRST, LAST = "{first}", "{last}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. `figure` is None where there is nothing to draw, and `empty` says what to do.
    `more` is how it is reckoned."""

    key: str
    title: str
    note: str
    label: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    figure: Figure | None
    empty: str = "Nothing happened on these days. Choose other days, or another detector."
    more: str = ""

    def csv_lines(self) -> Iterator[str]:
        """What is shown, unrounded, with a head."""
        yield csv_line(self.columns)
        for row in self.rows:
            yield csv_line(row)


def csv_line(values: Sequence[Cell]) -> str:
    """One line; a text that a spreadsheet would run as a formula is made harmless."""
    buffer = StringIO()
    csv.writer(buffer).writerow(["" if value is None else safe(value) for value in values])
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Asked:
    """What every chart is made from."""

    filters: DashboardFilters
    scope: Scope
    sums: Sums
    currency: str
    now: datetime

    @property
    def counted_today(self) -> bool:
        """Whether the last count was made on this day (UTC)."""
        counted = self.sums.counted
        return counted is not None and counted.astimezone(UTC).date() == (
            self.now.astimezone(UTC).date()
        )

    @property
    def points(self) -> Points:
        """The axis of time."""
        firsts = [f"{one.first}" for one in self.sums.bins]
        return Points(firsts, firsts, [f"{one.last}" for one in self.sums.bins])

    def events_url(self, **more: str) -> str:
        """The events behind a point, whose days are still to be filled in."""
        return EventsAsked(
            day_from=FIRST, day_to=LAST, detector=self.filters.detector, **more
        ).url()

    def opened_url(self, **more: str) -> str:
        """The alerts that were opened on its days."""
        return AlertsAsked(
            opened_from=FIRST, opened_to=LAST, detector=self.filters.detector, **more
        ).url()


def ask(filters: DashboardFilters, now: datetime, *, sums: bool = True) -> Asked:
    """Detectors and (unless not wanted) the sums of these days. Eight queries.

    All detectors where the one that was asked for does not exist; the filters then say so.
    """
    scope = scope_of(filters.detector)
    if filters.detector and filters.detector not in {one.slug for one in scope.every}:
        filters = replace(filters, detector="", unknown=filters.detector)
    found = read_sums(filters, scope) if sums else Sums(filters.bins(), counted_until())
    known = filters.currency in scope.currencies()
    currency = filters.currency if known else usual_currency(found, scope)
    return Asked(filters, scope, found, currency, now)
