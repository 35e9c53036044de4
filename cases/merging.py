"""Merge cases and take them apart again. Nothing is lost: what moved, and from where, is kept.

The source's timeline stays its own and is shown within the target's; its alerts move and go back.
"""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.case_models import CaseHandover, CaseMerge
from cases.handovers import end_waiting
from cases.limits import limit_of, lowest
from cases.models import Alert, Case
from cases.priority import raise_priority
from cases.workflow import WORKED_ON, CaseStatus, MoveRefused, case_move


@transaction.atomic
def merge_case(source: Case, *, target: Case, actor: User, note: str = "") -> CaseMerge:
    """Let one case go into another, with its alerts. Raises MoveRefused."""
    if source.pk == target.pk:
        raise MoveRefused("A case cannot go into itself: choose another one.")
    source, target = _lock(source, target)
    move = case_move("merge", source.status)
    if not actor.has_perm(move.permission):
        raise MoveRefused(f"You may not: {move.label.lower()}")
    if target.status not in WORKED_ON:
        raise MoveRefused(f"Case {target.pk} is {_words(target)}: only an open case takes others.")
    merge = CaseMerge.objects.create(
        source=source,
        target=target,
        status_before=source.status,
        due_before=target.due_at,
        escalate_before=target.escalate_at,
        note=note.strip(),
        merged_by=actor,
        merged_at=timezone.now(),
    )
    moved = list(source.alerts.order_by("pk").select_for_update().values_list("pk", flat=True))
    merge.alerts.set(moved)
    Alert.objects.filter(pk__in=moved).update(case=target)
    source.status, source.merged_into = CaseStatus.MERGED, target
    source.save(update_fields=["status", "merged_into"])
    end_waiting(source, CaseHandover.Status.WITHDRAWN, answer=f"It went into case {target.pk}.")
    # Two cases made one are due, and are escalated, when the first of them was.
    target.due_at = _first(source.due_at, target.due_at)
    target.escalate_at = _first(source.escalate_at, target.escalate_at)
    # ... and take a second person where one of them did.
    target.approval_limit = lowest((limit_of(source), limit_of(target)))
    target.save(update_fields=["due_at", "escalate_at", "approval_limit"])
    _tell_both(Kind.MERGED, source, target, actor=actor, note=merge.note)
    raise_priority(target, source.priority, why=f"Case {source.pk} came in.", actor=actor)
    record_audit(
        actor=actor,
        action="case.merge",
        subject=source,
        detail={"target": target.pk, "alerts": moved, "note": merge.note},
    )
    return merge


@transaction.atomic
def unmerge_case(source: Case, *, actor: User, note: str = "") -> Case:
    """Take a merged case out again: it stands where it stood, with the alerts it brought.

    Raises MoveRefused.
    """
    merge = CaseMerge.objects.filter(source=source, undone_at=None).first()
    if merge is None:
        raise MoveRefused("This case is in no other.")
    source, target = _lock(source, merge.target)
    merge = CaseMerge.objects.select_for_update().get(pk=merge.pk)
    if merge.undone_at is not None:
        raise MoveRefused("Somebody took it out already.")
    move = case_move("unmerge", source.status, merge.status_before)
    if not actor.has_perm(move.permission):
        raise MoveRefused(f"You may not: {move.label.lower()}.")
    if target.status not in WORKED_ON:
        raise MoveRefused(
            f"Case {target.pk} is {_words(target)}: it has to be open before a case is taken out."
        )
    still_there = merge.alerts.filter(case=target).order_by("pk").select_for_update()
    back = list(still_there.values_list("pk", flat=True))
    Alert.objects.filter(pk__in=back).update(case=source)
    source.status, source.merged_into = move.target, None
    source.save(update_fields=["status", "merged_into"])
    merge.undone_by, merge.undone_at = actor, timezone.now()
    merge.save(update_fields=["undone_by", "undone_at"])
    _give_back_times(merge, target)
    _tell_both(Kind.UNMERGED, source, target, actor=actor, note=note.strip())
    record_audit(
        actor=actor,
        action="case.unmerge",
        subject=source,
        detail={"target": target.pk, "alerts": back, "note": note.strip()},
    )
    return source


def _tell_both(kind: Kind, source: Case, target: Case, *, actor: User, note: str) -> None:
    for case in (source, target):
        add_event(case, kind, actor=actor, text=note, source=source.pk, target=target.pk)


def _give_back_times(merge: CaseMerge, target: Case) -> None:
    """Let a case be due as if this merge, which was just undone, had never been.

    What other cases are in it still counts. A merge of before the times were kept changes nothing.
    """
    if merge.due_before is None and merge.escalate_before is None:
        return
    others = CaseMerge.objects.filter(target=target, undone_at=None).select_related("source")
    later = list(others.filter(pk__gt=merge.pk).order_by("pk"))
    due, escalate = merge.due_before, merge.escalate_before
    for other in later:
        other.due_before, other.escalate_before = due, escalate
        other.save(update_fields=["due_before", "escalate_before"])
        due = _first(due, other.source.due_at)
        escalate = _first(escalate, other.source.escalate_at)
    target.due_at, target.escalate_at = due, escalate
    if escalate is not None and escalate > timezone.now():
        # It was escalated at the time of what was in it, not yet at its own.
        target.escalated_at = None
    target.save(update_fields=["due_at", "escalate_at", "escalated_at"])


def _first(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _lock(source: Case, target: Case) -> tuple[Case, Case]:
    """Both, locked in the order of their numbers: two merges at once do not wait in a circle."""
    rows = Case.objects.select_for_update().filter(pk__in=(source.pk, target.pk)).order_by("pk")
    found = {row.pk: row for row in rows}
    return found[source.pk], found[target.pk]


def _words(case: Case) -> str:
    return case.status.replace("_", " ")
