"""What a drift check reads: the newest predictions, and an even share of a whole week of them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models_registry import recent_predictions
from models_registry.recent_predictions import read_recent
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
