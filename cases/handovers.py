"""Whose case it is: taken, given by a lead, or handed over to somebody who has to take it."""

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.case_models import CaseHandover
from cases.models import Case
from cases.telling import tell_case_given
from cases.workflow import LIVE_CASES, MoveRefused

Status = CaseHandover.Status
WORK, GIVE = "cases.work_case", "cases.assign_alert"


@transaction.atomic
def assign_case(case: Case, *, owner: User | None, actor: User) -> Case:
    """Take a case, or (as a lead) give it to somebody or nobody. Raises MoveRefused."""
    row = _live(case, actor)
    if owner != actor and not actor.has_perm(GIVE):
        raise MoveRefused("Only a lead gives cases to others: hand it over instead.")
    if owner is not None and not owner.has_perm(WORK):
        raise MoveRefused(f"{owner.name} does not work on cases.")
    if owner is not None and row.owner_id == owner.pk:
        return row
    end_waiting(row, Status.WITHDRAWN, answer="The case was given to somebody else.")
    row.owner = owner
    row.save(update_fields=["owner"])
    event = add_event(row, Kind.ASSIGNED, actor=actor, to=owner.name if owner else "nobody")
    if owner is not None:
        tell_case_given(row, to=owner, event=event, actor=actor)
    record_audit(
        actor=actor,
        action="case.assigned",
        subject=row,
        detail={"owner": owner.username if owner else None},
    )
    return row


@transaction.atomic
def hand_over(case: Case, *, to: User, note: str, actor: User) -> CaseHandover:
    """Offer one's case to somebody, with what they have to know. Raises MoveRefused."""
    row = _live(case, actor)
    if row.owner_id != actor.pk:
        raise MoveRefused("Only its owner hands a case over.")
    if to.pk == actor.pk:
        raise MoveRefused("You have this case already: choose somebody else.")
    if not (to.is_active and to.has_perm(WORK)):
        raise MoveRefused(f"{to.name} does not work on cases.")
    if not note.strip():
        raise MoveRefused("Say what the next person has to know.")
    if row.handovers.filter(status=Status.WAITING).exists():
        raise MoveRefused("A hand-over of this case waits already.")
    handover = CaseHandover.objects.create(
        case=row, from_user=actor, to_user=to, note=note.strip(), at=timezone.now()
    )
    event = add_event(row, Kind.HANDED_OVER, actor=actor, text=note.strip(), to=to.name)
    tell_case_given(row, to=to, event=event, actor=actor)
    record_audit(actor=actor, action="case.handed_over", subject=row, detail={"to": to.username})
    return handover


@transaction.atomic
def answer_handover(
    handover: CaseHandover, *, take: bool, actor: User, answer: str = ""
) -> CaseHandover:
    """Take what is handed over, or decline with a reason; its sender takes it back by declining.

    Raises MoveRefused.
    """
    case = Case.objects.select_for_update().get(pk=handover.case_id)
    row = CaseHandover.objects.select_for_update().get(pk=handover.pk)
    if row.status != Status.WAITING:
        raise MoveRefused("This hand-over was answered already.")
    if actor.pk not in (row.to_user_id, row.from_user_id) or (take and actor.pk != row.to_user_id):
        raise MoveRefused("Only who receives it can take it.")
    declines = not take and actor.pk == row.to_user_id
    if take and case.status not in LIVE_CASES:
        raise MoveRefused("This case is not open: nobody has to have it.")
    if take and case.owner_id != row.from_user_id:
        raise MoveRefused("This case has another owner now: it is not theirs to hand over.")
    if declines and not answer.strip():
        raise MoveRefused("Say why you do not take it.")
    row.status = Status.TAKEN if take else (Status.DECLINED if declines else Status.WITHDRAWN)
    row.answered_at, row.answer = timezone.now(), answer.strip()
    row.save(update_fields=["status", "answered_at", "answer"])
    if take:
        case.owner = actor
        case.save(update_fields=["owner"])
    words = {Status.TAKEN: "took", Status.DECLINED: "declined", Status.WITHDRAWN: "took back"}
    add_event(
        case,
        Kind.HANDOVER_ENDED,
        actor=actor,
        text=answer.strip(),
        answer=words[Status(row.status)],
    )
    record_audit(
        actor=actor, action="case.handover_answered", subject=case, detail={"answer": row.status}
    )
    return row


def _live(case: Case, actor: User) -> Case:
    row = Case.objects.select_for_update().get(pk=case.pk)
    if not actor.has_perm(WORK):
        raise MoveRefused("You may not work on cases.")
    if row.status not in LIVE_CASES:
        raise MoveRefused("This case is not open: nobody has to have it.")
    return row


def end_waiting(case: Case, status: CaseHandover.Status, *, answer: str) -> None:
    """Answer the hand-over of a case that waits, where one does."""
    case.handovers.filter(status=Status.WAITING).update(
        status=status, answered_at=timezone.now(), answer=answer
    )
