"""Team queues and their members, as leads set them up; every change is audited."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from accounts.models import User
from accounts.services import record_audit
from cases.as_read import check_as_read, mark_of
from cases.checklists import start_checklist
from cases.limits import limit_of, limit_of_queue
from cases.models import Alert, Case
from cases.routing import Routes, place_alert, place_case
from cases.work_queue_models import QueueMember, WorkQueue
from cases.workflow import LIVE_CASES, AlertStatus, CaseStatus, MoveRefused

BATCH = 1000
PLACE = ("capacity", "skills", "is_available", "away_until")
"""What people say of somebody's place in a queue."""


def queue_mark(queue: WorkQueue) -> str:
    """The mark of a queue as it is stored, for whoever reads it to change it."""
    return mark_of(queue, sorted(row.pk for row in queue.detectors.all()) if queue.pk else [])


def member_mark(member: QueueMember) -> str:
    """The mark of somebody's place as it is stored, whatever work came to them since."""
    return mark_of(member, but="last_assigned_at")


@transaction.atomic
def save_queue(
    queue: WorkQueue, *, detectors: Sequence[int], actor: User, read: str | None = None
) -> WorkQueue:
    """Save a queue as a valid form left it. What is due already keeps its time, and what is not
    closed a limit that is lower from now on. Raises ChangedSince where `read`, the mark that the
    form was opened with, is not that of the queue any more."""
    made = queue.pk is None
    if not made:
        check_as_read(queue_mark(WorkQueue.objects.select_for_update().get(pk=queue.pk)), read)
    queue.save()
    _keep_limit(queue)
    queue.detectors.set(detectors)
    record_audit(
        actor=actor,
        action="work_queue.created" if made else "work_queue.changed",
        subject=queue,
        detail={
            "takes": queue.is_active,
            "detectors": sorted(detectors),
            "least_level": queue.least_level,
            "due_after": queue.due_after,
            "escalate_after": queue.escalate_after,
            "assignment": queue.assignment,
            "approval_limit": queue.approval_limit,
        },
    )
    return queue


def _keep_limit(queue: WorkQueue) -> None:
    """Let what the queue has, and is not closed, keep its limit where it kept none so low."""
    limit = limit_of_queue(queue)
    if limit is None:
        return
    higher = Q(approval_limit=None) | Q(approval_limit__gt=limit)
    cases = Case.objects.filter(higher, work_queue=queue).exclude(status=CaseStatus.CLOSED)
    cases.update(approval_limit=limit)
    alerts = Alert.objects.filter(higher, work_queue=queue).exclude(status=AlertStatus.CLOSED)
    alerts.update(approval_limit=limit)


@transaction.atomic
def save_member(member: QueueMember, *, actor: User, read: str | None = None) -> QueueMember:
    """Save somebody's place in a queue. Raises MoveRefused for who does not work on alerts, and
    ChangedSince where `read`, the mark that the form was opened with, is not that of the place any
    more: another one changed it, took them out or added them."""
    if not member.user.has_perm("cases.triage_alert"):
        raise MoveRefused(f"{member.user.name} does not work on alerts.")
    WorkQueue.objects.select_for_update().get(pk=member.queue_id)  # Two who add wait in turn.
    stored = QueueMember.objects.filter(queue=member.queue_id, user=member.user_id).first()
    check_as_read("" if stored is None else member_mark(stored), read)
    place = stored or QueueMember(queue=member.queue, user=member.user)
    for name in PLACE:
        setattr(place, name, getattr(member, name))
    place.save(update_fields=None if stored is None else PLACE)
    _tell_place(place, actor, made=stored is None)
    return place


@transaction.atomic
def set_available(member: QueueMember, available: bool, *, actor: User) -> QueueMember:
    """Whether somebody takes new work of a queue. Whoever does is not away any more; the rest of
    their place stays as it is. Raises MoveRefused for who does not work on alerts, or is in the
    queue no more."""
    if not member.user.has_perm("cases.triage_alert"):
        raise MoveRefused(f"{member.user.name} does not work on alerts.")
    places = QueueMember.objects.select_for_update(of=("self",)).select_related("queue", "user")
    place = places.filter(pk=member.pk).first()
    if place is None:
        raise MoveRefused("You are not in this queue any more.")
    place.is_available = available
    place.away_until = None if available else place.away_until
    place.save(update_fields=["is_available", "away_until"])
    _tell_place(place, actor, made=False)
    return place


def _tell_place(place: QueueMember, actor: User, *, made: bool) -> None:
    record_audit(
        actor=actor,
        action="work_queue.member_added" if made else "work_queue.member_changed",
        subject=place.queue,
        detail={
            "user": place.user.username,
            "capacity": place.capacity,
            "skills": place.skills,
            "available": place.is_available,
            "away_until": place.away_until,
        },
    )


@transaction.atomic
def remove_member(member: QueueMember, *, actor: User) -> None:
    """Take somebody out of a queue; what they own stays theirs."""
    queue, name = member.queue, member.user.username
    member.delete()
    record_audit(
        actor=actor, action="work_queue.member_removed", subject=queue, detail={"user": name}
    )


def place_unplaced(now: datetime) -> int:
    """Put open alerts and live cases that no queue had into the queue that takes them now; returns
    how many.

    Their times count from now: what is old only because there was no queue is not late.
    """
    routes = Routes()
    return _place_alerts(routes, now) + _place_cases(routes, now)


def _place_alerts(routes: Routes, now: datetime) -> int:
    placed = 0
    for route in routes.all():
        rows = Alert.objects.filter(
            status=AlertStatus.OPEN, work_queue=None, level__gte=route.queue.least_level
        ).order_by("pk")
        if route.detectors:
            rows = rows.filter(detector__in=route.detectors)
        for alert in rows[:BATCH]:
            place_alert(alert, routes=routes, now=now)
            placed += rows.filter(pk=alert.pk).update(
                work_queue=alert.work_queue,
                due_at=alert.due_at,
                escalate_at=alert.escalate_at,
                approval_limit=alert.approval_limit,
            )
    return placed


def _place_cases(routes: Routes, now: datetime) -> int:
    """Cases of before there were queues and types get both."""
    if not routes.all():
        return 0
    rows = Case.objects.filter(
        Exists(Alert.objects.filter(case=OuterRef("pk"))),
        status__in=LIVE_CASES,
        work_queue=None,
    ).order_by("-priority", "pk")
    return sum(_place_case(pk, routes, now) for pk in rows.values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def _place_case(pk: int, routes: Routes, now: datetime) -> int:
    case = Case.objects.select_for_update().filter(pk=pk, work_queue=None).first()
    alerts = [] if case is None else list(case.alerts.order_by("-level", "pk"))
    if case is None or not alerts:
        return 0
    place_case(case, alerts, routes=routes, now=now)
    case.approval_limit = limit_of(case)
    case.save(update_fields=["work_queue", "due_at", "escalate_at", "approval_limit"])
    if case.case_type_id is None and not case.checks.exists():
        start_checklist(case, detector_id=alerts[0].detector_id)
    return int(case.work_queue_id is not None)
