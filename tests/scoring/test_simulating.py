"""Simulated events take the ordinary path; their truth comes when it is known."""

from datetime import timedelta

import pytest
from django.utils import timezone

from cases.models import Alert
from scoring.models import Label, Prediction
from scoring.simulating import simulate_history, simulate_live
from tests.factories import shipped_detector

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("slug", ["fraud", "anomaly", "payments", "cards"])
def test_a_history_is_scored_and_labelled_as_far_as_its_truth_is_known(slug):
    detector, now = shipped_detector(slug), timezone.now()
    done = simulate_history(detector, start=now - timedelta(days=20), end=now, events=400, seed=3)
    assert done == Prediction.objects.count() > 200
    labels = Label.objects.filter(source=Label.Source.SIMULATOR)
    assert 0 < labels.count() < done
    assert not labels.filter(label_time__gt=now + timedelta(minutes=1)).exists()
    assert not Alert.objects.exists()


def test_a_live_trickle_keeps_its_pace_and_stops_when_told(payments_detector):
    waits = []
    simulate_live(
        [payments_detector],
        rate=100.0,
        seed=3,
        should_stop=lambda: len(waits) == 20,
        wait=waits.append,
    )
    assert Prediction.objects.count() == 20
    assert max(waits) <= 20 / 100.0


def test_the_trickle_is_shared_by_the_detectors(payments_detector, cards_detector):
    sent = []
    simulate_live(
        [payments_detector, cards_detector],
        rate=1000.0,
        seed=3,
        should_stop=lambda: len(sent) == 10,
        wait=sent.append,
    )
    assert payments_detector.prediction_set.count() == cards_detector.prediction_set.count() == 5
