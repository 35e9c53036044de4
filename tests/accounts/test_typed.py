"""What is typed never reaches a database that cannot hold it."""

from datetime import UTC, date, datetime

import pytest

from accounts.typed import is_whole, parse_day, parse_moment


@pytest.mark.parametrize(
    ("text", "whole"),
    [("0", True), ("9" * 18, True), ("9" * 19, False), ("9" * 5000, False), ("-1", False),
     ("", False), ("1.0", False), ("٣", False), ("²", False), ("1\0", False)],
)  # fmt: skip
def test_a_whole_number_fits_into_a_key(text, whole):
    assert is_whole(text) == whole


@pytest.mark.parametrize("text", ["", "0001-01-01", "9999-12-31", "2026-13-45", "2026-02-30", "x"])
def test_a_day_that_nothing_can_be_taken_from_is_none(text):
    assert parse_day(text) is None


def test_a_day_is_read():
    assert parse_day("2026-01-31") == date(2026, 1, 31)


@pytest.mark.parametrize(
    "text",
    ["", "2026-13-45T00:00:00Z", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00",
     "2026-01-31T00:00:00", "nonsense"],
)  # fmt: skip
def test_a_moment_that_is_none_or_has_no_zone_is_none(text):
    assert parse_moment(text) is None


def test_a_moment_is_read_in_utc():
    read = parse_moment("2026-01-31T01:30:00+01:30")
    assert read == datetime(2026, 1, 31, tzinfo=UTC)
