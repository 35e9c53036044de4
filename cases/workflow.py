"""The statuses of alerts and cases, and every move between them, as data. No Django.

A move is allowed when the table has it and the user holds its permission.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class AlertStatus(StrEnum):
    """Where an alert stands."""

    OPEN = "open"
    IN_CASE = "in_case"
    CLOSED = "closed"


class CaseStatus(StrEnum):
    """Where a case stands. How a closed one ended is its disposition, which only it has."""

    OPEN = "open"
    INVESTIGATING = "investigating"
    PENDING_APPROVAL = "pending_approval"
    CLOSED = "closed"
    REOPENED = "reopened"
    MERGED = "merged"


WORKED_ON = (CaseStatus.OPEN, CaseStatus.INVESTIGATING, CaseStatus.REOPENED)
"""The case waits for whoever investigates it."""
LIVE_CASES = (*WORKED_ON, CaseStatus.PENDING_APPROVAL)
"""The case waits for somebody."""
PRIORITIES = ("Low", "Normal", "High", "Urgent")
"""A case's priority is an index into these, as its highest level is one into the risk levels."""


class Disposition(StrEnum):
    """What a human found."""

    FRAUD = "fraud"
    FALSE_POSITIVE = "false_positive"
    INCONCLUSIVE = "inconclusive"


class SecondLookStatus(StrEnum):
    """Where a second look at a labelled alert stands."""

    WAITING = "waiting"
    AGREED = "agreed"
    DISPUTED = "disputed"
    SETTLED = "settled"


REASON_CODES: dict[Disposition, tuple[tuple[str, str], ...]] = {
    Disposition.FRAUD: (
        ("stolen_credentials", "Stolen card or credentials"),
        ("account_takeover", "Account takeover"),
        ("card_testing", "Card testing"),
        ("compromised_terminal", "Compromised terminal or merchant"),
        ("mule_or_structuring", "Mule account or structuring"),
        ("real_incident", "Real incident"),
        ("other_fraud", "Other, see the note"),
    ),
    Disposition.FALSE_POSITIVE: (
        ("customer_confirmed", "Customer confirmed it"),
        ("known_pattern", "Known, legitimate pattern"),
        ("travel", "Travel"),
        ("planned_change", "Planned change or maintenance"),
        ("model_or_rule_error", "Model or rule is wrong"),
        ("other_false_positive", "Other, see the note"),
    ),
    Disposition.INCONCLUSIVE: (
        ("no_contact", "Customer could not be reached"),
        ("insufficient_evidence", "Not enough evidence"),
    ),
}
SEE_THE_NOTE = frozenset({"other_fraud", "other_false_positive"})
"""Reasons that say nothing without a note."""
ABOUT_MONEY = frozenset(
    (
        *("stolen_credentials", "account_takeover", "card_testing", "compromised_terminal"),
        *("mule_or_structuring", "customer_confirmed", "travel", "no_contact"),
    )
)
"""Reasons that are not offered where no money is at stake."""


def reasons_of(found: Disposition, *, money: bool) -> tuple[tuple[str, str], ...]:
    """(code, words) that fit an outcome; without `money` those of hosts and the like."""
    return tuple(
        (code, words) for code, words in REASON_CODES[found] if money or code not in ABOUT_MONEY
    )


class Who(StrEnum):
    """Which of those who hold its permission may make a move."""

    ANYBODY = "anybody"
    ASKER = "asker"
    SECOND = "second"


class Limit(StrEnum):
    """On which side of the loss limit a move exists."""

    ANY = "any"
    WITHIN = "within"
    ABOVE = "above"


@dataclass(frozen=True, slots=True)
class Move:
    """One allowed move of a case, as the button that makes it.

    `who` counts from the request for approval that waits: whoever asked, or anybody but them.
    """

    name: str
    label: str
    source: CaseStatus
    target: CaseStatus
    permission: str
    who: Who = Who.ANYBODY
    limit: Limit = Limit.ANY
    key: str = ""


