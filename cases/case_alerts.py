"""Alerts go into cases, and out of them again."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.checklists import start_checklist
from cases.limits import limit_of, lowest, stake_of
from cases.locking import IN_HANDS, check_lock
from cases.models import Alert, Case
from cases.priority import raise_priority
from cases.routing import Routes, place_case, renew_times
from cases.telling import tell_case_opened
from cases.workflow import WORKED_ON, AlertStatus, MoveRefused


@transaction.atomic
def open_case(alerts: Sequence[Alert], *, title: str, actor: User) -> Case:
    """Open an investigation over alerts that are open. Raises MoveRefused if one is not."""
    wanted = Alert.objects.select_for_update(of=("self",)).select_related("locked_by", "work_queue")
    rows = list(wanted.filter(pk__in=[a.pk for a in alerts]).order_by("pk"))
    if not rows or any(row.status != AlertStatus.OPEN for row in rows):
        raise MoveRefused("Only open alerts can go into a new case.")
    for row in rows:
        check_lock(row, actor)
    now = timezone.now()
    case = Case(
        title=title[:200],
        opened_by=actor,
        owner=actor,
        opened_at=now,
        priority=max(row.level for row in rows),
    )
    place_case(case, rows, routes=Routes(), now=now)
    _keep_limit(case, rows)
    start_checklist(case, detector_id=rows[0].detector_id)
    add_event(case, Kind.OPENED, actor=actor)
    _take_in(case, rows, actor=actor)
    tell_case_opened(case, actor=actor)
    record_audit(
        actor=actor,
        action="case.opened",
        subject=case,
        detail={"alerts": [row.pk for row in rows]},
    )
    return case


@transaction.atomic
def add_to_case(case: Case, alerts: Sequence[Alert], *, actor: User) -> Case:
    """Put open alerts into a case that is worked on; its priority may rise. Raises MoveRefused."""
    case = _worked_on(case, actor)
    wanted = Alert.objects.select_for_update(of=("self",)).select_related("locked_by", "work_queue")
    rows = list(wanted.filter(pk__in=[a.pk for a in alerts]).order_by("pk"))
    if not rows or any(row.status != AlertStatus.OPEN for row in rows):
        raise MoveRefused("Only open alerts can go into a case.")
    for row in rows:
        check_lock(row, actor)
    _keep_limit(case, rows)
    case.save(update_fields=["approval_limit"])
    _take_in(case, rows, actor=actor)
    top = max(rows, key=lambda row: row.level)
    raise_priority(case, top.level, why=f"Alert {top.pk} is {top.level_name}.", actor=actor)
    record_audit(
        actor=actor,
        action="case.alerts_added",
        subject=case,
        detail={"alerts": [row.pk for row in rows]},
    )
    return case


@transaction.atomic
def take_out_of_case(case: Case, alert: Alert, *, actor: User, reason: str) -> Alert:
    """Put an alert of a case that is worked on back into the queue. Raises MoveRefused.

    Above its limit only who may approve closings does that, and then does not close the alert.
    """
    if not reason.strip():
        raise MoveRefused("Say why it does not belong here.")
    case = _worked_on(case, actor)
    row = Alert.objects.select_for_update().filter(pk=alert.pk, case=case).first()
    if row is None or row.status != AlertStatus.IN_CASE:
        raise MoveRefused("This alert is not an open one of this case.")
    stake = stake_of(case)
    if stake.above:
        if not actor.has_perm("cases.approve_case"):
            raise MoveRefused(f"{stake.reason}: ask a lead to take alerts out.{stake.remedy}")
        row.taken_out_by = actor
    row.status, row.case = AlertStatus.OPEN, None
    row.save(update_fields=["status", "case", "taken_out_by"])
    renew_times(row, timezone.now())
    add_event(case, Kind.ALERT_REMOVED, actor=actor, text=reason.strip(), alert=row.pk)
    record_audit(
        actor=actor,
        action="case.alert_removed",
        subject=case,
        detail={"alert": row.pk, "reason": reason.strip()},
    )
    return row


def _worked_on(case: Case, actor: User) -> Case:
    """The case, locked. Raises MoveRefused unless the actor may work on it and it is open."""
    row = Case.objects.select_for_update().get(pk=case.pk)
    if not actor.has_perm("cases.work_case"):
        raise MoveRefused("You may not work on cases.")
    if row.status not in WORKED_ON:
        words = row.status.replace("_", " ")
        raise MoveRefused(f"A case that is {words} keeps its alerts as they are.")
    return row


def _keep_limit(case: Case, rows: Sequence[Alert]) -> None:
    """Let the strictest limit of the case and of what comes in stand; the case is not saved."""
    case.approval_limit = lowest((limit_of(case), *(limit_of(row) for row in rows)))


def _take_in(case: Case, rows: Sequence[Alert], *, actor: User) -> None:
    for row in rows:
        row.status = AlertStatus.IN_CASE
        row.case = case
        row.owner = case.owner
        row.locked_by = row.locked_until = row.snoozed_until = row.snoozed_by = None
        row.save(update_fields=["status", "case", "owner", *IN_HANDS])
        add_event(case, Kind.ALERT_ADDED, actor=actor, alert=row.pk)
