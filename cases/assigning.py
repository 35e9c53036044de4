"""Give what waits in a team queue to its members: in turn, to the least loaded, or by skill.

One worker at a time looks at a queue (its row is locked), so that no two give the same person more
than they have room for. An alert that somebody took meanwhile is passed over, as is one that
somebody works on (it is locked) or has put aside.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Count, QuerySet

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.locking import awake, in_nobodys_hands
from cases.models import Alert, Case
from cases.rights import with_rights
from cases.telling import tell_alerts_given, tell_case_given
from cases.work_queue_models import QueueMember, WorkQueue
from cases.workflow import LIVE_CASES, AlertStatus

Policy = WorkQueue.Assignment
BATCH = 200
"""Alerts given out in one transaction at most."""


@dataclass(slots=True)
class Candidate:
    """A member with their load, when they last got something (seconds; 0.0: never), and whether
    they may work on alerts and on cases."""

    user_id: int
    capacity: int
    load: int
    turn: float
    skills: frozenset[str] = frozenset()
    alerts: bool = True
    cases: bool = True

    @property
    def has_room(self) -> bool:
        return self.load < self.capacity


def choose(
    policy: str, candidates: Sequence[Candidate], needs: frozenset[str] = frozenset()
) -> Candidate | None:
    """Who gets the next piece of work; None when nobody has room. Ties go by turn, then by id."""
    free = [one for one in candidates if one.has_room]
    if not free or policy == Policy.NONE:
        return None
    if policy == Policy.ROUND_ROBIN:
        return min(free, key=lambda one: (one.turn, one.user_id))
    if policy == Policy.SKILL:
        best = max(len(one.skills & needs) for one in free)
        free = [one for one in free if len(one.skills & needs) == best]
    return min(free, key=lambda one: (one.load / one.capacity, one.turn, one.user_id))


def assign_waiting(now: datetime) -> int:
    """Give out what waits in every queue that assigns; returns how much."""
    queues = WorkQueue.objects.filter(is_active=True).exclude(assignment=Policy.NONE)
    return sum(assign_queue(pk, now) for pk in queues.values_list("pk", flat=True))


@transaction.atomic
def assign_queue(queue_id: int, now: datetime) -> int:
    """Give out what waits in one queue, what is due first first; returns how much."""
    queue = WorkQueue.objects.select_for_update().filter(pk=queue_id).first()
    if queue is None or not queue.is_active or queue.assignment == Policy.NONE:
        return 0
    candidates = _candidates(queue, now)
    room = sum(max(one.capacity - one.load, 0) for one in candidates)
    given: dict[int, list[int]] = {}
    if room:
        # Cases first: there are few, and each is an investigation that stands still.
        for_cases = [one for one in candidates if one.cases]
        for_alerts = [one for one in candidates if one.alerts]
        given_cases = _give(_waiting_cases(queue, room), queue, for_cases, now)
        given = _give(_waiting_alerts(queue, room, now), queue, for_alerts, now)
        free_cases = Case.objects.filter(owner=None, status__in=LIVE_CASES)
        given_cases = {user: _own(free_cases, user, pks) for user, pks in given_cases.items()}
        given = {user: _own(_free_alerts(now), user, pks) for user, pks in given.items()}
        _remember_turns(queue, candidates, given_cases.keys() | given.keys())
        _tell(given, given_cases)
    total = sum(map(len, given.values())) + (sum(map(len, given_cases.values())) if room else 0)
    if total:
        record_audit(
            actor=None,
            action="work_queue.assigned",
            subject=queue,
            detail={
                "alerts": {str(user): pks for user, pks in given.items()},
                "cases": {str(user): pks for user, pks in given_cases.items()},
            },
        )
    return total


def _give(
    items: Iterable[Alert | Case],
    queue: WorkQueue,
    candidates: Sequence[Candidate],
    now: datetime,
) -> dict[int, list[int]]:
    """Who gets which ids. The order of turns within one run is kept by counting up."""
    given: dict[int, list[int]] = {}
    for item in items:
        chosen = choose(queue.assignment, candidates, needs_of(item))
        if chosen is None:
            break
        chosen.load += 1
        chosen.turn = max(now.timestamp(), max(one.turn for one in candidates)) + 1e-3
        given.setdefault(chosen.user_id, []).append(item.pk)
    return given


def needs_of(item: Alert | Case) -> frozenset[str]:
    """The skills that a piece of work asks for: its detector and level, or its case type."""
    if isinstance(item, Alert):
        return frozenset((item.detector.slug, item.level_name.lower()))
    return frozenset((item.case_type.name.lower(),) if item.case_type else ())


def _tell(given: dict[int, list[int]], given_cases: dict[int, list[int]]) -> None:
    """Who got something is told: of all their alerts in one line, of each case in its own."""
    users = User.objects.in_bulk(given.keys() | given_cases.keys())
    for user_id, pks in given.items():
        tell_alerts_given(pks, to=users[user_id], actor=None)
    for user_id, pks in given_cases.items():
        to = users[user_id]
        for case in Case.objects.filter(pk__in=pks).order_by("pk"):
            event = add_event(case, Kind.ASSIGNED, actor=None, to=to.name)
            tell_case_given(case, to=to, event=event, actor=None)


def _own(free: QuerySet[Any], user_id: int, pks: Sequence[int]) -> list[int]:
    """Make those of these ids that are still free the user's; which these were."""
    if free.filter(pk__in=pks).update(owner_id=user_id) == len(pks):
        return list(pks)
    taken = free.model.objects.filter(pk__in=pks, owner=user_id)
    return list(taken.order_by("pk").values_list("pk", flat=True))


