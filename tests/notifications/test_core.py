"""Signatures, quiet hours and pauses, as mathematics."""

import re
import time as clock
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from notifications.quiet_hours import is_quiet, quiet_until
from notifications.sending import FIRST_PAUSE, LONGEST_PAUSE, pause_after
from notifications.signing import is_signed, new_secret, signature

ZONES = st.sampled_from(
    ["UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))


def test_a_signature_is_hmac_sha256_of_time_and_body():
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_x
    expected = "be8cb8325f2202445260a855532f967e30ad2a9394ce28da66ee02880ddcb661"
    header = signature(b"{}", at=1_700_000_000, keys=["whsec_x"])
    assert header == f"t=1700000000,v1={expected}"


@given(st.binary(), st.integers(0, 2**33), st.integers(-300, 300))
def test_what_is_signed_is_believed_with_either_secret(body, at, off):
    present, former = new_secret(), new_secret()
    header = signature(body, at=at, keys=[present, former])
    assert is_signed(body, header, key=present, now=at + off)
    assert is_signed(body, header, key=former, now=at + off)
    assert not is_signed(body, header, key=new_secret(), now=at)


@given(st.binary(min_size=1))
def test_a_changed_body_or_an_old_time_is_not_believed(body):
    key = new_secret()
    header = signature(body, at=1000, keys=[key])
    assert not is_signed(body + b" ", header, key=key, now=1000)
    assert not is_signed(body, header, key=key, now=1301)
    assert not is_signed(body, header.replace("t=1000", "t=1001"), key=key, now=1000)


def told_to_receivers():
    """`is_genuine` of docs/notifications.md."""
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    (code,) = (part for part in re.findall(r"```python\n(.*?)```", page, re.S) if "hmac" in part)
    found = {}
    exec(code, found)  # noqa: S102 our own page
    return found["is_genuine"]


@pytest.mark.parametrize(
    "header",
    [
        *("", "t=1", "v1=ab", "t=x,v1=ab", "t=1,t=2,v1=ab", "junk", ",,=", "t=,v1=", "t=1,v1=\xe9"),
        *("t=\xb2,v1=ab", f"t={'9' * 5000},v1=ab", f"t={'9' * 20},v1=ab"),
    ],
)
def test_half_a_header_is_not_believed_and_breaks_nobody(header):
    assert not is_signed(b"", header, key="whsec_x", now=1)
    assert not told_to_receivers()(b"", header, "whsec_x")
    with_now = header.replace("t=1", f"t={int(clock.time())}")
    assert not told_to_receivers()(b"", with_now, "whsec_x")


def test_receivers_who_do_as_told_believe_what_we_sign():
    is_genuine, at = told_to_receivers(), int(clock.time())
    header = signature(b"{}", at=at, keys=["whsec_new", "whsec_old"])
    assert is_genuine(b"{}", header, "whsec_old")
    assert not is_genuine(b"[]", header, "whsec_old")
    assert not is_genuine(b"{}", header.replace(f"t={at}", f"t={at - 301}"), "whsec_old")


@given(MOMENTS, ZONES, TIMES, TIMES)
def test_quiet_hours_end_within_a_day_and_are_over_then(now, zone, start, end):
    assume(start != end)
    until = quiet_until(now, zone=zone, start=start, end=end)
    if until is None:
        assert not is_quiet(now, zone=zone, start=start, end=end)
        return
    assert now < until <= now + timedelta(hours=26)
    assert not is_quiet(until, zone=zone, start=start, end=end)


def test_quiet_hours_span_midnight_in_the_zone_of_the_person():
    at = datetime(2026, 1, 10, 22, 30, tzinfo=UTC)  # 23:30 in Zurich
    hours = {"start": time(22), "end": time(7)}
    assert quiet_until(at, zone="Europe/Zurich", **hours) == datetime(2026, 1, 11, 6, tzinfo=UTC)
    assert quiet_until(at, zone="America/New_York", **hours) is None


@pytest.mark.parametrize(
    ("attempt", "share", "asked", "seconds"),
    [(1, 0.0, 0.0, 15.0), (1, 1.0, 0.0, 30.0), (1, 0.5, 0.0, 22.5), (3, 1.0, 0.0, 120.0),
     (30, 1.0, 0.0, 3600.0), (1, 1.0, 90.0, 90.0), (1, 1.0, 9000.0, 3600.0)],
)  # fmt: skip
def test_a_pause_is_drawn_from_the_upper_half_and_no_shorter_than_asked(
    attempt, share, asked, seconds
):
    assert pause_after(attempt, share=share, asked=asked) == timedelta(seconds=seconds)


@given(st.integers(1, 30), st.floats(0, 1), st.integers(0, 10**6))
def test_pauses_grow_spread_and_stay_within_an_hour(attempt, share, asked):
    pause = pause_after(attempt, share=share).total_seconds()
    assert FIRST_PAUSE / 2 <= pause <= LONGEST_PAUSE
    assert pause <= pause_after(attempt, share=1.0).total_seconds()
    assert pause_after(attempt, share=share, asked=asked).total_seconds() >= min(
        asked, LONGEST_PAUSE
    )
