"""Closings, and how a slip is undone: the alert opens again, its labels are taken back, and all of
it stays on record."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.labels import take_labels_back
from cases.models import Alert, AlertPrediction
from cases.queue_models import Closing
from cases.second_look_models import SecondLook
from cases.signature_models import AlertSignature
from cases.telling import tell_alert_reopened
from cases.workflow import AlertStatus, MoveRefused, SecondLookStatus

NEWER = "A newer alert of this entity is open: decide that one."


def note_closing(alert: Alert, *, actor: User, at: datetime, batch: UUID) -> Closing:
    """Remember who closed an alert; `at` is also the time of the labels that came of it."""
    return Closing.objects.create(alert=alert, user=actor, at=at, batch=batch)


def undo_until(closing: Closing) -> datetime:
    """Until when whoever closed it may undo that."""
    return closing.at + timedelta(minutes=settings.ALERT_UNDO_MINUTES)


def closings_to_undo(batch: UUID, *, alert: int | None = None) -> list[Closing]:
    """What one act closed and nobody has undone; of it only `alert`, where that is given."""
    rows = Closing.objects.filter(batch=batch, undone_at=None).order_by("pk")
    return list(rows if alert is None else rows.filter(alert=alert))


def closing_by(alert: Alert, user: User) -> Closing | None:
    """The closing of this alert, where `user` closed it and may still undo that."""
    if alert.closed_at is None or alert.closed_by_id != user.pk:
        return None
    rows = Closing.objects.filter(alert=alert, user=user, undone_at=None, at=alert.closed_at)
    closing = rows.first()
    return closing if closing is not None and timezone.now() <= undo_until(closing) else None


def closing_again(
    alert: Alert, *, disposition: str, reason_code: str, notes: str, actor: User
) -> Closing | None:
    """The closing, some minutes ago at most, by which `actor` said the very same: their form came
    twice, as by a second press of a key."""
    rows = Closing.objects.filter(
        alert=alert,
        user=actor,
        undone_at=None,
        at=F("alert__closed_at"),
        at__gte=timezone.now() - timedelta(minutes=settings.ALERT_UNDO_MINUTES),
        alert__disposition=disposition,
        alert__reason_code=reason_code,
    )
    if notes.strip():
        rows = rows.filter(alert__comments__author=actor, alert__comments__text=notes.strip())
    return rows.first()


@transaction.atomic
def undo_closing(closing: Closing, *, actor: User) -> Alert:
    """Open an alert again and take back the labels of its closing. Raises MoveRefused.

    Whoever closed it may, for ALERT_UNDO_MINUTES; not once somebody has decided otherwise or given
    it a second look since, or while a newer alert of the entity is live. A second look that still
    waits is void from then on.
    """
    alert = Alert.objects.select_for_update().get(pk=closing.alert_id)
    closing = Closing.objects.select_for_update().get(pk=closing.pk)
    if closing.undone_at is not None:
        raise MoveRefused("This was undone already.")
    if closing.user_id != actor.pk:
        raise MoveRefused("Only whoever closed it may undo that.")
    now = timezone.now()
    if now > undo_until(closing):
        raise MoveRefused("It is too late to undo this: open a case, or report the truth anew.")
    if alert.status != AlertStatus.CLOSED or alert.closed_at != closing.at:
        raise MoveRefused("Somebody has changed this alert since.")
    looks = SecondLook.objects.filter(alert=alert, first_at=closing.at)
    if looks.exclude(status=SecondLookStatus.WAITING).exists():
        raise MoveRefused("A colleague has given it a second look since.")
    live = Alert.objects.filter(detector_id=alert.detector_id, entity=alert.entity)
    if live.exclude(status=AlertStatus.CLOSED).exists():
        raise MoveRefused(NEWER)
    # Before the labels are taken back: what windows have learnt is not rolled back everywhere.
    _open_again(alert)
    predictions = AlertPrediction.objects.filter(alert=alert).values_list("prediction_id")
    taken_back = take_labels_back(
        [pk for (pk,) in predictions], author=actor, label_time=closing.at, actor=actor
    )
    closing.undone_at, closing.undone_by = now, actor
    closing.save(update_fields=["undone_at", "undone_by"])
    record_audit(
        actor=actor,
        action="alert.closing_undone",
        subject=alert,
        detail={"labels_taken_back": taken_back},
    )
    tell_alert_reopened(alert, closing=closing, actor=actor)
    return alert


def _open_again(alert: Alert) -> None:
    """It is open, and looks like no closed one any more. Raises MoveRefused."""
    alert.status, alert.closed_at, alert.disposition, alert.reason_code = (
        AlertStatus.OPEN, None, "", "",
    )  # fmt: skip
    alert.closed_by = None
    try:
        with transaction.atomic():
            alert.save(
                update_fields=["status", "closed_at", "closed_by", "disposition", "reason_code"]
            )
    except IntegrityError as error:
        # A newer alert was opened at this very moment.
        raise MoveRefused(NEWER) from error
    AlertSignature.objects.filter(alert=alert).delete()
