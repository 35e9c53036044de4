"""What is given out by itself, and what is late: not what somebody works on or has put aside."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.roles import ANALYST, LEAD
from cases.assigning import assign_waiting, loads_of
from cases.case_alerts import take_out_of_case
from cases.escalating import escalate_overdue
from cases.locking import take_lock
from cases.models import Alert, Case
from cases.resting import snooze_alert
from cases.services import assign_alert
from cases.work_queue_models import Escalation, QueueMember, WorkQueue
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
WEEK = timedelta(days=7)


@pytest.fixture
def other():
    """The one member of a queue that gives out what waits."""
    user = user_with_role(ANALYST, username="other")
    queue = WorkQueue.objects.create(name="Team", position=1, assignment="round_robin")
    QueueMember.objects.create(queue=queue, user=user)
    return user


@pytest.fixture
def gone():
    """A lead who has left."""
    user = user_with_role(LEAD, username="gone")
    user.is_active = False
    user.save(update_fields=["is_active"])
    return user


def late(**changed):
    """As if the time of everything had come."""
    past = {"escalate_at": timezone.now() - timedelta(minutes=1), **changed}
    Alert.objects.update(**past)
    Case.objects.update(**past)


def snoozed(name, by):
    return snooze_alert(alert_of(name), until=timezone.now() + WEEK, actor=by)


def owner_of(name):
    return Alert.objects.get(pk=name.pk).owner


# --- Assignment -----------------------------------------------------------------------------------


def test_what_somebody_works_on_is_not_given_to_another(analyst, other):
    alert, free = alert_of("a"), alert_of("b")
    assert take_lock(alert, analyst)
    assert assign_waiting(timezone.now()) == 1
    assert (owner_of(alert), owner_of(free)) == (None, other)
    # A lock that has run out is none.
    assert assign_waiting(timezone.now() + WEEK) == 1
    assert owner_of(alert) == other


def test_what_was_put_aside_is_not_given_out_before_its_time(analyst, other):
    alert = snoozed("a", analyst)
    assert assign_waiting(timezone.now()) == 0
    assert assign_waiting(timezone.now() + WEEK + timedelta(minutes=1)) == 1
    assert owner_of(alert) == other


def test_what_is_locked_while_it_is_given_out_stays_free(analyst, other, monkeypatch):
    alert = alert_of("a")

    def slow(item):
        assert take_lock(alert, analyst)
        return frozenset()

    monkeypatch.setattr("cases.assigning.needs_of", slow)
    assert assign_waiting(timezone.now()) == 0
    assert owner_of(alert) is None


def test_what_sleeps_is_no_load(analyst, lead):
    alert = assign_alert(alert_of("a"), owner=analyst, actor=lead)
    now = timezone.now()
    assert loads_of([analyst.pk], now) == {analyst.pk: 1}
    snooze_alert(alert, until=now + WEEK, actor=analyst)
    assert loads_of([analyst.pk], now) == {}
    assert loads_of([analyst.pk], now + WEEK) == {analyst.pk: 1}


# --- Escalation -----------------------------------------------------------------------------------


def test_what_is_escalated_wakes(analyst, lead):
    alert = snoozed("a", analyst)
    late()
    assert escalate_overdue(timezone.now()) == 1
    alert.refresh_from_db()
    assert (alert.snoozed_until, alert.snoozed_by) == (None, None)


def test_what_comes_back_from_a_case_has_its_teams_time_again(analyst):
    case = case_of(analyst, "a", "b")
    first, second = case.alerts.order_by("pk")
    now = timezone.now()
    late(due_at=now - timedelta(hours=1), escalated_at=now)
    Case.objects.update(escalate_at=now + WEEK)
    take_out_of_case(case, first, actor=analyst, reason="Another matter.")
    assert escalate_overdue(timezone.now()) == 0
    first.refresh_from_db()
    assert now < first.due_at < first.escalate_at and first.escalated_at is None
    # It is escalated again when that is over; what is still ahead stays.
    ahead = now + timedelta(minutes=7)
    Alert.objects.filter(pk=second.pk).update(due_at=ahead, escalate_at=ahead)
    take_out_of_case(case, second, actor=analyst, reason="Another matter.")
    second.refresh_from_db()
    assert (second.due_at, second.escalate_at) == (ahead, ahead)
    assert escalate_overdue(first.escalate_at + timedelta(minutes=1)) >= 1


def test_a_lead_who_has_left_gets_nothing(analyst, gone):
    WorkQueue.objects.update(lead=gone, escalation_reassigns=True)
    alert, case = alert_of("a"), case_of(analyst, "b")
    late()
    assert escalate_overdue(timezone.now()) == 2
    case.refresh_from_db()
    assert (owner_of(alert), case.owner) == (None, analyst)
    rows = Escalation.objects.values_list("recipient", "detail__reassigned")
    assert list(rows) == [(None, False), (None, False)]


def test_a_lead_who_may_not_work_on_it_gets_nothing(outsider):
    WorkQueue.objects.update(lead=outsider, escalation_reassigns=True)
    alert = alert_of("a")
    late()
    assert escalate_overdue(timezone.now()) == 1
    assert (owner_of(alert), Escalation.objects.get().recipient) == (None, None)