_WORK, _LEAD, _APPROVE = "cases.work_case", "cases.assign_alert", "cases.approve_case"
_OPEN, _BUSY, _AGAIN = WORKED_ON
_PENDING, _CLOSED, _MERGED = CaseStatus.PENDING_APPROVAL, CaseStatus.CLOSED, CaseStatus.MERGED
_ASK = "Ask to close"
_START = "Start investigating"
CASE_MOVES = (
    Move("investigate", _START, _OPEN, _BUSY, _WORK, key="i"),
    Move("investigate", _START, _AGAIN, _BUSY, _WORK, key="i"),
    *(
        Move("close", "Close case", source, _CLOSED, _WORK, limit=Limit.WITHIN, key="f")
        for source in WORKED_ON
    ),
    *(
        Move("ask", _ASK, source, _PENDING, _WORK, limit=Limit.ABOVE, key="f")
        for source in WORKED_ON
    ),
    Move("approve", "Approve closing", _PENDING, _CLOSED, _APPROVE, Who.SECOND, key="a"),
    Move("return", "Return for rework", _PENDING, _BUSY, _APPROVE, Who.SECOND, key="r"),
    Move("withdraw", "Take the request back", _PENDING, _BUSY, _WORK, Who.ASKER, key="w"),
    Move("reopen", "Reopen", _CLOSED, _AGAIN, _LEAD, key="r"),
    *(Move("merge", "Merge into…", source, _MERGED, _WORK) for source in WORKED_ON),
    *(Move("unmerge", "Take out again", _MERGED, target, _WORK) for target in WORKED_ON),
)
"""Every move of a case. Leads reopen; merging and its undoing have forms of their own."""
PLAIN_MOVES = frozenset(("investigate", "reopen", "withdraw"))
"""Moves that need nothing but the press of their button."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides, besides the status, which moves there are. `asker`: this user asked."""

    above_limit: bool = False
    reason: str = "More is at risk than one person may close"
    remedy: str = ""
    asker: bool = False


class MoveRefused(ValueError):
    """A move that the table does not have."""


class Unseen(MoveRefused):
    """Events came, or went, since whoever decides looked."""

    short = "other events since you looked"


class SaidAlready(MoveRefused):
    """The same person said the same a moment ago; it stands once."""

    short = "said a moment ago"


def check_seen(held: int, seen: int | None) -> None:
    """Raises Unseen where an alert or a case holds other events than somebody saw; None: all."""
    if seen is None or held == seen:
        return
    more = held - seen
    came = (
        f"{more} more event{'s' if more > 1 else ''} came" if more > 0 else "Events were taken out"
    )
    raise Unseen(f"{came} since you opened this page: look again.")


def case_move(name: str, status: str, target: str = "") -> Move:
    """The move of that name from that status (to that target). Raises MoveRefused."""
    for move in CASE_MOVES:
        if move.name == name and move.source == status and target in ("", move.target):
            return move
    words = status.replace("_", " ")
    raise MoveRefused(f"A case that is {words} cannot {name.replace('_', ' ')}.")


def moves_from(status: str) -> tuple[Move, ...]:
    """Every move that leaves a status."""
    return tuple(move for move in CASE_MOVES if move.source == status)


def moves_for(status: str, *, may: Callable[[str], bool], situation: Situation) -> tuple[Move, ...]:
    """The moves that a user may make now: exactly their buttons. `may` asks for a permission."""
    return tuple(
        move for move in moves_from(status) if not refusal_of(move, may=may, situation=situation)
    )


def refusal_of(move: Move, *, may: Callable[[str], bool], situation: Situation) -> str:
    """Why a user may not make this move now; empty when they may."""
    if not may(move.permission):
        return f"You may not: {move.label.lower()}."
    if move.who is Who.SECOND and situation.asker:
        return "You asked for this closing yourself: a second person has to decide."
    if move.who is Who.ASKER and not situation.asker:
        return "Only who asked for the closing can take the request back."
    if move.limit is Limit.WITHIN and situation.above_limit:
        return f"{situation.reason}: ask for approval.{situation.remedy}"
    if move.limit is Limit.ABOVE and not situation.above_limit:
        return "This closing needs no approval: close the case."
    return ""


def above_limit(totals: Iterable[Decimal], limit: Decimal | None) -> bool:
    """Whether the amount at risk, in any one currency, is more than one person may close."""
    return limit is not None and any(total > limit for total in totals)


def check_reason(disposition: str, reason_code: str, notes: str) -> Disposition:
    """The disposition, if the reason code belongs to it, and a note is there where the reason says
    so. Raises MoveRefused."""
    if disposition not in set(Disposition):
        raise MoveRefused("Say whether it is fraud, a false positive or inconclusive.")
    found = Disposition(disposition)
    if reason_code not in dict(REASON_CODES[found]):
        raise MoveRefused("Choose a reason that belongs to this outcome.")
    if reason_code in SEE_THE_NOTE and not notes.strip():
        raise MoveRefused("Write in the note what it is: this reason refers to it.")
    return found
