"""When a report is due by somebody's clock, on the days when clocks are set too."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.report_mail import Period, period_until
from cases.report_timetable import DAILY, MONTHLY, WEEKLY, Timetable

ZONES = ("UTC", "Europe/Zurich", "America/New_York", "Asia/Kathmandu", "Africa/Cairo",
         "America/Nuuk", "Pacific/Kiritimati", "Australia/Lord_Howe")  # fmt: skip


def at(*when):
    return datetime(*when, tzinfo=UTC)


def test_every_day_at_an_hour_of_the_persons_own_clock():
    timetable = Timetable(DAILY, 0, 8, "Europe/Zurich")
    due = timetable.latest(at(2026, 1, 15, 6, 59))
    assert (due.day, due.at) == (date(2026, 1, 14), at(2026, 1, 14, 7))
    assert timetable.latest(at(2026, 1, 15, 7)).at == at(2026, 1, 15, 7)
    assert timetable.following(at(2026, 1, 15, 7)).at == at(2026, 1, 16, 7)


def test_weekly_on_its_weekday_and_monthly_on_the_first():
    now = at(2026, 3, 18, 12)  # A Wednesday.
    assert Timetable(WEEKLY, 0, 8, "UTC").latest(now).at == at(2026, 3, 16, 8)
    assert Timetable(WEEKLY, 2, 13, "UTC").latest(now).at == at(2026, 3, 11, 13)
    assert Timetable(MONTHLY, 0, 8, "UTC").latest(now).at == at(2026, 3, 1, 8)
    assert Timetable(MONTHLY, 0, 8, "UTC").following(now).at == at(2026, 4, 1, 8)


@pytest.mark.parametrize(
    ("zone", "hour", "day", "moment"),
    [
        # 02:00 does not exist: an hour later by the clock, as if it had not been set yet.
        ("Europe/Zurich", 2, date(2026, 3, 29), at(2026, 3, 29, 1)),
        # 02:00 comes twice: the first.
        ("Europe/Zurich", 2, date(2026, 10, 25), at(2026, 10, 25, 0)),
        ("Europe/Zurich", 8, date(2026, 3, 29), at(2026, 3, 29, 6)),
        ("America/New_York", 2, date(2026, 3, 8), at(2026, 3, 8, 7)),
        # The hour that is skipped is midnight.
        ("Africa/Cairo", 0, date(2026, 4, 24), at(2026, 4, 23, 22)),
    ],
)
def test_where_clocks_are_set_it_is_due_once(zone, hour, day, moment):
    due = Timetable(DAILY, 0, hour, zone).latest(moment)
    assert (due.day, due.at) == (day, moment)
    assert Timetable(DAILY, 0, hour, zone).following(moment).day == day + timedelta(days=1)


@given(
    st.sampled_from(ZONES), st.sampled_from((DAILY, WEEKLY, MONTHLY)), st.integers(0, 6),
    st.integers(0, 23), st.integers(0, 3 * 365 * 24 * 60),
)  # fmt: skip
def test_between_two_dues_lies_no_other(zone, often, weekday, hour, minutes):
    now = at(2025, 1, 1) + timedelta(minutes=minutes)
    timetable = Timetable(often, weekday, hour, zone)
    last, following = timetable.latest(now), timetable.following(now)
    assert last.at <= now < following.at
    assert timetable.latest(following.at - timedelta(microseconds=1)) == last
    assert timetable.latest(following.at) == following
    gap = following.day - last.day
    assert {DAILY: gap.days == 1, WEEKLY: gap.days == 7, MONTHLY: 28 <= gap.days <= 31}[often]


def test_a_period_ends_the_day_before_and_is_compared_with_as_many_days():
    found = period_until(at(2026, 3, 1, 7), 7)
    assert (found.first, found.last) == (date(2026, 2, 22), date(2026, 2, 28))
    assert (found.before.first, found.before.last) == (date(2026, 2, 15), date(2026, 2, 21))
    # Days are UTC days: just before midnight the day is not over.
    assert period_until(at(2026, 3, 1, 23, 59), 7).last == date(2026, 2, 28)
    assert period_until(at(2026, 3, 2), 7).last == date(2026, 3, 1)


def test_a_period_reads_well():
    assert Period(date(2026, 3, 1), date(2026, 3, 31)).words == "1 to 31 March 2026"
    assert Period(date(2026, 2, 22), date(2026, 3, 1)).words == "22 February to 1 March 2026"
    across = Period(date(2025, 12, 29), date(2026, 1, 4))
    assert across.words == "29 December 2025 to 4 January 2026"
