"""Open alerts, decide them, give them to people; comments on cases, and who looks at what."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.closing import note_closing
from cases.drawing import draw_second_look
from cases.exchange import Rates
from cases.exchange_rates import current_rates
from cases.expected_loss import value_alerts
from cases.labels import give_labels
from cases.limits import check_alone
from cases.locking import IN_HANDS, check_lock
from cases.mentioning import check_said_once, note_mentions
from cases.models import Alert, AlertPrediction, Case, CaseEvent, Touch
from cases.priority import take_evidence
from cases.queue_models import AlertComment
from cases.routing import Routes, place_alert
from cases.selectors import linked
from cases.summing_up import Known, sum_up
from cases.telling import (
    tell_alert_closed,
    tell_alert_critical,
    tell_alerts_given,
)
from cases.workflow import AlertStatus, Disposition, MoveRefused, check_reason, check_seen
from scoring.core.types import RISK_LEVELS, RiskLevel
from scoring.models import Prediction

logger = logging.getLogger(__name__)
ATTEMPTS = 3
CLOSING = ("status", "closed_at", "closed_by", "disposition", "reason_code")


class _Moved(DatabaseError):
    """An alert went into a case, or out of one, between two looks at it."""


def open_alerts(prediction_ids: Sequence[UUID]) -> int:
    """See that each flagged prediction is in an alert of its entity; returns how many were added.

    A prediction joins the entity's live alert, else opens one. May run twice: a prediction that is
    in an alert already is passed over.
    """
    done = linked(list(prediction_ids))
    groups: dict[tuple[int, str], list[Prediction]] = defaultdict(list)
    fresh = [pk for pk in prediction_ids if pk not in done]
    rows = Prediction.objects.filter(pk__in=fresh).prefetch_related("detector")
    for prediction in rows.order_by("event_time", "pk"):
        groups[prediction.detector_id, prediction.entity].append(prediction)
    if not groups:
        return 0
    added, routes, known, rates = 0, Routes(), Known(), current_rates()
    for predictions in groups.values():
        try:
            added += _group(predictions, routes, known, rates)
        except DatabaseError:
            # One entity must not keep the others from analysts; the sweep will try it again.
            logger.exception("Prediction %s got no alert.", predictions[0].pk)
    return added


def _group(predictions: list[Prediction], routes: Routes, known: Known, rates: Rates | None) -> int:
    """Put predictions of one entity into its live alert; new evidence ends a snooze."""
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                alert = _live_alert(predictions[0])
                alert.detector = predictions[0].detector  # One object for all alerts of it.
                level, is_new = alert.level, not alert.predictions_count
                done = linked([prediction.pk for prediction in predictions])
                new = [prediction for prediction in predictions if prediction.pk not in done]
                if not new:
                    # Another worker was faster; an alert that was made just now would stay empty.
                    transaction.set_rollback(True)
                    return 0
                AlertPrediction.objects.bulk_create(
                    [AlertPrediction(alert=alert, prediction=row) for row in new]
                )
                for prediction in new:
                    _absorb(alert, prediction)
                value_alerts([alert], rates)
                alert.snoozed_until = alert.snoozed_by = None
                sum_up(alert, new, known, is_new=is_new)
                place_alert(alert, routes=routes, now=timezone.now())
                alert.save()
                tell_alert_critical(alert, before=level)
                if alert.case_id is not None:
                    take_evidence(alert, events=len(new))
                return len(new)
        except (IntegrityError, _Moved):
            # Another worker opened the entity's alert first, or somebody put it into a case; the
            # next attempt will find it there, holding no lock until then.
            if attempt == ATTEMPTS - 1:
                raise
    return 0


def _live_alert(prediction: Prediction) -> Alert:
    """The entity's live alert, locked; a new one when it has none.

    A case is locked before its alerts, here and wherever both are: nobody waits in a circle. Raises
    _Moved when the alert has changed its case since that was looked up.
    """
    rows = Alert.objects.filter(
        detector_id=prediction.detector_id, entity=prediction.entity
    ).exclude(status=AlertStatus.CLOSED)
    live = rows.values_list("case_id").first()
    if live is not None:
        (case_id,) = live
        if case_id is not None:
            Case.objects.select_for_update().filter(pk=case_id).first()
        alert = rows.select_for_update().first()
        if alert is not None:
            if alert.case_id != case_id:
                raise _Moved(f"Alert {alert.pk} has changed its case.")
            return alert
    return Alert.objects.create(
        detector_id=prediction.detector_id,
        entity=prediction.entity,
        level=0,
        currency=prediction.currency,
        top_prediction=prediction,
        first_event_at=prediction.event_time,
        last_event_at=prediction.event_time,
        opened_at=timezone.now(),
    )


def _absorb(alert: Alert, prediction: Prediction) -> None:
    """Let the alert's summary take in one more prediction; level and risk only rise."""
    level = RISK_LEVELS.index(RiskLevel(prediction.risk_level))
    risk = prediction.risk
    if alert.predictions_count == 0 or (level, risk or 0.0) > (alert.level, alert.risk or 0.0):
        alert.top_prediction = prediction
        alert.level = level
        alert.risk = risk
    if alert.exposure is None and prediction.exposure is not None:
        alert.currency = prediction.currency
    # Amounts are shown in their own currency; others count in expected_loss and limits.stake_of.
    if prediction.exposure is not None and prediction.currency == alert.currency:
        alert.exposure = (alert.exposure or 0) + prediction.exposure
    alert.predictions_count += 1
    alert.first_event_at = min(alert.first_event_at, prediction.event_time)
    alert.last_event_at = max(alert.last_event_at, prediction.event_time)


