"""Second looks: another analyst judges a labelled alert without seeing what the first one found.

A label's confidence is the share of the looks that say so: 1 where both agree, 1/2 while two
disagree, 2/3 once a lead has sided with one of them. Training weighs by it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import add_event
from cases.case_models import CaseApproval, CaseMerge, Tag
from cases.labels import give_labels
from cases.models import Alert, Case, CaseEvent, Touch
from cases.queue_models import AlertComment
from cases.second_look_models import SecondLook, SecondLookShare
from cases.second_look_selectors import standing
from cases.workflow import (
    AlertStatus,
    CaseStatus,
    Disposition,
    MoveRefused,
    SecondLookStatus,
    check_reason,
)
from scoring.models import Detector, Label, Prediction

GONE = "This alert was decided anew since; it needs no second look any more."
CANDIDATES = 20


def waiting_for(user: User, now: datetime) -> "QuerySet[SecondLook]":
    """Looks that the user may take: not in somebody's hands, not at an alert of their own, nor of
    a case that they worked on or judged: whoever knows the outcome is not blind to it."""
    rows = standing().filter(_free_for(user, now), status=SecondLookStatus.WAITING)
    return rows.exclude(_knows(user))


def _free_for(user: User, now: datetime) -> Q:
    """Looks that nobody else has in hands."""
    long_ago = now - timedelta(minutes=settings.SECOND_LOOK_MINUTES)
    return Q(taken_at=None) | Q(taken_at__lte=long_ago) | Q(second_by=user)


def _knows(user: User) -> Q:
    """Looks whose first outcome the user had a hand in, followed as owner of alert or case, or read
    on the page of either since. What they read while the look is theirs told them nothing.

    Every case that the alert was ever in counts: merging takes it from one to the next.
    """
    said = AlertComment.objects.filter(alert=OuterRef("alert"), author=user).order_by()
    merges = CaseMerge.objects.filter(alerts=OuterRef("alert")).order_by()
    merged = merges.filter(_worked_on("source", user) | _worked_on("target", user))
    return (
        Q(first_by=user)
        | Q(alert__owner=user)
        | Q(Exists(said))
        | _worked_on("alert__case", user)
        | Q(Exists(merged))
        | (Q(Exists(_stays(user))) & ~Q(second_by=user))
    )


def _stays(user: User) -> QuerySet[Touch]:
    """The user's stays on the page of a look's alert or its case that went on, or began, after the
    first outcome."""
    rows = Touch.objects.filter(
        Q(alert=OuterRef("alert")) | Q(case=OuterRef("alert__case")), user=user
    )
    return rows.filter(Q(closed_at=None) | Q(closed_at__gte=OuterRef("first_at"))).order_by()


def _worked_on(case: str, user: User) -> Q:
    """Rows whose `case` the user owns or opened, acted on, or asked or was asked to have closed."""
    acted = CaseEvent.objects.filter(case=OuterRef(case), actor=user).order_by()
    judged = CaseApproval.objects.filter(case=OuterRef(case)).order_by()
    return (
        Q(**{f"{case}__owner": user})
        | Q(**{f"{case}__opened_by": user})
        | Q(Exists(acted))
        | Q(Exists(judged.filter(Q(requested_by=user) | Q(decided_by=user))))
    )


def held_by(user: User) -> SecondLook | None:
    """The look that the user took and has not answered; None without one."""
    rows = standing().filter(status=SecondLookStatus.WAITING, second_by=user)
    return rows.select_related("alert__detector", "alert__top_prediction").first()


def blinding_look(user: User | AnonymousUser, detector_id: int, entity: str) -> SecondLook | None:
    """The second look that the user holds at an alert of this entity; None: they may see it all.

    From the look's `first_at` on no label and no outcome of the entity must be shown to them.
    """
    if not isinstance(user, User) or not user.has_perm("cases.triage_alert"):
        return None
    held = standing().filter(status=SecondLookStatus.WAITING, second_by=user)
    rows = held.filter(alert__detector=detector_id, alert__entity=entity)
    return rows.select_related("alert").order_by("first_at").first()


def blind_since(user: User | AnonymousUser, detector_id: int, entity: str) -> datetime | None:
    """From when on the user must see no label and no outcome of this entity; None: they may."""
    look = blinding_look(user, detector_id, entity)
    return None if look is None else look.first_at


def is_blind_to_case(user: User, case: Case) -> bool:
    """Whether the user holds a second look at an alert of this case, or that merging took out."""
    rows = standing().filter(status=SecondLookStatus.WAITING, second_by=user)
    merged = CaseMerge.objects.filter(source=case, alerts=OuterRef("alert")).order_by()
    rows = rows.filter(Q(alert__case=case) | Q(Exists(merged)))
    return user.has_perm("cases.triage_alert") and rows.exists()


def hidden_look(user: User | AnonymousUser) -> SecondLook | None:
    """The second look in the user's hands with its alert, for lists; None: they may see it all.

    One query. What a list must not tell of its alert and case is what the functions below say.
    """
    if not isinstance(user, User) or not user.has_perm("cases.triage_alert"):
        return None
    rows = standing().filter(status=SecondLookStatus.WAITING, second_by=user)
    return rows.select_related("alert").order_by("first_at").first()


def untold_entity(user: User | AnonymousUser, detector_id: int) -> str:
    """The entity of a detector of which no label must be told to the user; empty without any."""
    look = hidden_look(user)
    return look.alert.entity if look and look.alert.detector_id == detector_id else ""


def hides(look: SecondLook | None, alert: Alert) -> bool:
    """Whether it must not be told how this alert ended: it is the look's own, or one of the same
    entity that was closed from then on."""
    if look is None or alert.closed_at is None:
        return False
    held = look.alert
    same = (alert.detector_id, alert.entity) == (held.detector_id, held.entity)
    return same and alert.closed_at >= look.first_at


def hide_held(alerts: Sequence[Alert], look: SecondLook | None) -> None:
    """Forget, in memory alone, how those alerts of a list ended that the look hides."""
    for alert in alerts:
        if hides(look, alert):
            alert.disposition = alert.reason_code = ""


def without_held(alerts: "QuerySet[Alert]", look: SecondLook | None) -> "QuerySet[Alert]":
    """The alerts that the look does not hide: a filter by outcome tells what a row does not."""
    if look is None:
        return alerts
    held = look.alert
    return alerts.exclude(
        detector=held.detector_id, entity=held.entity, closed_at__gte=look.first_at
    )


def untold_cases(look: SecondLook | None) -> frozenset[int]:
    """The cases of which a list must tell the holder of the look neither the outcome nor the
    owner nor a tag: that of its alert, and those that a merge took the alert out of."""
    if look is None:
        return frozenset()
    merged = CaseMerge.objects.filter(alerts=look.alert_id).order_by()
    pks = {look.alert.case_id, *merged.values_list("source", flat=True)}
    return frozenset(pk for pk in pks if pk is not None)


def hide_cases(cases: Sequence[Case], untold: Collection[int]) -> None:
    """Forget, in memory alone, how and by whom the `untold_cases` were closed, and their tags,
    which may say it too. Cases come with their tags prefetched."""
    for case in cases:
        if case.pk in untold:
            case.disposition = case.reason_code = ""
            case.owner = None
            prefetched: Any = case
            prefetched._prefetched_objects_cache["tags"] = Tag.objects.none()


def hide_outcomes(alerts: Sequence[Alert], since: datetime | None) -> None:
    """Forget, in memory alone, how alerts ended that were closed from then on."""
    for alert in alerts:
        if since is not None and alert.closed_at is not None and alert.closed_at >= since:
            alert.disposition = alert.reason_code = ""


def take_second_look(user: User) -> SecondLook | None:
    """The look that the user holds, or the oldest that is free; None when none is.

    Two who ask at once get different ones: the row is claimed by its update.
    """
    held = held_by(user)
    if held is not None:
        return held
    now = timezone.now()
    free = waiting_for(user, now)
    for pk in free.order_by("drawn_at", "pk").values_list("pk", flat=True)[:CANDIDATES]:
        # What is in a subquery is not asked again after waiting for somebody who takes it: that it
        # is free stands beside it.
        mine = SecondLook.objects.filter(
            _free_for(user, now),
            pk__in=free.filter(pk=pk).values("pk"),
            status=SecondLookStatus.WAITING,
        )
        if mine.update(second_by=user, taken_at=now):
            return held_by(user)
    return None


@transaction.atomic
def give_back(look: SecondLook, *, user: User) -> None:
    """Leave it to somebody else; nothing happens when the user does not hold it."""
    SecondLook.objects.filter(pk=look.pk, status=SecondLookStatus.WAITING, second_by=user).update(
        second_by=None, taken_at=None
    )


@transaction.atomic
def answer_second_look(
    look: SecondLook, *, disposition: str, reason_code: str, notes: str, actor: User
) -> SecondLook:
    """Note what the second analyst found. Raises MoveRefused.

    Where both found the same, the label is said again with full confidence; where not, the first
    label stands with half of it until a lead settles it. A label that came from elsewhere since is
    left alone.
    """
    found = check_reason(disposition, reason_code, notes)
    look, alert = _locked(look)
    if look.status != SecondLookStatus.WAITING or look.second_by_id != actor.pk:
        raise MoveRefused("Somebody else has taken this one meanwhile. Take the next.")
    now = timezone.now()
    agreed = found == look.first_disposition
    look.status = SecondLookStatus.AGREED if agreed else SecondLookStatus.DISPUTED
    look.second_at, look.second_disposition = now, found
    look.second_reason, look.second_notes = reason_code, notes.strip()
    look.save(
        update_fields=["status", "second_at", "second_disposition", "second_reason", "second_notes"]
    )
    labels = _labels_of(alert, [look.first_at])
    if agreed:
        sure = confidence(look, found)
        give_labels(labels, found, author=actor, reason_code=reason_code, now=now, sure=sure)
    else:
        first = Disposition(look.first_disposition)
        give_labels(
            labels,
            first,
            author=look.first_by,
            reason_code=look.first_reason,
            now=now,
            notes="Disputed by a second look",
            sure=confidence(look, first),
        )
    record_audit(
        actor=actor,
        action="second_look.answered",
        subject=look,
        detail={"alert": alert.pk, "agreed": agreed},
    )
    return look


@transaction.atomic
def settle_second_look(
    look: SecondLook, *, disposition: str, reason_code: str, notes: str, actor: User
) -> SecondLook:
    """Decide between two analysts; the alert and its labels follow. Raises MoveRefused.

    Whoever gave one of the two judgements leaves it to another lead. An inconclusive end takes no
    label away; it leaves little confidence in it.
    """
    found = check_reason(disposition, reason_code, notes)
    # A case before its alerts, as everywhere.
    case = Case.objects.select_for_update(of=("self",)).filter(alerts__second_looks=look).first()
    look, alert = _locked(look)
    _check_settles(look, actor)
    now = timezone.now()
    look.status, look.settled_by, look.settled_at = SecondLookStatus.SETTLED, actor, now
    look.settled_disposition, look.settled_reason = found, reason_code
    look.settled_notes = notes.strip()
    look.save(
        update_fields=[
            *("status", "settled_by", "settled_at", "settled_disposition", "settled_reason"),
            "settled_notes",
        ]
    )
    alert.disposition, alert.reason_code = found, reason_code
    alert.save(update_fields=["disposition", "reason_code"])
    if case is not None and case.status == CaseStatus.CLOSED and case.disposition != found:
        add_event(
            case,
            CaseEvent.Kind.SETTLED,
            actor=actor,
            text=look.settled_notes,
            alert=alert.pk,
            outcome=found.value,
        )
    _say_settled(look, alert, found, actor=actor, now=now)
    record_audit(
        actor=actor,
        action="second_look.settled",
        subject=look,
        detail={"alert": alert.pk, "disposition": found, "reason_code": reason_code},
    )
    return look


def _check_settles(look: SecondLook, actor: User) -> None:
    if look.status != SecondLookStatus.DISPUTED:
        raise MoveRefused("This is not in dispute any more.")
    if actor.pk in (look.first_by_id, look.second_by_id):
        raise MoveRefused("You gave one of the two judgements: another lead settles this.")


def _say_settled(
    look: SecondLook, alert: Alert, found: Disposition, *, actor: User, now: datetime
) -> None:
    """The label is what was found; where that is inconclusive, the first outcome again."""
    label, reason = found, look.settled_reason
    if found is Disposition.INCONCLUSIVE:
        label, reason = Disposition(look.first_disposition), look.first_reason
    said = [moment for moment in (look.first_at, look.second_at) if moment is not None]
    labels = _labels_of(alert, said)
    give_labels(
        labels,
        label,
        author=actor,
        reason_code=reason,
        now=now,
        notes=look.settled_notes,
        sure=confidence(look, label),
    )


@transaction.atomic
def set_share(detector: Detector, share: float | None, *, actor: User) -> None:
    """Draw this share (0 to 1) of a detector's labelled alerts; None: that of the platform.

    Raises ValueError for anything that is no share.
    """
    if share is not None and not 0.0 <= share <= 1.0:
        raise ValueError("The share must be between 0 % and 100 %.")
    if share is None:
        SecondLookShare.objects.filter(detector=detector).delete()
    else:
        SecondLookShare.objects.update_or_create(detector=detector, defaults={"share": share})
    record_audit(
        actor=actor, action="second_look.share_changed", subject=detector, detail={"share": share}
    )


def confidence(look: SecondLook, label: Disposition) -> float:
    """The share of its looks that say `label`."""
    said = [look.first_disposition, look.second_disposition, look.settled_disposition]
    given = [one for one in said if one]
    return given.count(label) / len(given)


def _locked(look: SecondLook) -> tuple[SecondLook, Alert]:
    """The look and its alert, locked, if the alert stands as it was closed."""
    alert = Alert.objects.select_for_update().get(pk=look.alert_id)
    fresh = SecondLook.objects.select_for_update().get(pk=look.pk)
    if alert.status != AlertStatus.CLOSED or alert.closed_at != fresh.first_at:
        raise MoveRefused(GONE)
    return fresh, alert


def _labels_of(alert: Alert, moments: Sequence[datetime]) -> list[Prediction]:
    """The alert's predictions whose newest label was given by its closing or by a second look."""
    newest: dict[UUID, datetime] = {}
    labels = Label.objects.filter(prediction__alert_link__alert=alert)
    for pk, at in labels.order_by("label_time", "id").values_list("prediction_id", "label_time"):
        newest[pk] = at
    ours = [pk for pk, at in newest.items() if at in moments]
    return list(Prediction.objects.filter(pk__in=ours).order_by("event_time", "pk"))
