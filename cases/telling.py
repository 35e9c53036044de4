"""What of alerts and cases is told to people and other systems. Words only; who is told, and how,
is for `notifications`."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from django.db.models import Max, Min, QuerySet
from django.urls import reverse

from accounts.models import User
from accounts.quantities import in_percent
from accounts.selectors import holders_of
from cases.case_models import CaseApproval
from cases.models import Alert, Case, CaseEvent
from cases.queue_models import AlertComment, Closing
from cases.work_queue_models import Escalation
from cases.workflow import CaseStatus
from notifications.services import notify
from scoring.core.types import RISK_LEVELS, RiskLevel
from scoring.models import Prediction

CRITICAL = RISK_LEVELS.index(RiskLevel.CRITICAL)
MOST_EVENTS = 100
"""Of an alert, in one message."""


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
        data=lambda: _alert_data(alert, level=RISK_LEVELS[alert.level].value),
    )


def tell_alert_closed(alert: Alert, *, finder: User, actor: User) -> None:
    """An alert was closed with an outcome. One that is judged anew is told anew.

    `actor`, who closed it just now, knows; `finder` may be another one, whose finding that was.
    """
    notify(
        "alert.closed",
        key=f"alert.closed:{alert.pk}:{alert.closed_at}",
        subject=f"Alert {alert.pk} of {alert.detector.name} closed",
        text=f"Found: {alert.get_disposition_display().lower()}. By {finder.name}.",
        url=alert.get_absolute_url(),
        about=alert.detector.slug,
        users=[alert.owner],
        actor=actor,
        data=lambda: _alert_data(
            alert, disposition=alert.disposition, reason_code=alert.reason_code
        ),
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
        data=lambda: _alert_data(alert),
    )


def _alert_data(alert: Alert, **more: str) -> dict[str, Any]:
    """What a system reads of an alert: also which of its own events are in it, the newest first."""
    rows = (
        Prediction.objects.filter(alert_link__alert=alert)
        .order_by("-event_time", "-pk")
        .values_list("pk", "external_id")[:MOST_EVENTS]
    )
    events = [{"prediction_id": str(pk), "external_id": own} for pk, own in rows]
    return {"alert": alert.pk, **more, "events": events, "events_in_all": alert.predictions_count}


def tell_case_opened(case: Case, *, actor: User) -> None:
    """An investigation began."""
    notify(
        "case.opened",
        key=f"case.opened:{case.pk}",
        subject=f"Case {case.pk} opened: {case.title}",
        text=f"By {actor.name}.",
        url=case.get_absolute_url(),
        about=_detectors(case.alerts.all()),
        actor=actor,
        data={"case": case.pk},
    )


def tell_case_moved(
    case: Case, *, event: CaseEvent, actor: User, asker: User | None = None
) -> None:
    """A case took another status, `event` being its line in the timeline; `asker` had asked for
    its closing."""
    closed = case.status == CaseStatus.CLOSED
    notify(
        "case.closed" if closed else "case.moved",
        key=f"case.moved:{event.pk}",
        subject=f"Case {case.pk} is now {case.get_status_display().lower()}: {case.title}",
        text=f"{actor.name} returned it for rework." if asker else f"By {actor.name}.",
        url=case.get_absolute_url(),
        about=_detectors(case.alerts.all()),
        users=[case.owner, case.opened_by, asker],
        actor=actor,
        data={"case": case.pk, **event.detail},
    )


def tell_closing_asked(asked: CaseApproval, *, actor: User) -> None:
    """A case above the loss limit waits for a second person: whoever may be that one is told."""
    case = asked.case
    stake = asked.totals_words or f"{asked.amount:,.2f} {asked.currency}".strip()
    notify(
        "case.asked",
        key=f"case.asked:{asked.pk}",
        subject=f"Case {case.pk} waits for a second person: {case.title}",
        text=f"{actor.name} asks to close it. {stake} at risk.",
        url=case.get_absolute_url(),
        about=_detectors(case.alerts.all()),
        users=holders_of("cases.approve_case"),
        actor=actor,
        data={"case": case.pk, "approval": asked.pk},
    )


def tell_case_given(case: Case, *, to: User, event: CaseEvent, actor: User | None) -> None:
    """A case was given to somebody, or handed over to them; `event` says so in its timeline."""
    offered = event.kind == CaseEvent.Kind.HANDED_OVER
    words = "is handed over to you" if offered else "is yours now"
    by = f"By {actor.name}." if actor else "By the team queue."
    notify(
        "case.handed_over",
        key=f"case.handed_over:{event.pk}",
        subject=f"Case {case.pk} {words}: {case.title}",
        text=f"{by} Take it or decline it on its page." if offered else by,
        url=case.get_absolute_url(),
        about=_detectors(case.alerts.all()),
        users=[to],
        actor=actor,
        data={"case": case.pk},
    )


def tell_alerts_given(alert_ids: Sequence[int], *, to: User, actor: User | None) -> None:
    """Alerts were given to somebody by one act: one line, however many they are."""
    if not alert_ids:
        return
    one, count = len(alert_ids) == 1, len(alert_ids)
    notify(
        "alert.assigned",
        key=f"alert.assigned:{uuid4()}",
        subject=f"Alert {alert_ids[0]} is yours now" if one else f"{count} alerts are yours now",
        text=f"By {actor.name}." if actor else "By the team queue.",
        url=reverse("alert_detail", args=[alert_ids[0]]) if one else f"{reverse('queue')}?owner=me",
        about=_detectors(Alert.objects.filter(pk__in=alert_ids)),
        users=[to],
        actor=actor,
        data={"alerts": list(alert_ids)},
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
        about=_detectors(event.case.alerts.all()),
        users=users,
        actor=event.actor,
        data={"case": event.case_id},
    )


def tell_mentioned_on_alerts(comments: Sequence[AlertComment], users: Sequence[User]) -> None:
    """Somebody was named in a comment on an alert, or in the same one on many: one line."""
    if not users:
        return
    first, others = comments[0], len(comments) - 1
    by = first.author.name if first.author else "the platform"
    where = f"alert {first.alert_id}" + (f" and {others} more" if others else "")
    alert_ids = [comment.alert_id for comment in comments]
    notify(
        "case.mention",
        key=f"alert.mention:{first.pk}",
        subject=f"{by} mentions you on {where}",
        text="The comment stands on the alert's page.",
        url=first.alert.get_absolute_url(),
        about=_detectors(Alert.objects.filter(pk__in=alert_ids)),
        users=users,
        actor=first.author,
        data={"alerts": alert_ids},
    )


def tell_escalated(escalation: Escalation) -> None:
    """An alert or a case was not done by its time. Many of a queue and a detector become one
    line."""
    item = escalation.alert or escalation.case
    if item is None or not escalation.notify:
        return
    notify(
        "sla.due",
        key=f"sla.due:{escalation.pk}",
        subject=f"{type(item).__name__} {item.pk} was not done by its time",
        text=f"It waits in {escalation.queue}." if escalation.queue else "It has no team queue.",
        url=item.get_absolute_url(),
        about=item.detector.slug if isinstance(item, Alert) else _detectors(item.alerts.all()),
        group=f"queue {escalation.queue_id}, for {escalation.recipient_id}",
        users=[escalation.recipient] if escalation.recipient else None,
        data={"escalation": escalation.pk, **escalation.detail},
    )


def _detectors(alerts: QuerySet[Alert]) -> list[str]:
    """The detectors of some alerts, that of the riskiest first: routes of each get the news. One
    query."""
    ranked = alerts.order_by().values_list("detector__slug").annotate(top=Max("level"))
    return [row[0] for row in ranked.annotate(first=Min("pk")).order_by("-top", "first")]


def _what(alert: Alert) -> str:
    """Its size in a line, without anything of a person."""
    count = alert.predictions_count
    found = [f"{count} event{'' if count == 1 else 's'}"]
    if alert.risk is not None:
        found.append(f"probability {in_percent(alert.risk)}")
    if alert.exposure is not None:
        found.append(f"{alert.exposure:,.2f} {alert.currency} at risk".replace("  ", " "))
    return ", ".join(found) + "."
