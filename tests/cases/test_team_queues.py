"""Which queue has what, by when; who gets it; and what happens when it is late."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.roles import ANALYST, DATA_ENGINEER
from accounts.services import set_roles
from cases.assigning import Candidate, assign_queue, assign_waiting, choose
from cases.casework import close_case, move_case
from cases.escalating import _escalate_alert, _escalate_case, escalate_overdue
from cases.handovers import answer_handover, hand_over
from cases.models import Alert, Case
from cases.services import open_alerts
from cases.team_queues import place_unplaced, save_member
from cases.work_queue_models import Escalation, QueueMember, WorkQueue
from cases.workflow import MoveRefused
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of, flagged

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FALSE = {"disposition": "false_positive", "reason_code": "travel"}
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def team(*names, policy="round_robin", capacity=50, **given):
    queue = WorkQueue.objects.create(name="Team", position=1, assignment=policy, **given)
    for name in names:
        QueueMember.objects.create(
            queue=queue, user=user_with_role(ANALYST, username=name), capacity=capacity
        )
    return queue


def waiting(n):
    """`n` open alerts in the queue that takes them."""
    open_alerts([row.pk for row in flagged(*[f"user-{i}" for i in range(n)])])


def owners():
    rows = Alert.objects.exclude(owner=None).order_by("due_at", "pk")
    return list(rows.values_list("owner__username", flat=True))


# --- Routing --------------------------------------------------------------------------------------


def test_the_first_queue_that_takes_it_has_an_alert_and_sets_its_times(cards_detector):
    cards = WorkQueue.objects.create(name="Cards", position=1)
    cards.detectors.set([cards_detector])
    WorkQueue.objects.create(name="Critical", position=2, least_level=3)
    WorkQueue.objects.create(name="Asleep", position=3, is_active=False)
    mine = WorkQueue.objects.create(
        name="Mine", position=4, due_after=60, escalate_after=90, week=[[[0, 1440]]] * 7
    )
    alert = alert_of("a")
    assert alert.work_queue == mine
    assert (alert.due_at - alert.opened_at).total_seconds() == pytest.approx(3600, abs=5)
    assert alert.escalate_at - alert.due_at == timedelta(minutes=30)


def test_without_a_queue_nothing_is_due_and_a_later_queue_takes_it():
    WorkQueue.objects.all().delete()
    alert = alert_of("a")
    assert (alert.work_queue, alert.due_at, alert.escalate_at) == (None, None, None)
    assert place_unplaced(timezone.now()) == 0
    queue = WorkQueue.objects.create(name="New")
    assert place_unplaced(timezone.now()) == 1
    alert.refresh_from_db()
    assert (alert.work_queue, alert.due_at is None) == (queue, False)


def test_a_case_has_the_queue_of_its_riskiest_alert_and_its_times(analyst):
    case = case_of(analyst, "a", "b")
    assert case.work_queue == case.alerts.first().work_queue
    assert (case.due_at - case.opened_at).total_seconds() == pytest.approx(8 * 3600, abs=5)


# --- Who gets it ----------------------------------------------------------------------------------


def test_in_turn_means_in_turn_over_many_runs():
    queue = team("ann", "ben", "cy")
    waiting(3)
    assert assign_queue(queue.pk, NOW) == 3
    waiting(7)
    assign_queue(queue.pk, NOW + timedelta(minutes=1))
    found = owners()
    assert {name: found.count(name) for name in ("ann", "ben", "cy")} in [
        {"ann": 3, "ben": 2, "cy": 2}, {"ann": 2, "ben": 3, "cy": 2}, {"ann": 2, "ben": 2, "cy": 3},
    ]  # fmt: skip


def test_the_least_loaded_gets_it_and_nobody_more_than_they_have_room_for():
    queue = team("ann", "ben", policy="least_loaded", capacity=3)
    ann = queue.members.get(user__username="ann").user
    case_of(ann, "x", "y")  # one case: a load of one
    waiting(9)
    assert assign_queue(queue.pk, NOW) == 5
    assert sorted(owners()).count("ben") == 3
    assert Alert.objects.filter(owner=None, status="open").count() == 4
    assert assign_queue(queue.pk, NOW) == 0


def test_skills_that_fit_go_before_load():
    queue = team("ann", "ben", policy="skill")
    queue.members.filter(user__username="ben").update(skills=["Payments", "high"])
    waiting(4)
    assign_queue(queue.pk, NOW)
    assert set(owners()) == {"ben"}


@pytest.mark.parametrize(
    "away",
    [{"is_available": False}, {"away_until": date(2026, 11, 26)}, {"capacity": 0}],
)
def test_who_is_away_gets_nothing(away):
    queue = team("ann", "ben")
    queue.members.filter(user__username="ann").update(**away)
    waiting(4)
    assign_queue(queue.pk, NOW)
    assert set(owners()) == {"ben"}


def test_who_was_away_until_yesterday_and_who_is_active_alone_gets_work():
    queue = team("ann", "ben")
    queue.members.filter(user__username="ann").update(away_until=date(2026, 11, 25))
    ben = queue.members.get(user__username="ben").user
    ben.is_active = False
    ben.save()
    waiting(2)
    assign_queue(queue.pk, NOW)
    assert set(owners()) == {"ann"}


def test_who_lost_their_role_gets_nothing_more():
    queue = team("ann", "ben", "cy")
    ann, ben = (queue.members.get(user__username=name).user for name in ("ann", "ben"))
    set_roles(ann, roles=[DATA_ENGINEER], actor=None)
    set_roles(ben, roles=[], actor=None)
    ben.user_permissions.add(Permission.objects.get(codename="work_case"))
    case_of(user_with_role(ANALYST, username="dee"), "x")
    Case.objects.update(owner=None)
    waiting(3)
    assign_queue(queue.pk, NOW)
    assert set(owners()) == {"cy", "dee"}  # Hers is in the case.
    assert Case.objects.get().owner == ben


def test_a_queue_that_does_not_assign_leaves_everything():
    team("ann", policy="none")
    waiting(2)
    assert assign_waiting(NOW) == 0


def test_assigning_costs_the_same_queries_for_any_number():
    """Savepoint, queue, members, loads, cases, alerts; an update an owner, turns; audit; and the
    owners, each of whom is told once of all that they got, as are the routes of its detectors."""
    queue = team("ann", "ben")
    asked = []
    for n in (2, 30):
        waiting(n)
        with CaptureQueriesContext(connection) as queries:
            assign_queue(queue.pk, NOW)
        asked.append(len(queries))
    assert asked[0] == asked[1] <= 40


@pytest.mark.django_db(transaction=True)
def test_workers_that_assign_at_once_give_each_alert_once_and_fairly():
    queue = team("ann", "ben", "cy", capacity=7)
    waiting(24)

    def work(_):
        try:
            return assign_queue(queue.pk, timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        given = list(pool.map(work, range(6)))
    assert sum(given) == 21
    found = owners()
    assert [found.count(name) for name in ("ann", "ben", "cy")] == [7, 7, 7]


candidates = st.lists(
    st.builds(
        Candidate,
        user_id=st.integers(1, 99),
        capacity=st.integers(1, 9),
        load=st.integers(0, 12),
        turn=st.floats(0, 9),
        skills=st.frozensets(st.sampled_from(("payments", "high", "cards"))),
    ),
    max_size=6,
    unique_by=lambda one: one.user_id,
)


@given(candidates, st.sampled_from(("round_robin", "least_loaded", "skill")))
def test_nobody_is_chosen_beyond_their_room_and_somebody_is_while_there_is_any(people, policy):
    chosen = choose(policy, people, frozenset({"payments"}))
    assert (chosen is None) == (not any(one.has_room for one in people))
    assert chosen is None or chosen.has_room
    if chosen is not None and policy == "skill":
        best = max("payments" in one.skills for one in people if one.has_room)
        assert ("payments" in chosen.skills) == best


def test_only_who_works_on_alerts_is_a_member(lead, engineer):
    queue = WorkQueue.objects.get()
    with pytest.raises(MoveRefused, match="does not work"):
        save_member(QueueMember(queue=queue, user=engineer), actor=lead)


# --- Escalation -----------------------------------------------------------------------------------


def late(n=1):
    return timezone.now() + timedelta(days=n)


def test_what_is_late_goes_to_the_lead_once_with_a_row_to_tell(analyst, lead):
    WorkQueue.objects.update(lead=lead)
    alert, case = alert_of("a"), case_of(analyst, "b")
    assert escalate_overdue(timezone.now()) == 0
    assert escalate_overdue(late(2)) == 2
    assert escalate_overdue(late(2)) == 0
    alert.refresh_from_db()
    case.refresh_from_db()
    assert (alert.owner, case.owner) == (lead, lead)
    assert case.priority == case.alerts.get().level + 1
    assert [event.kind for event in case.timeline.all()][-2:] == ["escalated", "priority"]
    rows = Escalation.objects.filter(recipient=lead, notify=True)
    assert rows.count() == 2


def test_an_escalation_does_what_the_queue_says(analyst, lead):
    WorkQueue.objects.update(
        lead=lead,
        escalation_raises=False,
        escalation_reassigns=False,
        escalation_notifies=False,
    )
    case = case_of(analyst, "a")
    escalate_overdue(late(2))
    after = Case.objects.get()
    assert (after.owner, after.priority) == (analyst, case.priority)
    assert not Escalation.objects.get().notify


def test_what_is_done_is_not_escalated(analyst, django_assert_num_queries):
    case_of(analyst, "a")
    Case.objects.update(status="closed", disposition="fraud")
    Alert.objects.update(status="closed")
    with django_assert_num_queries(2):
        assert escalate_overdue(late(9)) == 0


def times(case):
    case = Case.objects.get(pk=case.pk)
    return case.due_at, case.escalate_at, case.escalated_at


def reopened(case, *, closer, lead):
    close_case(case, **FALSE, actor=closer)
    return move_case(case, move="reopen", actor=lead)


@pytest.mark.parametrize("was_escalated", [False, True])
def test_a_reopened_case_gets_fresh_times_for_those_that_have_passed(analyst, lead, was_escalated):
    case, now = case_of(analyst, "a"), timezone.now()
    past = now - timedelta(days=30)
    Case.objects.update(due_at=past, escalate_at=past)
    assert not was_escalated or escalate_overdue(now) == 1
    before = Case.objects.get().priority
    reopened(case, closer=analyst, lead=lead)
    due, escalate, escalated = times(case)
    assert now < due < escalate and escalated is None
    assert escalate_overdue(timezone.now()) == 0
    assert Case.objects.get().priority == before
    assert escalate_overdue(escalate) == 1


def test_a_reopened_case_keeps_times_that_are_to_come(analyst, lead):
    case = case_of(analyst, "a")
    before = times(case)
    reopened(case, closer=analyst, lead=lead)
    assert times(case) == before


def test_a_reopened_case_that_no_queue_has_is_not_late_at_once(analyst, lead):
    case, past = case_of(analyst, "a"), timezone.now() - timedelta(days=30)
    Case.objects.update(due_at=past, escalate_at=past, work_queue=None)
    WorkQueue.objects.all().delete()
    reopened(case, closer=analyst, lead=lead)
    assert escalate_overdue(timezone.now()) == 0


def test_what_got_fresh_times_just_now_is_not_escalated(analyst, monkeypatch):
    alert, case = alert_of("a"), case_of(analyst, "b")
    later = timezone.now() + timedelta(hours=1)
    Case.objects.update(escalate_at=later)
    Alert.objects.update(escalate_at=later)
    now = timezone.now()
    assert _escalate_alert(alert.pk, now) == _escalate_case(case.pk, now) == 0


def test_an_escalation_that_gives_the_case_to_the_lead_ends_a_hand_over(analyst, lead):
    WorkQueue.objects.update(lead=lead)
    case = case_of(analyst, "a")
    second = user_with_role(ANALYST, username="second")
    handover = hand_over(case, to=second, note="Yours.", actor=analyst)
    escalate_overdue(late(2))
    with pytest.raises(MoveRefused, match="answered already"):
        answer_handover(handover, take=True, actor=second)
    handover.refresh_from_db()
    assert (handover.status, Case.objects.get().owner) == ("withdrawn", lead)


@pytest.mark.parametrize("queue", [{"escalation_reassigns": False}, {"lead": None}, "its own"])
def test_an_escalation_that_leaves_the_case_with_its_owner_leaves_the_hand_over(
    analyst, lead, queue
):
    WorkQueue.objects.update(
        **({"lead": analyst} if queue == "its own" else {"lead": lead, **queue})
    )
    handover = hand_over(case_of(analyst, "a"), to=lead, note="Yours.", actor=analyst)
    escalate_overdue(late(2))
    assert answer_handover(handover, take=True, actor=lead).status == "taken"


def test_a_hand_over_by_somebody_who_has_the_case_no_more_is_not_taken(analyst, lead):
    case = case_of(analyst, "a")
    handover = hand_over(case, to=lead, note="Yours.", actor=analyst)
    second = user_with_role(ANALYST, username="second")
    Case.objects.update(owner=second)
    with pytest.raises(MoveRefused, match="another owner"):
        answer_handover(handover, take=True, actor=lead)
    assert Case.objects.get().owner == second
