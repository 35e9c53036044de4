"""Open alerts, triage them, work cases. Every write of this app."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Count, Q, Sum
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.checklists import start_checklist
from cases.closing import note_closing
from cases.drawing import draw_second_look
from cases.handling_time import Cell
from cases.limits import check_alone, limit_of, lowest, stake_of
from cases.locking import check_lock
from cases.mentioning import note_mentions
from cases.models import Alert, AlertPrediction, Case, CaseEvent, Touch
from cases.priority import raise_priority, take_evidence
from cases.routing import Routes, place_alert, place_case, renew_times
from cases.selectors import linked
from cases.summing_up import minutes_known, sum_up
from cases.telling import (
    tell_alert_closed,
    tell_alert_critical,
    tell_alerts_given,
    tell_case_opened,
)
from cases.workflow import WORKED_ON, AlertStatus, Disposition, MoveRefused, check_reason
from scoring.core.types import RISK_LEVELS, RiskLevel, SelectionReason
from scoring.labelling import record_label
from scoring.models import Label, Prediction

logger = logging.getLogger(__name__)
ATTEMPTS = 3
IN_HANDS = ("locked_by", "locked_until", "snoozed_until", "snoozed_by")
"""What only an open alert has."""
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
    for prediction in Prediction.objects.filter(pk__in=fresh).order_by("event_time", "pk"):
        groups[prediction.detector_id, prediction.entity].append(prediction)
    added, routes, minutes = 0, Routes(), minutes_known() if groups else {}
    for predictions in groups.values():
        try:
            added += _group(predictions, routes, minutes)
        except DatabaseError:
            # One entity must not keep the others from analysts; the sweep will try it again.
            logger.exception("Prediction %s got no alert.", predictions[0].pk)
    return added


def _group(predictions: list[Prediction], routes: Routes, minutes: Mapping[Cell, float]) -> int:
    """Put predictions of one entity into its live alert; new evidence ends a snooze."""
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                alert = _live_alert(predictions[0])
                level = alert.level
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
                alert.snoozed_until = alert.snoozed_by = None
                sum_up(alert, new, minutes)
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
    case_id = rows.values_list("case_id", flat=True).first()
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
    # Amounts of other currencies cannot be added; they count in limits.stake_of.
    if prediction.exposure is not None and prediction.currency == alert.currency:
        alert.exposure = (alert.exposure or 0) + prediction.exposure
    alert.predictions_count += 1
    alert.first_event_at = min(alert.first_event_at, prediction.event_time)
    alert.last_event_at = max(alert.last_event_at, prediction.event_time)


def _expected_loss(alert: Alert) -> float:
    """The chance of its riskiest prediction times the amounts at stake (1 where it has none).

    Amounts in another currency than the alert's are left out.

    Rules may flag what no model scored: such an alert counts as an even chance. What was only drawn
    for audit, and was not scored either, has nothing against it and adds nothing.
    """
    drawn = Q(selection_reason=SelectionReason.RANDOM_AUDIT)
    found = (
        Prediction.objects.filter(alert_link__alert=alert)
        .exclude(drawn, score=None, probability=None)
        .aggregate(
            rows=Count("pk"),
            flagged=Count("pk", filter=~drawn),
            stake=Sum("exposure", filter=Q(currency=alert.currency)),
        )
    )
    if not found["rows"]:
        return 0.0
    chance = alert.risk
    if chance is None:
        chance = 0.5 if found["flagged"] else 0.0
    return chance * float(1 if found["stake"] is None else found["stake"])


@transaction.atomic
def label_alert(
    alert: Alert,
    *,
    disposition: str,
    reason_code: str,
    actor: User,
    notes: str = "",
    batch: UUID | None = None,
) -> Alert:
    """Close an alert with what was found, and label its predictions (inconclusive gives none).

    What one `batch` closed can be undone together (cases.closing). Raises MoveRefused when it is
    closed already, belongs to a case, which closes it, is in somebody else's hands, or takes a
    second person, and so a case.
    """
    found = check_reason(disposition, reason_code)
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
    check_alone(alert, actor)
    now = timezone.now()
    close_alert(alert, found, reason_code, actor=actor, notes=notes, now=now)
    note_closing(alert, actor=actor, at=now, batch=batch or uuid4())
    record_audit(
        actor=actor,
        action="alert.closed",
        subject=alert,
        detail={"disposition": found, "reason_code": reason_code},
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
    if stake_of(case).above:
        if not actor.has_perm("cases.approve_case"):
            raise MoveRefused(
                "More is at risk than one person may close: ask a lead to take alerts out."
            )
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


@transaction.atomic
def comment_on_case(case: Case, *, text: str, actor: User) -> CaseEvent:
    """Add a comment to the timeline; who is named with @ is told. Raises MoveRefused when empty."""
    if not text.strip():
        raise MoveRefused("Write something first.")
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
