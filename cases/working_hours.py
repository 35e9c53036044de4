"""Time as a team works it: due dates that nights, weekends and holidays do not eat. No Django.

A week has spans of local time for each day; everything that comes in and goes out is an aware
datetime. Spans are turned into instants day by day, so that a day on which the clocks change is as
long as it is: from midnight to midnight it has 23 or 25 hours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from zoneinfo import ZoneInfo

DAY = 24 * 60
MOST = timedelta(days=366)
"""The most working time that can be added."""
LONGEST_BREAK = 3660
"""Days without any working time after which nobody is taken to come back."""


class HoursError(ValueError):
    """Working hours that are none; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Span:
    """Working time of a day, in minutes since its local midnight; `end` may be 1440."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= DAY:
            raise HoursError("Working time starts before it ends, within one day.")


@dataclass(frozen=True)
class WorkingHours:
    """Seven tuples of spans (Monday first), an IANA zone and the days on which nobody works."""

    week: tuple[tuple[Span, ...], ...]
    zone: str = "UTC"
    holidays: frozenset[date] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if len(self.week) != 7:
            raise HoursError("A week has seven days.")
        if not any(self.week):
            raise HoursError("Somebody has to work on some day.")
        for spans in self.week:
            if any(a.end > b.start for a, b in pairwise(spans)):
                raise HoursError("The spans of a day follow each other and do not overlap.")

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def spans_of(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The working time of a local day as instants (UTC), in order."""
        if day in self.holidays:
            return
        for span in self.week[day.weekday()]:
            start, end = self._instant(day, span.start), self._instant(day, span.end)
            # An hour that a change of clocks leaves out is no time.
            if start < end:
                yield start, end

    def _instant(self, day: date, minutes: int) -> datetime:
        if minutes == DAY:
            day, minutes = day + timedelta(days=1), 0
        local = datetime.combine(day, time(minutes // 60, minutes % 60), self._zone)
        return local.astimezone(UTC)

    def from_instant(self, instant: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Spans of working time that end after `instant`, for as long as anybody comes back."""
        # A day earlier: its last span may reach over midnight where the zone's day is longer.
        day = instant.astimezone(self._zone).date() - timedelta(days=1)
        idle = 0
        while idle < LONGEST_BREAK:
            idle += 1
            for start, end in self.spans_of(day):
                if end > instant:
                    idle = 0
                    yield max(start, instant), end
            day += timedelta(days=1)


ALWAYS = WorkingHours(week=tuple((Span(0, DAY),) for _ in range(7)))
"""Around the clock."""


def add_working_time(start: datetime, amount: timedelta, hours: WorkingHours) -> datetime:
    """The instant at which `amount` of working time has passed since `start` (aware), in UTC.

    Raises HoursError for an amount that is negative or more than a year, and for holidays that
    never end.
    """
    if not timedelta() <= amount <= MOST:
        raise HoursError("Working time to add is between nothing and a year.")
    start = start.astimezone(UTC)
    if not amount:
        return start
    left = amount
    for begin, end in hours.from_instant(start):
        if left <= end - begin:
            return begin + left
        left -= end - begin
    raise HoursError("These working hours never come.")


def hours_of(
    week: Sequence[Sequence[Sequence[int]]], *, zone: str, holidays: Sequence[str]
) -> WorkingHours:
    """Working hours as they are kept: minutes by day, and ISO dates. Raises HoursError."""
    try:
        return WorkingHours(
            week=tuple(tuple(Span(int(a), int(b)) for a, b in day) for day in week),
            zone=zone,
            holidays=frozenset(date.fromisoformat(day) for day in holidays),
        )
    except (TypeError, ValueError) as error:
        raise HoursError(str(error)) from error
