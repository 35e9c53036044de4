"""Working time: what is added is what lies between, whatever the clocks and calendars do."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases.working_hours import (
    ALWAYS,
    DAY,
    HoursError,
    Span,
    WorkingHours,
    add_working_time,
    hours_of,
)

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia")
OFFICE = tuple((Span(540, 1020),) if day < 5 else () for day in range(7))
BERLIN = WorkingHours(OFFICE, "Europe/Berlin", frozenset({date(2026, 12, 25)}))


@st.composite
def days(draw):
    edges = sorted(draw(st.sets(st.integers(0, DAY), max_size=6)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return tuple(Span(a, b) for a, b in pairs)


weeks = st.tuples(*[days()] * 7).filter(any)
holidays = st.frozensets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=20)
calendars = st.builds(WorkingHours, weeks, st.sampled_from(ZONES), holidays)
instants = st.datetimes(
    datetime(2026, 1, 1),
    datetime(2026, 12, 31),
    timezones=st.just(UTC),
)
amounts = st.timedeltas(timedelta(), timedelta(hours=60))


def working_time_between(start: datetime, end: datetime, hours: WorkingHours) -> timedelta:
    """How much working time lies between two instants (aware); nothing when they are reversed."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    total = timedelta()
    for begin, stop in hours.from_instant(start):
        if begin >= end:
            break
        total += min(stop, end) - begin
    return total


@given(instants, amounts, calendars)
@settings(max_examples=150, deadline=None)
def test_what_is_added_is_what_lies_between(start, amount, hours):
    assert working_time_between(start, add_working_time(start, amount, hours), hours) == amount


@given(instants, amounts, amounts, calendars)
@settings(max_examples=100, deadline=None)
def test_adding_in_two_steps_is_adding_at_once(start, one, two, hours):
    step = add_working_time(start, one, hours)
    assert add_working_time(step, two, hours) == add_working_time(start, one + two, hours)


@given(instants, instants, amounts, calendars)
@settings(max_examples=100, deadline=None)
def test_who_starts_later_is_never_done_earlier(a, b, amount, hours):
    first, second = sorted((a, b))
    assert add_working_time(first, amount, hours) <= add_working_time(second, amount, hours)


@given(instants, amounts.filter(bool), calendars)
@settings(max_examples=100, deadline=None)
def test_the_end_lies_within_working_time(start, amount, hours):
    end = add_working_time(start, amount, hours)
    local = end.astimezone(ZoneInfo(hours.zone)).date()
    around = [day for n in (-1, 0, 1) for day in hours.spans_of(local + timedelta(days=n))]
    assert any(begin < end <= stop for begin, stop in around)


@given(instants, amounts)
def test_around_the_clock_is_the_clock(start, amount):
    assert add_working_time(start, amount, ALWAYS) == start + amount


def berlin(*when):
    return datetime(*when, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        (berlin(2026, 11, 26, 10), 2, berlin(2026, 11, 26, 12)),
        (berlin(2026, 11, 26, 16), 2, berlin(2026, 11, 27, 10)),  # over night
        (berlin(2026, 11, 27, 16), 2, berlin(2026, 11, 30, 10)),  # over the weekend
        (berlin(2026, 11, 28, 12), 1, berlin(2026, 11, 30, 10)),  # from a Saturday
        (berlin(2026, 12, 24, 16), 2, berlin(2026, 12, 28, 10)),  # a holiday and a weekend
        (berlin(2026, 11, 26, 9), 8, berlin(2026, 11, 26, 17)),  # to the very end of the day
        (berlin(2026, 3, 27, 16), 2, berlin(2026, 3, 30, 10)),  # the clocks went forward
    ],
)
def test_a_due_time_keeps_office_hours(start, hours, end):
    assert add_working_time(start, timedelta(hours=hours), BERLIN) == end


def test_a_whole_day_has_23_or_25_hours_when_the_clocks_change():
    whole = WorkingHours(ALWAYS.week, "Europe/Berlin")
    for day, length in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25)):
        ((start, end),) = whole.spans_of(day)
        assert end - start == timedelta(hours=length)


def test_hours_that_the_clocks_leave_out_are_no_time():
    night = WorkingHours(tuple((Span(120, 180),) for _ in range(7)), "Europe/Berlin")
    assert list(night.spans_of(date(2026, 3, 29))) == []


@pytest.mark.parametrize(
    "week",
    [
        [],
        [[]] * 7,
        [[[600, 540]]] + [[]] * 6,
        [[[0, 60], [30, 90]]] + [[]] * 6,
        [[[0, 1441]]] + [[]] * 6,
        [["9-17"]] + [[]] * 6,
    ],
)
def test_hours_that_are_none_are_refused(week):
    with pytest.raises(HoursError):
        hours_of(week, zone="UTC", holidays=[])


def test_an_unreadable_holiday_and_a_negative_amount_are_refused():
    with pytest.raises(HoursError):
        hours_of([[[0, 60]]] * 7, zone="UTC", holidays=["25.12."])
    with pytest.raises(HoursError):
        add_working_time(berlin(2026, 1, 1), timedelta(hours=-1), BERLIN)


def test_a_year_of_holidays_ends_in_an_error_and_not_in_a_loop():
    monday = WorkingHours(
        ((Span(0, 1),), *[()] * 6),
        holidays=frozenset(date(2026, 1, 5) + timedelta(weeks=n) for n in range(600)),
    )
    with pytest.raises(HoursError, match="never"):
        add_working_time(datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1), monday)
