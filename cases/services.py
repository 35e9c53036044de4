"""Open alerts, triage them, work cases. Every write of this app."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Count, Q, Sum
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.drawing import draw_second_look
from cases.models import Alert, AlertPrediction, Case, CaseEvent, Touch
from cases.selectors import linked
from cases.workflow import (
    AlertStatus,
    CaseStatus,
    Disposition,
    MoveRefused,
    case_move,
    check_reason,
)
from scoring.core.types import RISK_LEVELS, RiskLevel, SelectionReason
from scoring.labelling import record_label
from scoring.models import Label, Prediction

logger = logging.getLogger(__name__)
ATTEMPTS = 3


def open_alerts(prediction_ids: Sequence[UUID]) -> int:
    """See that each flagged prediction is in an alert of its entity; returns how many were added.

    A prediction joins the entity's live alert, else opens one. May run twice: a prediction that is
    in an alert already is passed over.
    """
    done = linked(list(prediction_ids))
    groups: dict[tuple[int, str], list[Prediction]] = defaultdict(list)
    fresh = [pk for pk in prediction_ids if pk not in done]
    for prediction in Prediction.objects.filter(pk__in=fresh).order_by("event_time", "pk"):
        groups[prediction.detector_id, prediction.entity].append(prediction)
    added = 0
    for predictions in groups.values():
        try:
            added += _group(predictions)
        except DatabaseError:
            # One entity must not keep the others from analysts; the sweep will try it again.
            logger.exception("Prediction %s got no alert.", predictions[0].pk)
    return added


def _group(predictions: list[Prediction]) -> int:
    """Put predictions of one entity into its live alert."""
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                alert = _live_alert(predictions[0])
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
                alert.expected_loss = _expected_loss(alert)
                alert.save()
                return len(new)
        except IntegrityError:
            # Another worker opened the entity's alert first; the next attempt will find it.
            if attempt == ATTEMPTS - 1:
                raise
    return 0


def _live_alert(prediction: Prediction) -> Alert:
    """The entity's live alert, locked; a new one when it has none."""
    alert = (
        Alert.objects.select_for_update()
        .filter(detector_id=prediction.detector_id, entity=prediction.entity)
        .exclude(status=AlertStatus.CLOSED)
        .first()
    )
    if alert is not None:
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
    if prediction.exposure is not None:
        alert.exposure = (alert.exposure or 0) + prediction.exposure
    alert.predictions_count += 1
    alert.first_event_at = min(alert.first_event_at, prediction.event_time)
    alert.last_event_at = max(alert.last_event_at, prediction.event_time)


def _expected_loss(alert: Alert) -> float:
    """The chance of its riskiest prediction times the amounts at stake (1 where it has none).

    Rules may flag what no model scored: such an alert counts as an even chance. What was only drawn
    for audit, and was not scored either, has nothing against it and adds nothing.
    """
    drawn = Q(selection_reason=SelectionReason.RANDOM_AUDIT)
    found = (
        Prediction.objects.filter(alert_link__alert=alert)
        .exclude(drawn, score=None, probability=None)
        .aggregate(rows=Count("pk"), flagged=Count("pk", filter=~drawn), stake=Sum("exposure"))
    )
    if not found["rows"]:
        return 0.0
    chance = alert.risk
    if chance is None:
        chance = 0.5 if found["flagged"] else 0.0
    return chance * float(1 if found["stake"] is None else found["stake"])


@transaction.atomic
def label_alert(
    alert: Alert, *, disposition: str, reason_code: str, actor: User, notes: str = ""
) -> Alert:
    """Close an alert with what was found, and label its predictions (inconclusive gives none).

    Raises MoveRefused when it is closed already or belongs to a case, which closes it.
    """
    found = check_reason(disposition, reason_code)
    alert = Alert.objects.select_for_update().get(pk=alert.pk)
    if alert.status != AlertStatus.OPEN:
        raise MoveRefused(
            "This alert belongs to a case: close the case."
            if alert.status == AlertStatus.IN_CASE
            else "This alert is closed already."
        )
    _close_alert(alert, found, reason_code, actor=actor, notes=notes, now=timezone.now())
    record_audit(
        actor=actor,
        action="alert.closed",
        subject=alert,
        detail={"disposition": found, "reason_code": reason_code},
    )
    return alert


