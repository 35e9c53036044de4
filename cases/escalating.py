"""What is not done by its time: raise it, give it to the queue's lead, and say so.

Each escalation is a row; of rows with `notify` people are told (cases.telling). A snoozed alert
wakes: what is late is in the queue, whoever put it aside. A lead who has left, or may not do the
work, gets nothing; then every lead is told.
"""

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.case_models import CaseHandover
from cases.handovers import end_waiting
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
        rows.select_related("work_queue__lead", "detector")
        .filter(pk=pk, status=AlertStatus.OPEN, escalated_at=None, escalate_at__lte=now)
        .first()
    )
    if alert is None:
        return 0
    queue, lead = alert.work_queue, _acting_lead(alert)
    alert.escalated_at = now
    alert.snoozed_until = alert.snoozed_by = None
    if queue is not None and queue.escalation_reassigns and lead is not None:
        alert.owner = lead
    alert.save(update_fields=["escalated_at", "snoozed_until", "snoozed_by", "owner"])
    done = emit(queue, alert=alert, now=now)
    record_audit(actor=None, action="alert.escalated", subject=alert, detail=done.detail)
    return 1


@transaction.atomic
def _escalate_case(pk: int, now: datetime) -> int:
    rows = Case.objects.select_for_update(skip_locked=True, of=("self",))
    case = (
        rows.select_related("work_queue__lead")
        .filter(pk=pk, status__in=LIVE_CASES, escalated_at=None, escalate_at__lte=now)
        .first()
    )
    if case is None:
        return 0
    queue, lead = case.work_queue, _acting_lead(case)
    case.escalated_at = now
    reassigns = queue is not None and queue.escalation_reassigns
    if reassigns and lead is not None and case.owner_id != lead.pk:
        end_waiting(case, CaseHandover.Status.WITHDRAWN, answer="It was late: its lead has it now.")
        case.owner = lead
    case.save(update_fields=["escalated_at", "owner"])
    add_event(case, Kind.ESCALATED, actor=None, **_policy(queue, lead))
    if queue is not None and queue.escalation_raises:
        raise_priority(case, min(case.priority + 1, URGENT), why="Not done by its time.")
    done = emit(queue, case=case, now=now)
    record_audit(actor=None, action="case.escalated", subject=case, detail=done.detail)
    return 1


def emit(
    queue: WorkQueue | None,
    *,
    now: datetime,
    alert: Alert | None = None,
    case: Case | None = None,
) -> Escalation:
    """Write down an escalation, to be told to the queue's lead, or to the owner without a lead.

    Without a recipient, every lead is told: also when the one there is has left.
    """
    item = alert or case
    lead = None if item is None else _acting_lead(item)
    recipient = lead
    if item is not None and (queue is None or queue.lead is None) and _may(item.owner, item):
        recipient = item.owner
    escalation = Escalation.objects.create(
        queue=queue,
        alert=alert,
        case=case,
        at=now,
        recipient=recipient,
        notify=queue is None or queue.escalation_notifies,
        detail=_policy(queue, lead),
    )
    tell_escalated(escalation)
    return escalation


def _acting_lead(item: Alert | Case) -> User | None:
    """The lead of its queue, if they still are here and may do the work."""
    lead = None if item.work_queue is None else item.work_queue.lead
    return lead if _may(lead, item) else None


def _may(user: User | None, item: Alert | Case) -> bool:
    """Whether somebody can be told of it, and given it."""
    work = "cases.triage_alert" if isinstance(item, Alert) else "cases.work_case"
    return user is not None and user.is_active and user.has_perms(("cases.view_case", work))


def _policy(queue: WorkQueue | None, lead: User | None) -> dict[str, Any]:
    if queue is None:
        return {}
    return {
        "queue": queue.name,
        "raised": queue.escalation_raises,
        "reassigned": queue.escalation_reassigns and lead is not None,
    }