@transaction.atomic
def label_alert(
    alert: Alert,
    *,
    disposition: str,
    reason_code: str,
    actor: User,
    notes: str = "",
    batch: UUID | None = None,
    seen: int | None = None,
) -> Alert:
    """Close an alert with what was found, and label its predictions (inconclusive gives none).

    Notes stand on the alert too, as a comment: an inconclusive end has no label to hold them. What
    one `batch` closed can be undone together (cases.closing). `seen`: how many events it held when
    the actor looked. Raises MoveRefused when it is closed already, belongs to a case, which closes
    it, is in somebody else's hands, holds events that the actor did not see, or takes a second
    person, and so a case.
    """
    found = check_reason(disposition, reason_code, notes)
    alert = (
        Alert.objects.select_for_update(of=("self",))
        .select_related("locked_by", "work_queue")
        .get(pk=alert.pk)
    )
    if alert.status != AlertStatus.OPEN:
        raise MoveRefused(
            "This alert belongs to a case: close the case."
            if alert.status == AlertStatus.IN_CASE
            else "This alert is closed already."
        )
    check_lock(alert, actor)
    check_seen(alert.predictions_count, seen)
    stake = check_alone(alert, actor)
    now = timezone.now()
    close_alert(alert, found, reason_code, actor=actor, notes=notes, now=now)
    if notes.strip():
        AlertComment.objects.create(alert=alert, author=actor, text=notes.strip())
    note_closing(alert, actor=actor, at=now, batch=batch or uuid4())
    record_audit(
        actor=actor,
        action="alert.closed",
        subject=alert,
        detail={"disposition": found, "reason_code": reason_code, **stake.kept()},
    )
    return alert


def close_alert(
    alert: Alert,
    found: Disposition,
    reason_code: str,
    *,
    actor: User,
    notes: str,
    now: datetime,
    by: User | None = None,
) -> None:
    """Close one alert and label what it holds; inside a transaction that has it locked.

    `actor` has found it; `by`, where that is somebody else, approves it now and is not told.
    """
    alert.status = AlertStatus.CLOSED
    alert.closed_at = now
    alert.disposition = found
    alert.reason_code = reason_code
    alert.locked_by = alert.locked_until = alert.snoozed_until = alert.snoozed_by = None
    alert.closed_by = actor
    alert.save(update_fields=[*CLOSING, *IN_HANDS])
    tell_alert_closed(alert, finder=actor, actor=by or actor)
    if found is Disposition.INCONCLUSIVE:
        return
    draw_second_look(alert)
    give_labels(
        Prediction.objects.filter(alert_link__alert=alert),
        found,
        author=actor,
        reason_code=reason_code,
        now=now,
        notes=notes,
    )


@transaction.atomic
def assign_alert(alert: Alert, *, owner: User | None, actor: User, tell: bool = True) -> Alert:
    """Give the alert to somebody, who is told, or to nobody. Raises MoveRefused when it is closed.

    Who gives many at once tells of them together, and says `tell` False.
    """
    alert = (
        Alert.objects.select_for_update(of=("self",)).select_related("locked_by").get(pk=alert.pk)
    )
    if alert.status == AlertStatus.CLOSED:
        raise MoveRefused("This alert is closed already.")
    if not actor.has_perm("cases.assign_alert"):
        check_lock(alert, actor)
    if tell and owner is not None and owner.pk != alert.owner_id:
        tell_alerts_given([alert.pk], to=owner, actor=actor)
    alert.owner = owner
    alert.save(update_fields=["owner"])
    record_audit(
        actor=actor,
        action="alert.assigned",
        subject=alert,
        detail={"owner": owner.get_username() if owner else None},
    )
    return alert


@transaction.atomic
def comment_on_case(case: Case, *, text: str, actor: User) -> CaseEvent:
    """Add a comment to the timeline; who is named with @ is told. Raises MoveRefused when empty,
    SaidAlready when they wrote the same a moment ago."""
    if not text.strip():
        raise MoveRefused("Write something first.")
    Case.objects.select_for_update().get(pk=case.pk)
    said = CaseEvent.objects.filter(case=case, actor=actor, kind=Kind.COMMENT)
    check_said_once(said, text=text.strip())
    event = add_event(case, Kind.COMMENT, actor=actor, text=text.strip())
    note_mentions(event)
    return event


def begin_touch(user: User, *, alert: Alert | None = None, case: Case | None = None) -> None:
    """Note that the user turned to an alert or a case, and so away from whatever was open before.

    Looking at the same thing again changes nothing, and then takes no write lock.
    """
    if Touch.objects.filter(user=user, closed_at=None, alert=alert, case=case).exists():
        return
    with transaction.atomic():
        end_touch(user)
        Touch.objects.create(user=user, alert=alert, case=case, opened_at=timezone.now())


def end_touch(user: User) -> None:
    """Note that the user is done with what they were looking at."""
    Touch.objects.filter(user=user, closed_at=None).update(closed_at=timezone.now())