def _close_alert(
    alert: Alert, found: Disposition, reason_code: str, *, actor: User, notes: str, now: datetime
) -> None:
    alert.status = AlertStatus.CLOSED
    alert.closed_at = now
    alert.disposition = found
    alert.reason_code = reason_code
    alert.closed_by = actor
    alert.save(update_fields=["status", "closed_at", "disposition", "reason_code", "closed_by"])
    if found is Disposition.INCONCLUSIVE:
        return
    draw_second_look(alert)
    for prediction in Prediction.objects.filter(alert_link__alert=alert):
        record_label(
            prediction,
            is_fraud=found is Disposition.FRAUD,
            source=Label.Source.ANALYST,
            label_time=now,
            author=actor,
            reason_code=reason_code,
            notes=notes,
        )


@transaction.atomic
def assign_alert(alert: Alert, *, owner: User | None, actor: User) -> Alert:
    """Give the alert to somebody, or to nobody. Raises MoveRefused when it is closed."""
    alert = Alert.objects.select_for_update().get(pk=alert.pk)
    if alert.status == AlertStatus.CLOSED:
        raise MoveRefused("This alert is closed already.")
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
def open_case(alerts: Sequence[Alert], *, title: str, actor: User) -> Case:
    """Open an investigation over alerts that are open. Raises MoveRefused if one is not."""
    rows = list(Alert.objects.select_for_update().filter(pk__in=[a.pk for a in alerts]))
    if not rows or any(row.status != AlertStatus.OPEN for row in rows):
        raise MoveRefused("Only open alerts can go into a new case.")
    case = Case.objects.create(
        title=title[:200], opened_by=actor, owner=actor, opened_at=timezone.now()
    )
    CaseEvent.objects.create(case=case, kind=CaseEvent.Kind.OPENED, actor=actor)
    for row in rows:
        row.status = AlertStatus.IN_CASE
        row.case = case
        row.owner = actor
        row.save(update_fields=["status", "case", "owner"])
        CaseEvent.objects.create(
            case=case,
            kind=CaseEvent.Kind.ALERT_ADDED,
            actor=actor,
            detail={"alert": row.pk},
        )
    record_audit(
        actor=actor,
        action="case.opened",
        subject=case,
        detail={"alerts": [row.pk for row in rows]},
    )
    return case


@transaction.atomic
def comment_on_case(case: Case, *, text: str, actor: User) -> CaseEvent:
    """Add a comment to the timeline. Raises MoveRefused when it is empty."""
    if not text.strip():
        raise MoveRefused("Write something first.")
    return CaseEvent.objects.create(
        case=case, kind=CaseEvent.Kind.COMMENT, actor=actor, text=text.strip()
    )


@transaction.atomic
def move_case(case: Case, *, move: str, actor: User) -> Case:
    """Make a move of the table other than closing. Raises MoveRefused."""
    if move == "close":
        raise MoveRefused("Closing needs an outcome and a reason.")
    return _move(case, move, actor=actor)


def _move(case: Case, move: str, *, actor: User) -> Case:
    row = Case.objects.select_for_update().get(pk=case.pk)
    step = case_move(move, row.status)
    if not actor.has_perm(step.permission):
        raise MoveRefused(f"You may not: {step.label.lower()}.")
    row.status = step.target
    row.closed_at = timezone.now() if step.target is CaseStatus.CLOSED else None
    row.save(update_fields=["status", "closed_at"])
    closing = step.target is CaseStatus.CLOSED
    CaseEvent.objects.create(
        case=row,
        kind=CaseEvent.Kind.CLOSED if closing else CaseEvent.Kind.MOVED,
        actor=actor,
        detail={"from": step.source, "to": step.target},
    )
    record_audit(
        actor=actor,
        action=f"case.{move}",
        subject=row,
        detail={"from": step.source, "to": step.target},
    )
    return row


@transaction.atomic
def close_case(
    case: Case, *, disposition: str, reason_code: str, actor: User, notes: str = ""
) -> Case:
    """Close a case with what was found; its alerts close with it and their predictions get labels.

    In a case that was reopened, alerts that were closed with another outcome take the new one, and
    newer labels correct the earlier. Raises MoveRefused.
    """
    found = check_reason(disposition, reason_code)
    row = _move(case, "close", actor=actor)
    row.disposition = found
    row.reason_code = reason_code
    row.save(update_fields=["disposition", "reason_code"])
    now = timezone.now()
    for alert in row.alerts.select_for_update():
        judged = alert.status == AlertStatus.CLOSED
        if not judged or (alert.disposition, alert.reason_code) != (found, reason_code):
            _close_alert(alert, found, reason_code, actor=actor, notes=notes, now=now)
    if notes.strip():
        comment_on_case(row, text=notes, actor=actor)
    return row


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
