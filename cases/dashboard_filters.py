"""What a dashboard is asked for, read from the query string and written back to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from urllib.parse import urlencode

SPANS: Final = (7, 30, 90)
USUAL: Final = 30
LONGEST: Final = 366
DAILY_UP_TO: Final = 92
"""Longer spans are shown by weeks, so that a chart has at most as many points."""
FIRST: Final = date(1970, 1, 1)
BAD_DAY = "Give both days as year-month-day, such as 2026-01-31."
BAD_SPAN = f"The last days are {SPANS[0]}, {SPANS[1]} or {SPANS[2]}."
BACKWARDS = "The first day lies after the last one."
TOO_LONG = f"A dashboard shows at most {LONGEST} days."


@dataclass(frozen=True, slots=True)
class Bin:
    """One point of a chart: the days from `first` to `last`."""

    first: date
    last: date

    @property
    def words(self) -> str:
        """`2026-01-31`, or both ends of a week."""
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class DashboardFilters:
    """Days `first` to `last`, both included, of one detector or of all.

    `days` is one of `SPANS`, 0 where the days were chosen. What cannot be read leaves the usual
    days in force; `problem` says why and `typed` keeps what was given. `unknown` is a detector that
    was asked for and does not exist: all are shown.
    """

    first: date
    last: date
    days: int = USUAL
    detector: str = ""
    currency: str = ""
    problem: str = ""
    typed: tuple[str, str] = ("", "")
    unknown: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str], today: date) -> "DashboardFilters":
        """From a query string; `today` in UTC."""
        detector = query.get("detector", "").replace("\0", "")[:40]
        currency = query.get("currency", "").replace("\0", "")[:3].upper()
        typed = (query.get("from", "").strip()[:20], query.get("to", "").strip()[:20])
        days = query.get("days", "")
        known = days in {str(one) for one in SPANS}
        span = int(days) if known else USUAL
        problem = BAD_SPAN if days and not known else ""
        if any(typed) and not days:
            first, last, problem = _chosen(*typed)
            if not problem:
                return cls(first, last, 0, detector, currency, "", typed)
        first = today - timedelta(days=span - 1)
        return cls(first, today, span, detector, currency, problem, typed if problem else ("", ""))

    @property
    def start_text(self) -> str:
        """What the field for the first day shows."""
        return self.typed[0] if any(self.typed) else f"{self.first}"

    @property
    def end_text(self) -> str:
        """What the field for the last day shows."""
        return self.typed[1] if any(self.typed) else f"{self.last}"

    @property
    def problems(self) -> list[str]:
        """Everything that cannot be shown, a sentence each; empty where all can."""
        found = [self.problem] if self.problem else []
        return [*found, f"There is no detector {self.unknown}."] if self.unknown else found

    def query(self, **changes: str) -> str:
        """As a query string without a question mark; the same for the same question."""
        when = (
            {"days": str(self.days)}
            if self.days
            else {"from": str(self.first), "to": str(self.last)}
        )
        asked = when | {"detector": self.detector, "currency": self.currency} | changes
        if "days" in changes:
            asked |= {"from": "", "to": ""}
        return urlencode({name: value for name, value in asked.items() if value})

    @property
    def weekly(self) -> bool:
        """Whether a point is a week."""
        return (self.last - self.first).days >= DAILY_UP_TO

    def bins(self) -> list[Bin]:
        """The points of a chart, oldest first; weeks begin on Monday."""
        step = 7 if self.weekly else 1
        start = self.first - timedelta(days=self.first.weekday()) if self.weekly else self.first
        found = []
        while start <= self.last:
            end = start + timedelta(days=step - 1)
            found.append(Bin(max(start, self.first), min(end, self.last)))
            start += timedelta(days=step)
        return found


def _chosen(start: str, end: str) -> tuple[date, date, str]:
    """(first, last, what is wrong)."""
    try:
        first, last = date.fromisoformat(start), date.fromisoformat(end)
    except ValueError:
        return FIRST, FIRST, BAD_DAY
    if first < FIRST or last.year > 9000:
        return FIRST, FIRST, BAD_DAY
    if first > last:
        return FIRST, FIRST, BACKWARDS
    return first, last, TOO_LONG if (last - first).days >= LONGEST else ""
