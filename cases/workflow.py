"""The statuses of alerts and cases, and every move between them, as data. No Django.

A move is allowed when the table has it and the user holds its permission.
"""

from dataclasses import dataclass
from enum import StrEnum


class AlertStatus(StrEnum):
    """Where an alert stands."""

    OPEN = "open"
    IN_CASE = "in_case"
    CLOSED = "closed"


class CaseStatus(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    INVESTIGATING = "investigating"
    CLOSED = "closed"


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


@dataclass(frozen=True, slots=True)
class Move:
    """One allowed move of a case, as the button that makes it."""

    name: str
    label: str
    source: CaseStatus
    target: CaseStatus
    permission: str


CASE_MOVES = (
    Move(
        "investigate",
        "Start investigating",
        CaseStatus.OPEN,
        CaseStatus.INVESTIGATING,
        "cases.work_case",
    ),
    Move("close", "Close case", CaseStatus.OPEN, CaseStatus.CLOSED, "cases.work_case"),
    Move("close", "Close case", CaseStatus.INVESTIGATING, CaseStatus.CLOSED, "cases.work_case"),
    Move("reopen", "Reopen", CaseStatus.CLOSED, CaseStatus.INVESTIGATING, "cases.assign_alert"),
)


class MoveRefused(ValueError):
    """A move that the table does not have."""


def case_move(name: str, status: str) -> Move:
    """The move of that name from that status. Raises MoveRefused."""
    for move in CASE_MOVES:
        if move.name == name and move.source == status:
            return move
    raise MoveRefused(f"A case that is {status} cannot {name}.")


def moves_from(status: str) -> tuple[Move, ...]:
    """Every move that leaves a status."""
    return tuple(move for move in CASE_MOVES if move.source == status)


def check_reason(disposition: str, reason_code: str) -> Disposition:
    """The disposition, if the reason code belongs to it. Raises MoveRefused."""
    if disposition not in set(Disposition):
        raise MoveRefused("Say whether it is fraud, a false positive or inconclusive.")
    found = Disposition(disposition)
    if reason_code not in dict(REASON_CODES[found]):
        raise MoveRefused("Choose a reason that belongs to this outcome.")
    return found
