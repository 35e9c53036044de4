"""What of alerts and cases is told to people and other systems. Words only; who is told, and how,
is for `notifications`."""

from collections.abc import Sequence

from accounts.models import User
from cases.models import Alert, Case, CaseEvent
from cases.queue_models import Closing
from cases.work_queue_models import Escalation
from cases.workflow import CaseStatus
from notifications.services import notify
from scoring.core.types import RISK_LEVELS, RiskLevel

CRITICAL = RISK_LEVELS.index(RiskLevel.CRITICAL)


def tell_alert_critical(alert: Alert, *, before: int) -> None:
    """An alert opened at, or rose to, the highest level; `before` is where it stood."""
    if alert.level != CRITICAL or before == CRITICAL:
        return
    notify(
        "alert.opened",
        key=f"alert.opened:{alert.pk}",
        subject=f"Critical alert {alert.pk} of {alert.detector.name}",
        text=_what(alert),
        url=alert.get_absolute_url(),
        about=alert.detector.slug,
        data={"alert": alert.pk, "level": RISK_LEVELS[alert.level].value},
    )


def tell_alert_closed(alert: Alert, *, actor: User) -> None:
    """An alert was closed with an outcome. One that is judged anew is told anew."""
    notify(
        "alert.closed",
        key=f"alert.closed:{alert.pk}:{alert.closed_at}",
        subject=f"Alert {alert.pk} of {alert.detector.name} closed",
        text=f"Found: {alert.get_disposition_display().lower()}. By {actor.name}.",
        url=alert.get_absolute_url(),
        about=alert.detector.slug,
        users=[alert.owner],
        actor=actor,
        data={
            "alert": alert.pk,
            "disposition": alert.disposition,
            "reason_code": alert.reason_code,
        },
    )


def tell_alert_reopened(alert: Alert, *, closing: Closing, actor: User) -> None:
    """A closing was undone: what was told of it, and the labels, no longer hold."""
    notify(
        "alert.reopened",
        key=f"alert.reopened:{closing.pk}",
        subject=f"Alert {alert.pk} of {alert.detector.name} open again",
        text=f"Its closing was undone by {actor.name}.",
        url=alert.get_absolute_url(),
        about=alert.detector.slug,
        users=[alert.owner],
        actor=actor,
        data={"alert": alert.pk},
    )


def tell_case_opened(case: Case, *, actor: User) -> None:
    """An investigation began."""
    notify(
        "case.opened",
        key=f"case.opened:{case.pk}",
        subject=f"Case {case.pk} opened: {case.title}",
        text=f"By {actor.name}.",
        url=case.get_absolute_url(),
        actor=actor,
        data={"case": case.pk},
    )


def tell_case_moved(case: Case, *, event: CaseEvent, actor: User) -> None:
    """A case took another status, `event` being its line in the timeline."""
    closed = case.status == CaseStatus.CLOSED
    notify(
        "case.closed" if closed else "case.moved",
        key=f"case.moved:{event.pk}",
        subject=f"Case {case.pk} is now {case.get_status_display().lower()}: {case.title}",
        text=f"By {actor.name}.",
        url=case.get_absolute_url(),
        users=[case.owner, case.opened_by],
        actor=actor,
        data={"case": case.pk, **event.detail},
    )


def tell_mentioned(event: CaseEvent, users: Sequence[User]) -> None:
    """Somebody was named in a comment on a case."""
    if not users:
        return
    by = event.actor.name if event.actor else "the platform"
    notify(
        "case.mention",
        key=f"case.mention:{event.pk}",
        subject=f"{by} mentions you in case {event.case_id}: {event.case.title}",
        text="The comment stands in the case's timeline.",
        url=event.case.get_absolute_url(),
        users=users,
        actor=event.actor,
        data={"case": event.case_id},
    )


def tell_escalated(escalation: Escalation) -> None:
    """An alert or a case was not done by its time."""
    item = escalation.alert or escalation.case
    if item is None or not escalation.notify:
        return
    notify(
        "sla.due",
        key=f"sla.due:{escalation.pk}",
        subject=f"{type(item).__name__} {item.pk} was not done by its time",
        text=f"It waits in {escalation.queue}." if escalation.queue else "It has no team queue.",
        url=item.get_absolute_url(),
        users=[escalation.recipient] if escalation.recipient else None,
        data={"escalation": escalation.pk, **escalation.detail},
    )


def _what(alert: Alert) -> str:
    """Its size in a line, without anything of a person."""
    count = alert.predictions_count
    found = [f"{count} event{'' if count == 1 else 's'}"]
    if alert.risk is not None:
        found.append(f"probability {alert.risk:.0%}")
    if alert.exposure is not None:
        found.append(f"{alert.exposure:,.2f} {alert.currency} at risk".replace("  ", " "))
    return ", ".join(found) + "."
