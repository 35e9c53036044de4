"""What a drift check reads: the newest predictions, and an even share of a whole week of them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from models_registry import recent_predictions
from models_registry.recent_predictions import (
    LONGEST_BURST,
    burst_hours,
    expected_of,
    paused_hours,
    read_recent,
)
from scoring import deployment
from scoring.models import Prediction
from tests.models_registry.drifting import prediction_columns, serve

pytestmark = pytest.mark.django_db
END = datetime(2026, 3, 11, 12, tzinfo=UTC)  # a Wednesday
MINUTE = timedelta(minutes=1)


def is_quick(at):
    return 8 <= at.hour < 20


@pytest.fixture
def champion(payments_detector):
    return serve(payments_detector)


@pytest.fixture
def bundle(champion):
    return deployment.serving_of(champion).bundle


def store(detector, bundle, days):
    """Events that come every 2 minutes by day and every 10 by night; the first number of their
    vectors is the hour."""
    moments = [END - i * MINUTE for i in range(days * 24 * 60)]
    kept = [at for at in moments if at.minute % (2 if is_quick(at) else 10) == 0]
    rest = [0.0] * (len(bundle.plan.names) - 1)
    Prediction.objects.bulk_create(
        Prediction(
            **prediction_columns(detector, bundle.digest, f"e{i}", at),
            vector=np.array([at.hour, *rest], "<f8").tobytes(),
        )
        for i, at in enumerate(kept)
    )
    return kept


def few(monkeypatch, rows):
    monkeypatch.setattr(recent_predictions, "MOST_ROWS", rows)
    monkeypatch.setattr(recent_predictions, "ENOUGH_COUNTED", rows // 10)


def shares_of_hours(vectors):
    return np.bincount(vectors[:, 0].astype(int), minlength=24) / len(vectors)


def test_of_a_busy_week_an_even_share_is_read(champion, bundle, monkeypatch):
    kept = store(champion, bundle, 14)
    few(monkeypatch, 1000)
    found = read_recent(champion, bundle)
    assert (len(found.vectors), found.last_at) == (1000, END)
    assert 800 <= len(found.week) <= 1200
    lately = [at.hour for at in kept if at > END - timedelta(days=7)]
    true = np.bincount(lately, minlength=24) / len(lately)
    assert np.abs(shares_of_hours(found.week) - true).max() < 0.02
    # The newest alone would have been taken for another world.
    assert np.abs(shares_of_hours(found.vectors) - true).max() > 0.02


def test_of_a_quiet_week_all_is_read(champion, bundle):
    kept = store(champion, bundle, 9)
    found = read_recent(champion, bundle)
    assert len(found.vectors) == len(kept)
    assert len(found.week) == sum(at > END - timedelta(days=7) for at in kept)


@pytest.mark.parametrize("days", [0, 1, 6])
def test_less_than_a_week_is_none(champion, bundle, days):
    kept = store(champion, bundle, days)
    found = read_recent(champion, bundle)
    assert (len(found.vectors), found.week) == (len(kept), None)


def test_a_few_late_events_make_no_week(champion, bundle):
    store(champion, bundle, 2)
    oldest = Prediction.objects.order_by("received_at").values_list("pk", flat=True)[:10]
    late = Prediction.objects.filter(pk__in=list(oldest))
    late.update(event_time=END - timedelta(days=30))
    assert read_recent(champion, bundle).week is None


def test_who_sends_all_in_one_minute_fills_no_memory(champion, bundle, monkeypatch):
    store(champion, bundle, 8)
    few(monkeypatch, 200)
    rows = Prediction.objects.filter(event_time__gt=END - timedelta(days=6))
    rows.update(event_time=END - timedelta(hours=1))
    assert len(read_recent(champion, bundle).week) <= 400


def pause(hours, *, days_ago):
    """Nothing came for so long, until so many days before the end."""
    until = END - timedelta(days=days_ago)
    span = (until - timedelta(hours=hours), until)
    Prediction.objects.filter(event_time__gt=span[0], event_time__lte=span[1]).delete()


@pytest.mark.parametrize("most", [10_000, 1000])
def test_a_week_that_stood_still_for_half_a_day_is_no_whole_week(
    champion, bundle, monkeypatch, most
):
    store(champion, bundle, 15)
    few(monkeypatch, most)
    pause(13, days_ago=3)
    assert read_recent(champion, bundle).paused == 13


def test_hours_that_never_have_events_are_no_pause(champion, bundle):
    store(champion, bundle, 15)
    for days_ago in (3, 10):
        pause(13, days_ago=days_ago)
    assert read_recent(champion, bundle).paused == 0


def test_without_earlier_weeks_the_same_hours_of_other_days_tell_what_is_usual(champion, bundle):
    store(champion, bundle, 8)
    Prediction.objects.filter(event_time__lte=END - timedelta(days=7)).update(
        event_time=END - timedelta(days=60)
    )
    assert read_recent(champion, bundle).paused == 0
    pause(13, days_ago=3)
    assert read_recent(champion, bundle).paused == 13


@pytest.mark.parametrize("days", [8, 10])
def test_a_part_of_an_earlier_week_or_a_stray_tells_nothing_of_what_is_usual(
    champion, bundle, days
):
    store(champion, bundle, days)
    first = Prediction.objects.order_by("event_time").first()
    Prediction.objects.filter(pk=first.pk).update(event_time=END - timedelta(days=20))
    pause(13, days_ago=3)
    assert read_recent(champion, bundle).paused == 13


def test_a_night_without_its_few_events_is_no_pause(champion, bundle):
    store(champion, bundle, 15)
    pause(3, days_ago=3.4)
    assert read_recent(champion, bundle).paused == 0


def test_an_hour_of_many_times_the_usual_traffic_is_a_burst(champion, bundle):
    store(champion, bundle, 15)
    assert read_recent(champion, bundle).burst == 0
    burst = [END - timedelta(days=2, hours=9, seconds=i) for i in range(300)]  # At three by night.
    Prediction.objects.bulk_create(
        Prediction(
            **prediction_columns(champion, bundle.digest, f"b{i}", at),
            vector=np.zeros(len(bundle.plan.names), "<f8").tobytes(),
        )
        for i, at in enumerate(burst)
    )
    found = read_recent(champion, bundle)
    assert (found.burst, found.paused) == (1, 0)


def bursting(came, usual):
    return burst_hours(came, expected_of(came, usual))


def pausing(came, usual):
    return paused_hours(came, expected_of(came, usual))


def test_what_a_burst_is():
    usual = np.full((4, 168), 60)
    week = usual[0].copy()
    assert bursting(week * 4, usual) == 0  # All of it grew.
    week[100] = 170
    assert bursting(week, usual) == 0  # Not three times as much.
    week[100] = 240
    assert bursting(week, usual) == 0  # Little of a week.
    week[100] = 600
    assert bursting(week, usual) == 1
    week[100 : 100 + LONGEST_BURST] = 600
    assert bursting(week, usual) == LONGEST_BURST
    week[100 : 101 + LONGEST_BURST] = 600
    assert bursting(week, usual) == 0  # That is how it is now.


def test_traffic_in_hours_that_never_had_any_is_no_burst():
    usual = np.tile(np.repeat([60, 0], 12), (4, 7))
    opened = usual[0].copy()
    opened[12:24] = 60
    assert bursting(opened, usual) == 0


def test_of_what_comes_seldom_a_full_hour_is_chance():
    seldom = np.random.default_rng(3).poisson(1.5, (5, 168))
    assert seldom[0].max() > 4
    assert bursting(seldom[0], seldom[1:]) == 0


def test_without_earlier_weeks_other_days_tell_of_a_burst_too():
    week = np.full(168, 60)
    week[100] = 600
    assert bursting(week, np.zeros((4, 168), int)) == 1


def test_of_what_comes_seldom_a_silent_hour_is_chance():
    seldom = np.random.default_rng(3).poisson(8.0 / (1 + np.arange(168) % 24), (5, 168))
    assert (seldom[0] == 0).sum() > 30
    assert pausing(seldom[0], seldom[1:]) == 0
    seldom[0, 48:58] = 0
    assert pausing(seldom[0], seldom[1:]) >= 10


def test_whether_a_week_paused_takes_the_same_queries(champion, bundle, django_assert_num_queries):
    store(champion, bundle, 15)
    pause(13, days_ago=3)
    with CaptureQueriesContext(connection) as first:
        read_recent(champion, bundle)
    pause(40, days_ago=1)
    with django_assert_num_queries(len(first)):
        read_recent(champion, bundle)


@pytest.mark.parametrize("days", [(0,), (5, 6), (0, 1, 2, 3), (0, 1, 2, 3, 4)])
def test_who_is_open_on_few_days_has_no_pause_on_the_others(days):
    week = np.zeros((7, 24), int)
    week[list(days)] = 10
    assert pausing(week.ravel(), np.tile(week.ravel(), (4, 1))) == 0
    shorter = week.copy()
    shorter[days[-1], 8:20] = 0
    if len(days) > 1:
        assert pausing(shorter.ravel(), np.tile(week.ravel(), (4, 1))) == 12
