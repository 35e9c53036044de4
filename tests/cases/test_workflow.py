"""The table of moves, who may make which, and which reasons belong to which outcome."""

from decimal import Decimal

import pytest

from accounts.roles import ADMIN, ANALYST, DATA_ENGINEER, LEAD, MODEL_OWNER, PERMISSIONS_BY_ROLE
from cases.workflow import (
    CASE_MOVES,
    REASON_CODES,
    CaseStatus,
    Disposition,
    MoveRefused,
    Situation,
    above_limit,
    case_move,
    check_reason,
    moves_for,
    moves_from,
    reasons_of,
)

ALLOWED = {
    **{(s, "investigate"): {"investigating"} for s in ("open", "reopened")},
    **{(s, "close"): {"closed"} for s in ("open", "investigating", "reopened")},
    **{(s, "ask"): {"pending_approval"} for s in ("open", "investigating", "reopened")},
    **{(s, "merge"): {"merged"} for s in ("open", "investigating", "reopened")},
    ("pending_approval", "approve"): {"closed"},
    ("pending_approval", "return"): {"investigating"},
    ("pending_approval", "withdraw"): {"investigating"},
    ("closed", "reopen"): {"reopened"},
    ("merged", "unmerge"): {"open", "investigating", "reopened"},
}
NAMES = ["investigate", "close", "ask", "approve", "return", "withdraw", "reopen", "merge", ""]
SMALL, LARGE = Situation(), Situation(above_limit=True)
ASKED = Situation(above_limit=True, asker=True)


@pytest.mark.parametrize("status", [status.value for status in CaseStatus])
@pytest.mark.parametrize("name", [*NAMES, "unmerge", "delete"])
def test_only_the_moves_of_the_table_are_made(status, name):
    if (status, name) in ALLOWED:
        targets = {move.target for move in moves_from(status) if move.name == name}
        assert targets == ALLOWED[status, name]
        return
    with pytest.raises(MoveRefused, match=status.replace("_", " ")):
        case_move(name, status)


def test_every_status_can_be_left_and_nothing_else_is_in_the_table():
    assert all(moves_from(status) for status in CaseStatus)
    assert len(CASE_MOVES) == sum(map(len, ALLOWED.values()))


@pytest.mark.parametrize(
    ("role", "status", "situation", "buttons"),
    [
        (ANALYST, "open", SMALL, ["investigate", "close", "merge"]),
        (ANALYST, "open", LARGE, ["investigate", "ask", "merge"]),
        (ANALYST, "investigating", SMALL, ["close", "merge"]),
        (ANALYST, "reopened", LARGE, ["investigate", "ask", "merge"]),
        (ANALYST, "pending_approval", ASKED, ["withdraw"]),
        (ANALYST, "pending_approval", LARGE, []),
        (ANALYST, "closed", SMALL, []),
        (LEAD, "pending_approval", LARGE, ["approve", "return"]),
        (LEAD, "pending_approval", ASKED, ["withdraw"]),
        (LEAD, "closed", SMALL, ["reopen"]),
        (LEAD, "open", LARGE, ["investigate", "ask", "merge"]),
        (ADMIN, "pending_approval", LARGE, ["approve", "return"]),
        (DATA_ENGINEER, "open", SMALL, []),
        (DATA_ENGINEER, "pending_approval", LARGE, []),
        (MODEL_OWNER, "closed", SMALL, []),
    ],
)
def test_a_role_has_exactly_these_buttons(role, status, situation, buttons):
    held = PERMISSIONS_BY_ROLE[role]
    found = moves_for(status, may=held.__contains__, situation=situation)
    assert [move.name for move in found] == buttons


@pytest.mark.parametrize("status", list(CaseStatus))
@pytest.mark.parametrize("situation", [SMALL, LARGE, ASKED])
def test_nobody_without_permission_has_a_button(status, situation):
    assert moves_for(status, may=lambda _: False, situation=situation) == ()


@pytest.mark.parametrize("role", PERMISSIONS_BY_ROLE)
def test_nobody_approves_what_they_asked_for(role):
    held = PERMISSIONS_BY_ROLE[role]
    found = moves_for("pending_approval", may=held.__contains__, situation=ASKED)
    assert not {move.name for move in found} & {"approve", "return"}


def test_the_limit_counts_each_currency_and_may_be_absent():
    assert above_limit([Decimal(5), Decimal(11)], Decimal(10))
    assert not above_limit([Decimal(10), Decimal(10)], Decimal(10))
    assert not above_limit([Decimal(10**9)], None)
    assert not above_limit([], Decimal(0))


@pytest.mark.parametrize("disposition", list(Disposition))
def test_a_reason_belongs_to_one_outcome(disposition):
    for code, words in REASON_CODES[disposition]:
        assert words
        assert check_reason(disposition, code, "Seen") is disposition
        for other in set(Disposition) - {disposition}:
            with pytest.raises(MoveRefused):
                check_reason(other, code, "Seen")


@pytest.mark.parametrize(
    ("disposition", "code"), [("fraud", "other_fraud"), ("false_positive", "other_false_positive")]
)
def test_a_reason_that_refers_to_the_note_needs_one(disposition, code):
    with pytest.raises(MoveRefused, match="Write in the note what it is"):
        check_reason(disposition, code, " ")
    assert check_reason(disposition, code, "A stolen phone") == disposition


@pytest.mark.parametrize(
    ("found", "codes"),
    [
        (Disposition.FRAUD, ["real_incident", "other_fraud"]),
        (
            Disposition.FALSE_POSITIVE,
            ["known_pattern", "planned_change", "model_or_rule_error", "other_false_positive"],
        ),
        (Disposition.INCONCLUSIVE, ["insufficient_evidence"]),
    ],
)
def test_reasons_about_money_are_offered_where_there_is_money(found, codes):
    assert [code for code, _ in reasons_of(found, money=False)] == codes
    assert reasons_of(found, money=True) == REASON_CODES[found]


@pytest.mark.parametrize(("disposition", "reason"), [("", ""), ("guilty", "travel"), ("fraud", "")])
def test_an_outcome_without_a_known_reason_is_refused(disposition, reason):
    with pytest.raises(MoveRefused):
        check_reason(disposition, reason, "Seen")
