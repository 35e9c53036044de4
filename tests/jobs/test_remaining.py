"""How long work still takes: by its pace, and a search by the time that it is given."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobs.remaining import foretell, told_since
from tests.jobs.factories import JobFactory

BEFORE, AFTER = 0.15, 0.7


def seconds(progress, spent, **known):
    found = foretell(progress, spent, **known)
    return None if found is None else (round(found.seconds), found.is_bound)


def test_without_a_search_the_pace_tells():
    assert seconds(0.01, 10.0) is None
    assert seconds(0.25, 10.0) == (30, False)


@pytest.mark.parametrize(
    ("progress", "left"),
    [
        (0.0, 300 + 90),
        (BEFORE, 300 + 75),
        (0.3, 300 + 60),
        (0.35, 150 + 60),
    ],
)
def test_a_search_takes_what_it_is_given_beside_what_trainings_usually_take(progress, left):
    assert seconds(progress, 20.0, tune_for=300.0, usual=90.0) == (left, False)


@pytest.mark.parametrize(("progress", "left"), [(0.0, 300), (0.35, 150)])
def test_where_nothing_is_usual_yet_the_search_is_a_bound(progress, left):
    assert seconds(progress, 20.0, tune_for=300.0) == (left, True)


def test_after_a_search_only_the_time_outside_it_tells_the_pace():
    """20 s before it and 10 s after it made 0.6 of 0.9."""
    assert seconds(AFTER, 20.0 + 61.0 + 10.0, tune_for=300.0, searched=61.0) == (15, False)
    assert seconds(AFTER, 20.0 + 61.0 + 10.0, tune_for=300.0) is None


def test_a_search_that_could_not_be_is_no_search():
    assert seconds(0.5, 30.0, tune_for=300.0, usual=90.0, searched=0.0) == (30, False)


@pytest.mark.parametrize(
    ("progress", "known", "text"),
    [
        (0.5, {}, "about 60 s left"),
        (0.95, {}, "a few seconds left"),
        (0.1, {}, "about 9 min left"),
        (0.35, {"tune_for": 100.0}, "at least 50 s left"),
        (0.35, {"tune_for": 119.0}, "at least 50 s left"),
        (0.35, {"tune_for": 350.0}, "at least 2 min left"),
        (0.3, {"tune_for": 300.0}, "at least 5 min left"),
        (0.39, {"tune_for": 50.0}, "at least a few seconds left"),
    ],
)
def test_it_is_said_as_an_estimate(progress, known, text):
    assert foretell(progress, 60.0, **known).text == text


def test_the_log_tells_numbers_of_this_attempt_alone():
    log = [
        {"at": "2026-05-01T10:00:00+00:00", "text": "searched", "searched": 40.0},
        {"at": "2026-05-01T11:00:00+00:00", "text": "usually", "usual": 9.0},
        {"at": "2026-05-01T11:00:05+00:00", "text": "4,000 events"},
    ]
    began = datetime(2026, 5, 1, 11, 0, 0, 700_000, tzinfo=UTC)
    assert told_since(log, began) == {"usual": 9.0}


@pytest.mark.parametrize(("since", "text"), [(20, "about 60 s left"), (40, "nothing heard of")])
def test_of_a_worker_that_may_be_dead_nothing_is_foretold(since, text):
    now = timezone.now()
    job = JobFactory.build(status="running", progress=0.5, started_at=now - timedelta(seconds=60))
    job.heartbeat_at = now - timedelta(seconds=since)
    assert job.remaining_text.startswith(text)
    assert (job.remaining is None) == (since == 40)
    job.status = "queued"
    assert job.remaining_text == ""
