"""Put an alert aside for a while, wake it, note something on it."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.locking import check_lock
from cases.mentioning import check_said_once, tell_named
from cases.models import Alert
from cases.queue_models import AlertComment
from cases.workflow import AlertStatus, MoveRefused, check_seen

LONGEST = timedelta(days=30)
SNOOZES = {
    "1h": ("1 hour", timedelta(hours=1)),
    "4h": ("4 hours", timedelta(hours=4)),
    "1d": ("1 day", timedelta(days=1)),
    "3d": ("3 days", timedelta(days=3)),
    "7d": ("1 week", timedelta(days=7)),
}
"""What pages offer: name, words, how long."""


def snooze_choices() -> list[tuple[str, str]]:
    """(name, words) of the times that pages offer."""
    return [(name, words) for name, (words, _) in SNOOZES.items()]


def _open(alert: Alert, actor: User) -> Alert:
    rows = Alert.objects.select_for_update(of=("self",)).select_related("locked_by")
    row = rows.get(pk=alert.pk)
    if row.status != AlertStatus.OPEN:
        raise MoveRefused(
            "This alert belongs to a case."
            if row.status == AlertStatus.IN_CASE
            else "This alert is closed already."
        )
    check_lock(row, actor)
    return row


@transaction.atomic
def snooze_alert(
    alert: Alert, *, until: datetime, actor: User, note: str = "", seen: int | None = None
) -> Alert:
    """Put an open alert aside until a time, or until new evidence comes. Raises MoveRefused, also
    where it holds other events than the actor saw: new evidence came already."""
    now = timezone.now()
    if not now < until <= now + LONGEST:
        raise MoveRefused(f"Snooze it until a time within the next {LONGEST.days} days.")
    row = _open(alert, actor)
    check_seen(row.predictions_count, seen)
    row.snoozed_until, row.snoozed_by = until, actor
    row.locked_by = row.locked_until = None
    row.save(update_fields=["snoozed_until", "snoozed_by", "locked_by", "locked_until"])
    if note.strip():
        AlertComment.objects.create(alert=row, author=actor, text=note.strip())
    record_audit(
        actor=actor, action="alert.snoozed", subject=row, detail={"until": until.isoformat()}
    )
    return row


@transaction.atomic
def wake_alert(alert: Alert, *, actor: User) -> Alert:
    """End a snooze now. Raises MoveRefused."""
    row = _open(alert, actor)
    if row.snoozed_until is None:
        raise MoveRefused("This alert is not snoozed.")
    row.snoozed_until = row.snoozed_by = None
    row.save(update_fields=["snoozed_until", "snoozed_by"])
    record_audit(actor=actor, action="alert.woken", subject=row)
    return row


@transaction.atomic
def comment_on_alert(alert: Alert, *, text: str, actor: User, tell: bool = True) -> AlertComment:
    """Add a comment and tell who is named in it, unless the caller does (`tell`). Raises
    MoveRefused when it is empty, SaidAlready when they wrote the same a moment ago."""
    if not text.strip():
        raise MoveRefused("Write something first.")
    Alert.objects.select_for_update().get(pk=alert.pk)
    said = AlertComment.objects.filter(alert=alert, author=actor)
    check_said_once(said, text=text.strip())
    comment = AlertComment.objects.create(alert=alert, author=actor, text=text.strip())
    if tell:
        tell_named([comment])
    return comment