def _free_alerts(now: datetime) -> QuerySet[Alert]:
    """Open alerts that nobody owns, works on or has put aside."""
    return Alert.objects.filter(
        in_nobodys_hands(now), awake(now), owner=None, status=AlertStatus.OPEN
    )


def _waiting_alerts(queue: WorkQueue, room: int, now: datetime) -> Iterable[Alert]:
    return (
        _free_alerts(now)
        .filter(work_queue=queue)
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("detector")
        .order_by("due_at", "pk")[: min(room, BATCH)]
    )


def _waiting_cases(queue: WorkQueue, room: int) -> Iterable[Case]:
    rows = Case.objects.filter(work_queue=queue, owner=None, status__in=LIVE_CASES)
    return (
        rows.select_for_update(skip_locked=True, of=("self",))
        .select_related("case_type")
        .order_by("-priority", "due_at", "pk")[: min(room, BATCH)]
    )


def _candidates(queue: WorkQueue, now: datetime) -> list[Candidate]:
    """The members who may and do take work today, with their load: three queries."""
    today = queue.day_at(now)
    rows = with_rights(queue.members.filter(user__is_active=True, capacity__gt=0), "user_id")
    members = [one for one in rows if one.works_on(today) and (one.may_triage or one.may_work)]
    loads = loads_of([member.user_id for member in members], now)
    return [
        Candidate(
            user_id=member.user_id,
            capacity=member.capacity,
            load=loads.get(member.user_id, 0),
            turn=member.last_assigned_at.timestamp() if member.last_assigned_at else 0.0,
            skills=frozenset(str(skill).lower() for skill in member.skills),
            alerts=member.may_triage,
            cases=member.may_work,
        )
        for member in members
    ]


def loads_of(user_ids: Sequence[int], now: datetime) -> dict[int, int]:
    """What each of these people has to do now: alerts of theirs that are not put aside, and cases
    of theirs. Two queries."""
    loads: dict[int, int] = {}
    for rows in (
        Alert.objects.filter(awake(now), owner__in=user_ids, status=AlertStatus.OPEN),
        Case.objects.filter(owner__in=user_ids, status__in=LIVE_CASES),
    ):
        counted = rows.order_by().values_list("owner_id").annotate(n=Count("pk"))
        for user_id, n in counted:
            loads[user_id] = loads.get(user_id, 0) + n
    return loads


def _remember_turns(
    queue: WorkQueue, candidates: Sequence[Candidate], users: Iterable[int]
) -> None:
    turns = {one.user_id: one.turn for one in candidates}
    for user_id in users:
        QueueMember.objects.filter(queue=queue, user_id=user_id).update(
            last_assigned_at=datetime.fromtimestamp(turns[user_id], tz=_utc())
        )


def _utc() -> ZoneInfo:
    return ZoneInfo("UTC")
