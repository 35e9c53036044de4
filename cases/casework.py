"""Every move of a case. Above a loss limit a closing takes two people; labels wait for the second.

`close_case` closes where one person may. Where not, `ask_to_close` keeps what was found as a
request, and a second person approves it or returns the case with a note.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.selectors import still_may
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.case_models import CaseApproval, CaseHandover
from cases.handovers import end_waiting
from cases.limits import Stake, check_setter, stake_of
from cases.mentioning import note_mentions
from cases.models import Case
from cases.routing import renew_times
from cases.services import close_alert, comment_on_case
from cases.telling import tell_case_moved, tell_closing_asked
from cases.workflow import (
    PLAIN_MOVES,
    AlertStatus,
    CaseStatus,
    Disposition,
    Move,
    MoveRefused,
    Situation,
    Who,
    case_move,
    check_reason,
    check_seen,
    moves_for,
    refusal_of,
)

Status = CaseApproval.Status


def pending_approval(case: Case) -> CaseApproval | None:
    """The request that waits for a second person."""
    rows = CaseApproval.objects.filter(case=case, status=Status.PENDING)
    return rows.select_related("requested_by").first()


def moves_of(
    case: Case, user: User, *, stake: Stake, pending: CaseApproval | None
) -> tuple[Move, ...]:
    """Exactly the moves that this user may make now."""
    return moves_for(case.status, may=user.has_perm, situation=_situation(user, stake, pending))


def _situation(user: User, stake: Stake, pending: CaseApproval | None) -> Situation:
    asker = pending is not None and pending.requested_by_id == user.pk
    return Situation(above_limit=stake.above, reason=stake.reason, remedy=stake.remedy, asker=asker)


@dataclass(slots=True)
class _Turn:
    """A case that is locked, with the move that may be made."""

    case: Case
    move: Move
    stake: Stake
    pending: CaseApproval | None


def _begin(case: Case, name: str, *, actor: User) -> _Turn:
    """Lock the case and see that the actor may make the move. Raises MoveRefused."""
    row = Case.objects.select_for_update(of=("self",)).select_related("work_queue").get(pk=case.pk)
    step = case_move(name, row.status)
    stake, pending = stake_of(row), pending_approval(row)
    may = partial(still_may, actor) if step.who is Who.SECOND else actor.has_perm
    refusal = refusal_of(step, may=may, situation=_situation(actor, stake, pending))
    if refusal:
        raise MoveRefused(refusal)
    return _Turn(row, step, stake, pending)


@transaction.atomic
def move_case(case: Case, *, move: str, actor: User) -> Case:
    """Make a move that needs nothing but its button. Raises MoveRefused."""
    if move in ("close", "ask"):
        raise MoveRefused("Closing needs an outcome and a reason.")
    if move not in PLAIN_MOVES:
        case_move(move, case.status)
        raise MoveRefused("This move has a form of its own.")
    turn = _begin(case, move, actor=actor)
    row = turn.case
    row.status = turn.move.target
    fields = ["status"]
    if move == "reopen":
        row.disposition, row.reason_code, row.closed_at = "", "", None
        fields += ["disposition", "reason_code", "closed_at"]
    row.save(update_fields=fields)
    if move == "reopen":
        renew_times(row, timezone.now())
    if move == "withdraw" and turn.pending is not None:
        _decide(turn.pending, Status.WITHDRAWN, actor=actor, note="")
        add_event(row, Kind.WITHDRAWN, actor=actor)
    else:
        _add_move(turn, actor)
    _audit(turn, actor)
    return row


@transaction.atomic
def close_case(
    case: Case,
    *,
    disposition: str,
    reason_code: str,
    actor: User,
    notes: str = "",
    seen: int | None = None,
) -> Case:
    """Close a case with what was found; its alerts close with it and their predictions get labels.

    In a case that was reopened, alerts that were closed with another outcome take the new one, and
    newer labels correct the earlier. `seen`: how many events it held when the actor looked. Raises
    MoveRefused, above the loss limit too.
    """
    found = check_reason(disposition, reason_code, notes)
    turn = _begin(case, "close", actor=actor)
    check_seen(turn.stake.events, seen)
    taken = turn.case.alerts.filter(taken_out_by=actor).order_by("pk").first()
    if taken is not None:
        raise MoveRefused(
            f"You took alert {taken.pk} out of a case above its limit: somebody else closes it."
        )
    check_setter(turn.stake, actor)
    _finish(turn, found, reason_code, author=actor, actor=actor, notes=notes)
    return turn.case


@transaction.atomic
def ask_to_close(
    case: Case,
    *,
    disposition: str,
    reason_code: str,
    actor: User,
    notes: str = "",
    seen: int | None = None,
) -> CaseApproval:
    """Ask a second person to close a case above the loss limit; nothing is labelled yet.

    `seen`: how many events it held when the actor looked. Raises MoveRefused.
    """
    found = check_reason(disposition, reason_code, notes)
    turn = _begin(case, "ask", actor=actor)
    check_seen(turn.stake.events, seen)
    currency, amount = turn.stake.weighed
    kept = turn.stake.kept()
    asked = CaseApproval.objects.create(
        case=turn.case,
        disposition=found,
        reason_code=reason_code,
        notes=notes.strip(),
        amount=amount,
        currency=currency,
        limit=turn.stake.limit or Decimal(0),
        totals=kept.get("at_risk", []),
        evidence=turn.stake.events,
        requested_by=actor,
        requested_at=timezone.now(),
    )
    turn.case.status = turn.move.target
    turn.case.save(update_fields=["status"])
    event = add_event(
        turn.case,
        Kind.ASKED,
        actor=actor,
        text=notes.strip(),
        outcome=found,
        reason=reason_code,
        approval=asked.pk,
        amount=f"{amount:,.2f}",
        currency=currency,
        limit=f"{asked.limit:,.2f}",
        **kept,
    )
    note_mentions(event)
    tell_closing_asked(asked, actor=actor)
    _audit(turn, actor, approval=asked.pk, disposition=found, reason_code=reason_code, **kept)
    return asked


@transaction.atomic
def approve_closing(
    case: Case,
    *,
    actor: User,
    note: str = "",
    seen: int | None = None,
    request: int | None = None,
) -> Case:
    """Close a case as the second person, with what the first one found.

    `seen`: how many events the case held when the approver looked; `request`: the id of what they
    read there. Raises MoveRefused, for whoever asked for it, and when more has come or something
    else was asked for since.
    """
    turn = _begin(case, "approve", actor=actor)
    asked = _as_read(turn, request)
    check_seen(turn.stake.events, seen)
    _decide(asked, Status.APPROVED, actor=actor, note=note)
    _finish(
        turn,
        Disposition(asked.disposition),
        asked.reason_code,
        author=asked.requested_by,
        actor=actor,
        notes=asked.notes,
        approval=asked.pk,
    )
    if note.strip():
        comment_on_case(turn.case, text=note, actor=actor)
    return turn.case


@transaction.atomic
def return_case(case: Case, *, actor: User, note: str, request: int | None = None) -> Case:
    """Send a case back to whoever asked to close it, with what is missing. Raises MoveRefused.

    `request` as in `approve_closing`.
    """
    if not note.strip():
        raise MoveRefused("Say what is missing: whoever asked reads it.")
    turn = _begin(case, "return", actor=actor)
    asked = _as_read(turn, request)
    _decide(asked, Status.RETURNED, actor=actor, note=note)
    turn.case.status = turn.move.target
    turn.case.save(update_fields=["status"])
    event = add_event(turn.case, Kind.RETURNED, actor=actor, text=note.strip(), approval=asked.pk)
    tell_case_moved(turn.case, event=event, actor=actor, asker=asked.requested_by)
    _audit(turn, actor, approval=asked.pk, note=note.strip())
    return turn.case


def _as_read(turn: _Turn, request: int | None) -> CaseApproval:
    """The request that waits. Raises MoveRefused where it is another than the one that was read:
    its asker may have taken that back and asked for the opposite."""
    asked = turn.pending
    if asked is None:
        raise MoveRefused("No request waits here.")
    if request is not None and request != asked.pk:
        name = asked.requested_by.name
        raise MoveRefused(f"{name} has asked anew since you opened this page: look again.")
    return asked


def _finish(
    turn: _Turn,
    found: Disposition,
    reason_code: str,
    *,
    author: User,
    actor: User,
    notes: str,
    approval: int | None = None,
) -> None:
    """The closing is final: the case, its alerts, and the labels, by whoever found it."""
    row, now = turn.case, timezone.now()
    row.status, row.closed_at = CaseStatus.CLOSED, now
    row.disposition, row.reason_code = found, reason_code
    row.save(update_fields=["status", "closed_at", "disposition", "reason_code"])
    end_waiting(row, CaseHandover.Status.WITHDRAWN, answer="The case was closed.")
    _close_alerts(row, found, reason_code, author=author, actor=actor, notes=notes, now=now)
    detail: dict[str, Any] = {"disposition": found.value, "reason_code": reason_code}
    detail |= turn.stake.kept() | ({} if approval is None else {"approval": approval})
    _add_move(turn, actor, **detail)
    if notes.strip() and approval is None:
        comment_on_case(row, text=notes, actor=actor)
    _audit(turn, actor, **detail)


def _close_alerts(
    case: Case,
    found: Disposition,
    reason_code: str,
    *,
    author: User,
    actor: User,
    notes: str,
    now: datetime,
) -> None:
    for alert in case.alerts.select_for_update().order_by("pk"):
        judged = alert.status == AlertStatus.CLOSED
        if not judged or (alert.disposition, alert.reason_code) != (found, reason_code):
            close_alert(alert, found, reason_code, actor=author, by=actor, notes=notes, now=now)


def _decide(asked: CaseApproval, status: CaseApproval.Status, *, actor: User, note: str) -> None:
    asked.status, asked.decided_by, asked.decided_at = status, actor, timezone.now()
    asked.decision_note = note.strip()
    asked.save(update_fields=["status", "decided_by", "decided_at", "decision_note"])


def _add_move(turn: _Turn, actor: User, **detail: Any) -> None:
    closing = turn.move.target is CaseStatus.CLOSED
    change = {"from": turn.move.source.value, "to": turn.move.target.value}
    kind = Kind.CLOSED if closing else Kind.MOVED
    event = add_event(turn.case, kind, actor=actor, **(change | detail))
    tell_case_moved(turn.case, event=event, actor=actor)


def _audit(turn: _Turn, actor: User, **detail: Any) -> None:
    change = {"from": turn.move.source.value, "to": turn.move.target.value}
    record_audit(
        actor=actor, action=f"case.{turn.move.name}", subject=turn.case, detail=change | detail
    )
