"""What is not done by its time: raise it, give it to the queue's lead, and say so.

Each escalation is a row; of rows with `notify` people are told (cases.telling).
"""

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.models import Alert, Case
from cases.priority import raise_priority
from cases.telling import tell_escalated
from cases.work_queue_models import Escalation, WorkQueue
from cases.workflow import LIVE_CASES, PRIORITIES, AlertStatus

BATCH = 500
URGENT = len(PRIORITIES) - 1


def escalate_overdue(now: datetime) -> int:
    """Escalate every open alert and live case whose time has come; returns how many.

    May run twice, and by two at once: a row is escalated by whoever locks it.
    """
    alerts = Alert.objects.filter(
        status=AlertStatus.OPEN, escalated_at=None, escalate_at__lte=now
    ).order_by("escalate_at")
    cases = Case.objects.filter(
        status__in=LIVE_CASES, escalated_at=None, escalate_at__lte=now
    ).order_by("escalate_at")
    done = 0
    for pk in list(alerts.values_list("pk", flat=True)[:BATCH]):
        done += _escalate_alert(pk, now)
    for pk in list(cases.values_list("pk", flat=True)[:BATCH]):
        done += _escalate_case(pk, now)
    return done


@transaction.atomic
def _escalate_alert(pk: int, now: datetime) -> int:
    rows = Alert.objects.select_for_update(skip_locked=True, of=("self",))
    alert = (
        rows.select_related("work_queue")
        .filter(pk=pk, status=AlertStatus.OPEN, escalated_at=None)
        .first()
    )
    if alert is None:
        return 0
    queue = alert.work_queue
    alert.escalated_at = now
    if queue is not None and queue.escalation_reassigns and queue.lead_id is not None:
        alert.owner_id = queue.lead_id
    alert.save(update_fields=["escalated_at", "owner"])
    emit(queue, alert=alert, now=now)
    record_audit(actor=None, action="alert.escalated", subject=alert, detail=_policy(queue))
    return 1


@transaction.atomic
def _escalate_case(pk: int, now: datetime) -> int:
    rows = Case.objects.select_for_update(skip_locked=True, of=("self",))
    case = (
        rows.select_related("work_queue")
        .filter(pk=pk, status__in=LIVE_CASES, escalated_at=None)
        .first()
    )
    if case is None:
        return 0
    queue = case.work_queue
    case.escalated_at = now
    if queue is not None and queue.escalation_reassigns and queue.lead_id is not None:
        case.owner_id = queue.lead_id
    case.save(update_fields=["escalated_at", "owner"])
    add_event(case, Kind.ESCALATED, actor=None, **_policy(queue))
    if queue is not None and queue.escalation_raises:
        raise_priority(case, min(case.priority + 1, URGENT), why="Not done by its time.")
    emit(queue, case=case, now=now)
    record_audit(actor=None, action="case.escalated", subject=case, detail=_policy(queue))
    return 1


def emit(
    queue: WorkQueue | None,
    *,
    now: datetime,
    alert: Alert | None = None,
    case: Case | None = None,
) -> Escalation:
    """Write down an escalation, to be told to the queue's lead, or to the owner without a lead."""
    item = alert or case
    recipient_id = None if item is None else item.owner_id
    if queue is not None and queue.lead_id is not None:
        recipient_id = queue.lead_id
    escalation = Escalation.objects.create(
        queue=queue,
        alert=alert,
        case=case,
        at=now,
        recipient_id=recipient_id,
        notify=queue is None or queue.escalation_notifies,
        detail=_policy(queue),
    )
    tell_escalated(escalation)
    return escalation


def _policy(queue: WorkQueue | None) -> dict[str, Any]:
    if queue is None:
        return {}
    return {
        "queue": queue.name,
        "raised": queue.escalation_raises,
        "reassigned": queue.escalation_reassigns and queue.lead_id is not None,
    }
