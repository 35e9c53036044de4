"""What is typed after a command is taken, or refused in a sentence."""

from argparse import ArgumentTypeError
from datetime import UTC, date, datetime

import pytest
from django.core.management import CommandError, call_command

from accounts.argument_types import day, moment, number, whole


@pytest.mark.parametrize("text", ["0", "11", "nan", "1.5", "x", "9" * 5000])
def test_what_is_no_whole_number_in_its_bounds_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="no whole number from 1 to 10"):
        whole(1, 10)(text)
    assert whole(1, 10)("10") == 10


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "x"])
def test_what_is_no_number_in_its_bounds_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="no number above 0, at most 100"):
        number(0, 100, above=True)(text)
    assert (number(0, 100)("0"), number(0, 100)("1e2")) == (0.0, 100.0)


@pytest.mark.parametrize("text", ["9999-12-31", "2026-13-01", "0001-01-01", "tomorrow", ""])
def test_what_is_no_day_and_no_moment_is_refused(text):
    for read in (day, moment):
        with pytest.raises(ArgumentTypeError, match="such as 2026"):
            read(text)


def test_a_moment_without_an_offset_is_utc_and_a_day_is_its_beginning():
    assert day("2026-01-31") == date(2026, 1, 31)
    for text in ("2026-11-01", "2026-11-01T00:00", "2026-11-01 00:00Z", "2026-11-01T02:00+02:00"):
        assert moment(text) == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "command",
    [
        "simulate --events 0",
        "simulate --days 0",
        "simulate --days nan",
        "simulate --days 1e9",
        "simulate --seed -1",
        "simulate --live nan",
        "runplatform --live nan",
        "import_events --detector cards FILE --limit -1",
        "import_events --detector cards FILE --as-of 9999-12-31T23:59-05:00",
        "tally_days --since 9999-12-31",
        "verify_decisions --since 9999-12-31T23:59-05:00",
        "verify_decisions --limit 0",
        "sum_up_alerts --seconds -1",
        "train --detector cards --tune-minutes nan",
    ],
)
def test_commands_say_what_is_wrong_with_an_argument(command):
    *words, option, value = command.split()
    with pytest.raises(CommandError, match=f"argument {option}: .{value}. is no"):
        call_command(*words, f"{option}={value}")
