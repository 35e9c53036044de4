"""A case's priority: new evidence only raises it, a person with a reason may lower it."""

from django.db import transaction

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.models import Alert, Case
from cases.workflow import LIVE_CASES, PRIORITIES, MoveRefused

LOWER = "cases.assign_alert"
LEAST_REASON = 5


def raise_priority(case: Case, to: int, *, why: str, actor: User | None = None) -> bool:
    """Raise a case's priority to `to`; whether it was lower. Inside a transaction.

    The comparison is the database's own, so that two who raise at once end at the higher.
    """
    before = Case.objects.select_for_update().values_list("priority", flat=True).get(pk=case.pk)
    if not Case.objects.filter(pk=case.pk, priority__lt=to).update(priority=to):
        return False
    case.priority = to
    add_event(case, Kind.PRIORITY, actor=actor, text=why, **_change(before, to))
    return True


@transaction.atomic
def set_priority(case: Case, *, to: int, reason: str, actor: User) -> Case:
    """Set the priority by hand. Raises MoveRefused: anybody who works cases may raise it, lowering
    takes a lead and a written reason."""
    if not 0 <= to < len(PRIORITIES):
        raise MoveRefused("Choose one of the priorities.")
    row = Case.objects.select_for_update().get(pk=case.pk)
    if row.status not in LIVE_CASES:
        raise MoveRefused("Only a case that is not closed has a priority to change.")
    if not actor.has_perm("cases.work_case"):
        raise MoveRefused("You may not: change the priority.")
    if to == row.priority:
        return row
    lowers = to < row.priority
    if lowers and not actor.has_perm(LOWER):
        raise MoveRefused("Priority only rises: a lead may lower it, with a reason.")
    if lowers and len(reason.strip()) < LEAST_REASON:
        raise MoveRefused("Say why it is less urgent than it was.")
    before, row.priority = row.priority, to
    row.save(update_fields=["priority"])
    add_event(row, Kind.PRIORITY, actor=actor, text=reason.strip(), **_change(before, to))
    record_audit(
        actor=actor,
        action="case.priority_changed",
        subject=row,
        detail={**_change(before, to), "reason": reason.strip()},
    )
    return row


def take_evidence(alert: Alert, *, events: int) -> None:
    """Let the case of an alert know that it has grown: a line in its timeline, and its priority
    follows the alert's level upwards. Inside a transaction."""
    case = alert.case
    if case is None:
        return
    add_event(case, Kind.EVIDENCE, actor=None, alert=alert.pk, events=events)
    raise_priority(case, alert.level, why=f"Alert {alert.pk} is {alert.level_name} now.")


def _change(before: int, after: int) -> dict[str, str]:
    return {"from": PRIORITIES[before], "to": PRIORITIES[after]}
