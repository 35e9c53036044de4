"""What labels tell the guard of a new champion: precision, missed fraud, and what has matured."""

from datetime import timedelta

import pytest

from models_registry.guarding import check_guard
from models_registry.models import PromotionDecision
from scoring.models import Label, Prediction
from tests.models_registry.guards import EVENTS, worsen
from tests.models_registry.rivals import tell_truths

pytestmark = pytest.mark.django_db


@pytest.fixture
def weeks(guard, guarded, monkeypatch):
    """Both champions' events are eight days apart and matured, two each are among the newest;
    the former one's and the new one's."""
    monkeypatch.setattr("models_registry.guarding.MOST_EVENTS", 2)
    guard.detector.config["training"]["guard"] = {"events": 2}
    guard.detector.save(update_fields=["config"])
    worsen()
    PromotionDecision.objects.filter(version=guarded[0]).update(at=guard.since - timedelta(days=9))
    rows = Prediction.objects.order_by("received_at", "id")
    sides = [rows.filter(bundle_digest=one.digest) for one in guarded]
    for side, days in zip(sides, (-8, 0), strict=True):
        side.update(event_time=guard.since + timedelta(days=days, minutes=1))
    return [list(side) for side in sides]


def label(row, *, fraud, **changed):
    Label.objects.create(
        prediction=row, detector=row.detector, is_fraud=fraud, event_time=row.event_time,
        label_time=row.event_time, source=Label.Source.ANALYST, **changed,
    )  # fmt: skip


def flag(rows):
    Prediction.objects.filter(pk__in=[row.pk for row in rows]).update(decision="BLOCK")


def test_precision_that_falls_on_matured_labels_is_rolled_back(guard, guarded):
    former = list(Prediction.objects.all())
    worsen()
    later = list(Prediction.objects.filter(bundle_digest=guarded[1].digest))
    assert len(later) == EVENTS
    Prediction.objects.update(decision="REVIEW")
    PromotionDecision.objects.filter(version=guarded[0]).update(at=guard.since - timedelta(days=9))
    earlier = guard.since - timedelta(days=8)
    Prediction.objects.filter(pk__in=[row.pk for row in former]).update(event_time=earlier)
    happened = guard.since + timedelta(minutes=1)
    Prediction.objects.filter(pk__in=[row.pk for row in later]).update(event_time=happened)
    tell_truths(Prediction.objects.filter(event_time=earlier), above=-1000.0)
    for row in Prediction.objects.filter(event_time=happened):
        label(row, fraud=False)
    assert not check_guard(guard, now=happened + timedelta(days=6))  # not matured
    assert check_guard(guard, now=happened + timedelta(days=8))
    assert guard.breaches[0]["guard"] == "precision"


def test_fraud_that_goes_unflagged_is_rolled_back_however_rare_it_is(guard, weeks):
    former, later = weeks
    Prediction.objects.update(decision="APPROVE")
    flag(former[1:])
    for row in former[:30] + later[:30]:
        label(row, fraud=True)
    assert check_guard(guard, now=guard.since + timedelta(days=8))
    assert [breach["guard"] for breach in guard.breaches] == ["recall"]
    assert (guard.before["recall"], guard.after["recall"]) == (29 / 30, 0.0)
    assert (guard.before["known_fraud"], guard.after["known_fraud"]) == (30, 30)


def test_labelled_alerts_are_found_beyond_the_newest_events(guard, weeks):
    flag(weeks[0] + weeks[1])
    for row in weeks[0]:
        label(row, fraud=True)
    for row in weeks[1]:
        label(row, fraud=False)
    assert check_guard(guard, now=guard.since + timedelta(days=8))
    assert [breach["guard"] for breach in guard.breaches] == ["precision"]


def test_an_event_counts_by_its_newest_label_that_stands(guard, weeks):
    flag(weeks[0])
    first, second, third = weeks[0][:3]
    label(first, fraud=False)
    label(first, fraud=True)
    label(second, fraud=True)
    label(second, fraud=False, retracted_at=guard.since, retracted_by=None)
    label(third, fraud=False)
    assert not check_guard(guard, now=guard.since + timedelta(days=8))
    assert (guard.before["precision"], guard.before["labelled_alerts"]) == (2 / 3, 3)
    assert (guard.before["recall"], guard.before["known_fraud"]) == (1.0, 2)


def test_of_very_many_labels_the_newest_are_read(guard, weeks, monkeypatch):
    monkeypatch.setattr("models_registry.guarding.MOST_LABELS", 20)
    flag(weeks[0])
    for row in weeks[0]:
        label(row, fraud=True)
    Label.objects.filter(prediction__in=weeks[0][:20]).update(
        label_time=guard.since + timedelta(hours=1), is_fraud=False
    )
    assert not check_guard(guard, now=guard.since + timedelta(days=8))
    assert (guard.before["precision"], guard.before["labelled_alerts"]) == (0.0, 20)


@pytest.mark.parametrize(("days", "labelled"), [(1, 20), (8, 40)])
def test_labels_count_once_they_matured_and_for_who_served_then(guard, guarded, days, labelled):
    PromotionDecision.objects.filter(version=guarded[0]).update(at=guard.since - timedelta(days=9))
    rows = list(Prediction.objects.order_by("received_at"))
    tell_truths(rows)
    for part, event_days in ((rows[:10], -20), (rows[10:30], -8), (rows[30:50], -5)):
        happened = guard.since + timedelta(days=event_days)
        Prediction.objects.filter(pk__in=[row.pk for row in part]).update(event_time=happened)
    after = guard.since + timedelta(hours=1)
    Prediction.objects.filter(pk__in=[row.pk for row in rows[50:]]).update(event_time=after)
    check_guard(guard, now=guard.since + timedelta(days=days))
    assert (guard.before["labelled"], guard.after["labelled"]) == (labelled, 0)
