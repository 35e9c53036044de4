"""Next gives each alert to one analyst at a time, by order, budget and filters, and says why."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from threading import Barrier

import pytest
from django.db import connection, connections
from django.utils import timezone

from accounts.roles import ANALYST
from cases.case_alerts import open_case
from cases.filters import QueueFilters
from cases.handing_out import budget_row, hand_out_next, passed_over, set_budget
from cases.locking import (
    Locked,
    locked_by_other,
    release_lock,
    take_lock,
    take_over,
)
from cases.models import Alert
from cases.queue_models import HandOut
from cases.services import assign_alert, label_alert
from cases.workflow import MoveRefused
from tests.accounts.factories import user_with_role
from tests.cases.alerts import waiting

ALL = QueueFilters()
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
pytestmark = pytest.mark.usefixtures("payments_detector")
db = pytest.mark.django_db


@pytest.fixture
def colleague(db):
    return user_with_role(ANALYST, username="colleague")


def given(user, filters=ALL, **options):
    found = hand_out_next(user, filters, **options)
    return found and found.alert_id


def expire():
    Alert.objects.update(locked_until=timezone.now() - timedelta(seconds=1))


@db
def test_two_analysts_get_neighbours_and_each_is_locked_to_its_own(analyst, colleague):
    first, second = waiting(2)
    assert (given(analyst), given(colleague)) == (first.pk, second.pk)
    assert given(colleague) is None
    first.refresh_from_db()
    assert (first.locked_by, first.locked_until > timezone.now()) == (analyst, True)


@db
def test_a_lock_expires_and_the_alert_is_handed_to_somebody_else(analyst, colleague):
    (alert,) = waiting(1)
    given(analyst)
    expire()
    assert given(colleague) == alert.pk


@db
def test_what_is_passed_over_is_free_for_others_and_comes_back_last(analyst, colleague):
    first, second = waiting(2)
    assert given(analyst) == first.pk
    assert given(analyst, leaving=first.pk) == second.pk
    assert given(colleague) == first.pk
    release_lock(first.pk, colleague)
    assert given(analyst, leaving=second.pk) is None
    assert passed_over(analyst, ALL) == 2
    assert given(analyst) == first.pk


@db
def test_what_others_own_what_sleeps_and_what_the_filters_leave_out_is_not_given(
    analyst, colleague
):
    owned, asleep, small, right = waiting(4, exposure=500)
    Alert.objects.filter(pk=owned.pk).update(owner=colleague)
    Alert.objects.filter(pk=asleep.pk).update(snoozed_until=timezone.now() + timedelta(hours=1))
    Alert.objects.filter(pk=small.pk).update(exposure=1)
    assert given(analyst, QueueFilters(low="100")) == right.pk


@db
def test_the_hand_out_says_why_that_one(analyst):
    first, *_ = waiting(3)
    hand_out_next(analyst, ALL)
    row = HandOut.objects.get()
    assert (row.alert_id, row.reason, row.share, row.propensity) == (first.pk, "exploit", 1.0, None)
    hand_out_next(analyst, QueueFilters(sort="age"))
    assert HandOut.objects.latest("pk").reason == "order"


@db
def test_the_uncertain_share_goes_to_the_nearest_to_the_threshold(analyst):
    rows = waiting(3)
    for row, gap in zip(rows, (0.4, 0.01, None), strict=True):
        Alert.objects.filter(pk=row.pk).update(threshold_gap=gap)
    set_budget(analyst, uncertain=100, audit=0)
    assert given(analyst) == rows[1].pk
    assert (HandOut.objects.get().reason, HandOut.objects.get().share) == ("uncertain", 1.0)


@db
def test_the_audit_share_draws_those_that_were_drawn_with_their_propensity(analyst):
    rows = waiting(6)
    Alert.objects.filter(pk__in=[rows[3].pk, rows[5].pk]).update(audit=True)
    set_budget(analyst, uncertain=0, audit=100)
    assert given(analyst, rng=Random(1)) in {rows[3].pk, rows[5].pk}
    assert HandOut.objects.get().propensity == pytest.approx(0.5)


@db
def test_without_drawn_alerts_the_audit_is_a_uniform_draw_of_all(analyst):
    rows = waiting(4)
    set_budget(analyst, uncertain=0, audit=50)
    found = Counter()
    rng = Random(3)
    for _ in range(120):
        row = hand_out_next(analyst, ALL, rng=rng)
        if row.reason == "random_audit":
            assert row.propensity == pytest.approx(0.125)
            found[row.alert_id] += 1
        HandOut.objects.all().delete()
        Alert.objects.update(locked_until=None, locked_by=None)
    assert set(found) == {row.pk for row in rows}
    assert 40 <= sum(found.values()) <= 80


@db
def test_everybodys_split_holds_for_those_without_their_own(analyst, colleague):
    set_budget(None, uncertain=20, audit=5)
    set_budget(analyst, uncertain=0, audit=0)
    assert (budget_row(analyst).exploit, budget_row(colleague).exploit) == (100, 75)


@db
def test_nobody_hoards_more_than_five(analyst):
    waiting(8)
    for _ in range(7):
        given(analyst)
    assert Alert.objects.filter(locked_by=analyst).count() == 5


@db
def test_a_locked_alert_is_decided_by_its_holder_alone(analyst, colleague):
    (alert,) = waiting(1)
    given(analyst)
    with pytest.raises(Locked, match="locked by"):
        label_alert(alert, **FRAUD, actor=colleague)
    with pytest.raises(Locked):
        open_case([alert], title="Mine now", actor=colleague)
    with pytest.raises(Locked):
        assign_alert(alert, owner=colleague, actor=colleague)
    closed = label_alert(alert, **FRAUD, actor=analyst)
    assert (closed.status, closed.locked_by) == ("closed", None)


@db
def test_a_lead_takes_over_and_an_analyst_cannot(analyst, colleague, lead):
    (alert,) = waiting(1)
    given(analyst)
    alert.refresh_from_db()
    with pytest.raises(MoveRefused, match="Only a lead"):
        take_over(alert, colleague)
    take_over(alert, lead)
    assert locked_by_other(Alert.objects.get(), analyst)
    label_alert(alert, **FRAUD, actor=lead)
    with pytest.raises(MoveRefused, match="not open"):
        take_over(alert, lead)


@db
def test_renewing_extends_and_a_page_that_was_left_late_releases_nothing(analyst, colleague):
    (alert,) = waiting(1)
    assert take_lock(alert, analyst)
    old = alert.locked_until
    assert take_lock(alert, analyst)
    assert alert.locked_until > old
    assert not take_lock(alert, colleague)
    assert not release_lock(alert.pk, analyst, until=old)
    assert not release_lock(alert.pk, colleague)
    assert release_lock(alert.pk, analyst, until=alert.locked_until)


ANALYSTS, ALERTS = 8, 200


@pytest.mark.django_db(transaction=True)
def test_eight_analysts_empty_a_queue_of_200_and_no_alert_comes_twice_or_is_lost(
    django_db_blocker,
):
    """Each takes and decides until nothing is left, all at the same time."""
    waiting(ALERTS)
    users = [user_with_role(ANALYST) for _ in range(ANALYSTS)]
    ready = Barrier(ANALYSTS, timeout=60)

    def work(user):
        done = []
        try:
            connection.ensure_connection()
            ready.wait()  # Who connects late would get less for that alone.
            while (row := hand_out_next(user, ALL)) is not None:
                Alert.objects.filter(pk=row.alert_id, locked_by=user).update(
                    status="closed", locked_by=None, locked_until=None
                )
                done.append(row.alert_id)
        finally:
            connections.close_all()
        return done

    with ThreadPoolExecutor(ANALYSTS) as pool:
        taken = [pk for done in pool.map(work, users) for pk in done]
    assert len(taken) == len(set(taken)) == ALERTS
    assert not Alert.objects.filter(status="open").exists()
    assert HandOut.objects.count() == ALERTS
    if connection.vendor == "postgresql":
        share = Counter(HandOut.objects.values_list("user_id", flat=True))
        assert min(share[user.pk] for user in users) >= ALERTS // ANALYSTS // 3
