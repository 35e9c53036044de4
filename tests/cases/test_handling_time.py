"""How long an alert takes is learnt robustly: outliers and small samples change little."""

from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cases.handling_time import (
    IDLE,
    LONGEST,
    PRIOR,
    SHORTEST,
    Handled,
    estimate,
    predict,
    seconds_spent,
    size_of,
)
from cases.models import Alert, Touch
from cases.queue_models import HandlingTime
from cases.tasks import refresh_handling_times
from cases.timing import measure_handling_times
from cases.workflow import AlertStatus
from tests.cases.alerts import waiting

HANDLED = st.builds(
    Handled,
    detector=st.integers(1, 3),
    level=st.integers(0, 3),
    events=st.integers(1, 50),
    seconds=st.floats(0.0, 1e6),
)


def minutes_of(handled):
    return {cell: one.minutes for cell, one in estimate(handled).items()}


def many(seconds, *, detector=1, level=2, events=1, n=200):
    return [Handled(detector, level, events, seconds)] * n


SLOW = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@SLOW
@given(st.lists(HANDLED, max_size=25), st.integers(1, 4), st.integers(0, 3), st.integers(1, 60))
def test_every_alert_has_an_estimate_inside_the_bounds(handled, detector, level, events):
    assert SHORTEST <= predict(minutes_of(handled), detector, level, events) <= LONGEST


@SLOW
@given(st.lists(HANDLED, max_size=25))
def test_the_order_of_the_observations_does_not_matter(handled):
    assert minutes_of(handled) == pytest.approx(minutes_of(handled[::-1]))


def test_nothing_known_is_the_prior_and_much_known_is_the_median():
    assert predict(minutes_of([]), 1, 2, 1) == PRIOR
    assert predict(minutes_of(many(600.0)), 1, 2, 1) == pytest.approx(10.0, rel=0.15)


def test_a_few_alerts_of_a_new_detector_move_little():
    known = minutes_of(many(120.0) + many(1800.0, detector=2, n=2))
    assert 2.0 < predict(known, 2, 2, 1) < 4.0


def test_one_that_took_all_day_moves_the_estimate_of_many_hardly():
    usual = predict(minutes_of(many(120.0)), 1, 2, 1)
    assert predict(minutes_of([*many(120.0), *many(1e6, n=5)]), 1, 2, 1) == pytest.approx(
        usual, rel=0.01
    )


def test_alerts_of_many_events_have_an_estimate_of_their_own():
    known = minutes_of(many(60.0) + many(900.0, events=30))
    assert predict(known, 1, 2, 25) > 5 * predict(known, 1, 2, 1)
    assert [size_of(n) for n in (1, 2, 4, 5, 19, 20, 900)] == [0, 1, 1, 2, 2, 3, 3]


def test_a_page_that_was_left_open_counts_up_to_idle():
    assert seconds_spent([30.0, 1e6, -5.0]) == 30.0 + IDLE


@pytest.mark.django_db
def test_finished_stays_order_what_waits_and_the_task_may_run_twice(payments_detector, analyst):
    *closed, slow = waiting(31, expected_loss=300.0)
    now = timezone.now()
    Alert.objects.filter(pk__in=[a.pk for a in closed]).update(
        status=AlertStatus.CLOSED, closed_at=now
    )
    Touch.objects.bulk_create(
        Touch(user=analyst, alert=a, opened_at=now - timedelta(minutes=9), closed_at=now)
        for a in closed
    )
    for _ in range(2):
        refresh_handling_times()
    slow.refresh_from_db()
    assert slow.handling_minutes == pytest.approx(9.0, rel=0.35)
    assert slow.loss_per_minute == pytest.approx(300.0 / slow.handling_minutes)
    assert HandlingTime.objects.get(detector=None).alerts == 30


@pytest.mark.django_db
def test_stays_on_alerts_that_went_into_a_case_or_are_open_tell_nothing(payments_detector, analyst):
    (alert,) = waiting(1)
    now = timezone.now()
    Touch.objects.create(
        user=analyst, alert=alert, opened_at=now - timedelta(hours=1), closed_at=now
    )
    refresh_handling_times()
    assert HandlingTime.objects.get().minutes == pytest.approx(PRIOR)


@pytest.mark.django_db
def test_who_reads_a_closed_alert_does_not_make_it_slow(payments_detector, analyst, lead):
    (alert,) = waiting(1)
    now, second = timezone.now(), timedelta(seconds=1)
    closed = now - timedelta(days=2)
    Alert.objects.update(status=AlertStatus.CLOSED, closed_at=closed)
    for user, begun, ended in (
        (analyst, closed - 60 * second, closed + 2 * second),
        (lead, closed, closed + 30 * second),
        (lead, closed + timedelta(days=1), closed + timedelta(days=1, hours=1)),
    ):
        Touch.objects.create(user=user, alert=alert, opened_at=begun, closed_at=ended)
    one = Handled(payments_detector.pk, alert.level, 1, 60.0)
    assert measure_handling_times(now) == estimate([one])


def test_minutes_are_written_rounded_half_up():
    assert str(HandlingTime(minutes=2.25)) == "2.3 min"
