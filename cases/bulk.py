"""One act on many alerts. Each alert is done whole or not at all, and every refusal says why."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from accounts.models import User
from cases.case_alerts import open_case
from cases.closing import closings_to_undo, undo_closing
from cases.labels import Busy
from cases.locking import Locked, check_lock
from cases.mentioning import tell_named
from cases.models import Alert, Case
from cases.queue_models import AlertComment
from cases.resting import comment_on_alert, snooze_alert, wake_alert
from cases.services import assign_alert, comment_on_case, label_alert
from cases.telling import tell_alerts_given
from cases.workflow import AlertStatus, MoveRefused, SaidAlready, Unseen

Seen = Mapping[int, int]
"""How many events the actor saw in each alert; of one that is not in it, all."""
NOTHING_SAID: Seen = {}
MOST = 200
"""Alerts that one act takes at most."""


@dataclass
class Outcome:
    """What became of an act: the alerts done, and (alert, why not) of the others."""

    done: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    batch: UUID = field(default_factory=uuid4)
    case: Case | None = None

    def sentence(self, verb: str) -> str:
        """`47 closed, 3 refused: locked by Lea Dorn (2), closed already (1).`"""
        said = f"{len(self.done)} {verb}"
        if self.refused:
            why = Counter(reason for _, reason in self.refused).most_common()
            told = ", ".join(f"{reason} ({n})" for reason, n in why)
            said += f", {len(self.refused)} refused: {told}"
        return f"{said}."


def chosen(ids: Sequence[int]) -> list[Alert]:
    """These alerts, in the order of their ids, so that two acts never wait for each other."""
    return list(Alert.objects.filter(pk__in=ids[:MOST]).order_by("pk"))


def label_many(
    alerts: Sequence[Alert],
    *,
    disposition: str,
    reason_code: str,
    actor: User,
    note: str,
    seen: Seen = NOTHING_SAID,
) -> Outcome:
    """Close each with the same outcome. Undone together by the outcome's `batch`."""
    outcome = Outcome()
    return _each(
        alerts,
        lambda alert: label_alert(
            alert, disposition=disposition, reason_code=reason_code, actor=actor, notes=note,
            batch=outcome.batch, seen=seen.get(alert.pk),
        ),
        outcome,
    )  # fmt: skip


def assign_many(alerts: Sequence[Alert], *, owner: User | None, actor: User, note: str) -> Outcome:
    """Give each to the same person, who is told of all of them together, or to nobody."""

    comments: list[AlertComment] = []

    def assign(alert: Alert) -> None:
        assign_alert(alert, owner=owner, actor=actor, tell=False)
        _note(alert, note, actor, comments)

    outcome = _each(alerts, assign)
    tell_named(comments)
    if owner is not None:
        had = {alert.pk for alert in alerts if alert.owner_id == owner.pk}
        tell_alerts_given([pk for pk in outcome.done if pk not in had], to=owner, actor=actor)
    return outcome


def snooze_many(
    alerts: Sequence[Alert],
    *,
    until: datetime,
    actor: User,
    note: str,
    seen: Seen = NOTHING_SAID,
) -> Outcome:
    """Put each aside until the same time."""
    return _each(
        alerts,
        lambda alert: snooze_alert(
            alert, until=until, actor=actor, note=note, seen=seen.get(alert.pk)
        ),
    )


def wake_many(alerts: Sequence[Alert], *, actor: User, note: str) -> Outcome:
    """End the snooze of each now."""

    def wake(alert: Alert) -> None:
        wake_alert(alert, actor=actor)
        _note(alert, note, actor, [])

    return _each(alerts, wake)


def _note(alert: Alert, note: str, actor: User, comments: list[AlertComment]) -> None:
    """Add the note of an act to `comments`, if there is one and it was not said a moment ago."""
    if not note.strip():
        return
    with suppress(SaidAlready):
        comments.append(comment_on_alert(alert, text=note, actor=actor, tell=False))


def comment_on_many(alerts: Sequence[Alert], *, actor: User, note: str) -> Outcome:
    """Note the same on each. Raises MoveRefused when there is nothing to note."""
    if not note.strip():
        raise MoveRefused("Write something first.")
    comments: list[AlertComment] = []
    outcome = _each(
        alerts,
        lambda alert: comments.append(comment_on_alert(alert, text=note, actor=actor, tell=False)),
    )
    tell_named(comments)
    return outcome


@transaction.atomic
def merge_many(alerts: Sequence[Alert], *, title: str, actor: User, note: str) -> Outcome:
    """One case over all of them that are open and in nobody else's hands.

    Alerts of different entities stay alerts of their own inside the case: nothing is lost, and the
    case can let one go again.
    """
    outcome = Outcome()
    rows = Alert.objects.select_for_update(of=("self",)).select_related("locked_by")
    free = []
    for alert in rows.filter(pk__in=[alert.pk for alert in alerts]).order_by("pk"):
        why = _why_not(alert, actor)
        if why:
            outcome.refused.append((alert.pk, why))
        else:
            free.append(alert)
    if free:
        outcome.case = open_case(free, title=title, actor=actor)
        outcome.done = [alert.pk for alert in free]
        if note.strip():
            comment_on_case(outcome.case, text=note, actor=actor)
    return outcome


def undo_batch(batch: UUID, *, actor: User, alert: int | None = None) -> Outcome:
    """Open again what one act closed; of it only `alert`, where that is given. Raises MoveRefused
    when nothing of it is left to undo."""
    closings = closings_to_undo(batch, alert=alert)
    if not closings:
        raise MoveRefused("There is nothing left to undo.")
    outcome = Outcome(batch=batch)
    closing_of = {closing.alert_id: closing for closing in closings}
    alerts = list(Alert.objects.filter(pk__in=closing_of).order_by("pk"))
    return _each(alerts, lambda alert: undo_closing(closing_of[alert.pk], actor=actor), outcome)


def _each(
    alerts: Sequence[Alert], act: Callable[[Alert], object], outcome: Outcome | None = None
) -> Outcome:
    outcome = outcome or Outcome()
    busy: dict[int, str] = {}
    for alert in alerts:
        # Each would wait anew, in vain.
        if alert.detector_id in busy:
            outcome.refused.append((alert.pk, busy[alert.detector_id]))
            continue
        try:
            with transaction.atomic():
                act(alert)
            outcome.done.append(alert.pk)
        except MoveRefused as refusal:
            outcome.refused.append((alert.pk, _short(refusal)))
            if isinstance(refusal, Busy):
                busy[alert.detector_id] = refusal.short
    return outcome


def _why_not(alert: Alert, actor: User) -> str:
    if alert.status != AlertStatus.OPEN:
        return "in a case" if alert.status == AlertStatus.IN_CASE else "closed already"
    try:
        check_lock(alert, actor)
    except Locked as refusal:
        return refusal.short
    return ""


def _short(refusal: MoveRefused) -> str:
    """The refusal as an item of a list."""
    if isinstance(refusal, Locked | Busy | SaidAlready | Unseen):
        return refusal.short
    text = str(refusal).rstrip(".").removeprefix("This alert is ").removeprefix("This alert ")
    return text[:1].lower() + text[1:]
