"""Simulated events take the ordinary path; their truth comes when it is known."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from cases.models import Alert
from scoring import due_truths, simulating
from scoring.due_truths import DueTruths, Truth
from scoring.models import Label, Prediction
from scoring.policies import set_policy
from scoring.simulating import simulate_history, simulate_live, truths_to_come
from scoring.simulation.stream import history
from tests.factories import START, shipped_detector

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def still_clock(monkeypatch):
    """What is simulated follows from its times: these tests draw the same events every day."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.mark.parametrize("slug", ["fraud", "anomaly", "payments", "cards"])
def test_a_history_is_scored_and_labelled_as_far_as_its_truth_is_known(slug):
    detector = shipped_detector(slug)
    span = {"start": NOW - timedelta(days=20), "end": NOW, "events": 400, "seed": 3}
    done = simulate_history(detector, **span)
    assert done == Prediction.objects.count() > 200
    labels = Label.objects.filter(source=Label.Source.SIMULATOR)
    known = sum(event.label_time <= NOW for event in history(slug, **span))
    assert 0 < labels.count() == known < done
    assert not labels.filter(label_time__gt=NOW).exists()
    assert not Alert.objects.exists()


def test_what_was_flagged_before_a_day_has_its_label_the_day_after(payments_detector, lead):
    set_policy(payments_detector, audit_rate=1.0, author=lead)  # all are looked at
    start, until = NOW - timedelta(days=8), NOW - timedelta(days=3)
    simulate_history(
        payments_detector, start=start, end=NOW, events=300, seed=3, settled_until=until
    )
    flagged = Prediction.objects.exclude(selection_reason="")
    before = flagged.filter(event_time__lt=until)
    assert before.exists() and not before.filter(labels__isnull=True).exists()
    for label in Label.objects.filter(prediction__in=before):
        assert label.label_time <= label.event_time + timedelta(days=1)
    assert flagged.filter(event_time__gte=until, labels__isnull=True).exists()


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


class Clock:
    """The time of day, and how far it was put ahead."""

    ahead = timedelta(0)

    def now(self):
        return NOW + self.ahead


def trickle(detector, events, monkeypatch, ahead=0):
    """So many events; once it has begun, the clock is put ahead by so many days."""
    clock, left = Clock(), iter(range(events))
    monkeypatch.setattr(simulating, "timezone", clock)

    def should_stop():
        clock.ahead = timedelta(days=ahead)
        return next(left, None) is None

    simulate_live(
        [detector], rate=1000.0, seed=3, should_stop=should_stop, wait=lambda seconds: None
    )


def test_a_truth_that_comes_due_after_a_restart_is_recorded_all_the_same(
    payments_detector, monkeypatch, settings, tmp_path
):
    settings.VAR_DIR = tmp_path
    trickle(payments_detector, 30, monkeypatch)
    first = set(Prediction.objects.values_list("pk", flat=True))
    assert not Label.objects.exists()
    trickle(payments_detector, 1, monkeypatch, ahead=365)
    assert Label.objects.filter(prediction__in=first).count() == 30
    trickle(payments_detector, 1, monkeypatch, ahead=365)
    assert Label.objects.filter(prediction__in=first).count() == 30


def test_what_a_history_leaves_unknown_is_recorded_by_who_simulates_next(
    payments_detector, monkeypatch, settings, tmp_path
):
    settings.VAR_DIR = tmp_path
    span = {"start": NOW - timedelta(days=2), "end": NOW}
    simulate_history(payments_detector, **span, events=100, seed=3)
    first = set(Prediction.objects.values_list("pk", flat=True))
    known = Label.objects.count()
    with truths_to_come() as to_come:
        assert len(to_come.waiting) == len(first) - known > 0
    trickle(payments_detector, 1, monkeypatch, ahead=365)
    assert Label.objects.filter(prediction__in=first).count() == len(first)


def truth(number, hours):
    return Truth(START + timedelta(hours=hours), "payments", str(number), number % 2 == 0)


def names(truths, hours):
    return [name for _, known in truths.take(START + timedelta(hours=hours)) for name in known]


def test_what_a_killed_process_left_is_taken_over_but_for_a_line_cut_short(tmp_path):
    killed = DueTruths(tmp_path)
    killed.add(truth(1, hours=2))
    killed.add(truth(2, hours=1))
    killed._file.write('["2026-')
    killed._file.close()
    with DueTruths(tmp_path) as truths:
        assert names(truths, hours=1) == ["2"]
        assert names(truths, hours=2) == ["1"]
    with DueTruths(tmp_path) as truths:
        assert names(truths, hours=99) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_two_that_simulate_at_once_leave_each_other_alone(tmp_path):
    with DueTruths(tmp_path) as one:
        one.add(truth(1, hours=1))
        with DueTruths(tmp_path) as other:
            assert names(other, hours=9) == []
        assert names(one, hours=9) == ["1"]


def test_the_file_does_not_grow_with_what_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(due_truths, "SPARE_LINES", 5)
    with DueTruths(tmp_path) as truths:
        for number in range(50):
            truths.add(truth(number, hours=number))
            assert names(truths, hours=number) == [str(number)]
        (file,) = tmp_path.iterdir()
        assert len(file.read_text().splitlines()) <= 6


def test_truths_that_could_not_be_recorded_are_due_again(tmp_path):
    with pytest.raises(ZeroDivisionError), DueTruths(tmp_path) as truths:
        truths.add(truth(1, hours=1))
        assert names(truths, hours=1) == ["1"]
        raise ZeroDivisionError
    with DueTruths(tmp_path) as truths:
        assert names(truths, hours=1) == ["1"]
