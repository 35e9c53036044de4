"""When a report is due by somebody's clock. No Django.

A report is due once a day, a week or a month at a full hour. Where clocks are set forward over that
hour it is due as much later; where the hour comes twice, at its first time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

DAILY, WEEKLY, MONTHLY = "daily", "weekly", "monthly"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Due:
    """A time at which a report is due: the local day that it is named by, and the moment in UTC."""

    day: date
    at: datetime


@dataclass(frozen=True, slots=True)
class Timetable:
    """`often` is DAILY, WEEKLY (on `weekday`, Monday is 0) or MONTHLY (on the first)."""

    often: str
    weekday: int
    hour: int
    zone: str

    def latest(self, now: datetime) -> Due:
        """The newest time that is not after `now` (aware)."""
        return next(due for due in self._from(now, -1) if due.at <= now)

    def following(self, now: datetime) -> Due:
        """The first time after `now` (aware)."""
        return next(due for due in self._from(now, 1) if due.at > now)

    def _from(self, now: datetime, step: int) -> Iterator[Due]:
        zone = ZoneInfo(self.zone)
        # A day too many at the start: an hour that was skipped may fall on the next day.
        start = now.astimezone(zone).date() - timedelta(days=step)
        for days in count():
            day = start + timedelta(days=step * days)
            if self._fits(day):
                at = datetime.combine(day, time(self.hour), zone).astimezone(UTC)
                yield Due(day, at)

    def _fits(self, day: date) -> bool:
        if self.often == WEEKLY:
            return day.weekday() == self.weekday
        return self.often == DAILY or day.day == 1

    def words(self) -> str:
        """`Every Monday at 08:00`."""
        when = {DAILY: "Every day", WEEKLY: f"Every {WEEKDAYS[self.weekday]}"}
        return f"{when.get(self.often, 'On the 1st of each month')} at {self.hour:02d}:00"
