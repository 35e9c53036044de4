"""The table of moves, and which reasons belong to which outcome."""

import pytest

from cases.workflow import (
    CASE_MOVES,
    REASON_CODES,
    CaseStatus,
    Disposition,
    MoveRefused,
    case_move,
    check_reason,
    moves_from,
)

ALLOWED = {
    ("open", "investigate"): "investigating",
    ("open", "close"): "closed",
    ("investigating", "close"): "closed",
    ("closed", "reopen"): "investigating",
}


@pytest.mark.parametrize("status", [status.value for status in CaseStatus])
@pytest.mark.parametrize("name", ["investigate", "close", "reopen", "delete", ""])
def test_only_the_moves_of_the_table_are_made(status, name):
    if (status, name) in ALLOWED:
        assert case_move(name, status).target == ALLOWED[status, name]
        return
    with pytest.raises(MoveRefused, match=status):
        case_move(name, status)


def test_every_status_can_be_left():
    assert all(moves_from(status) for status in CaseStatus)
    assert len(CASE_MOVES) == len(ALLOWED)


@pytest.mark.parametrize("disposition", list(Disposition))
def test_a_reason_belongs_to_one_outcome(disposition):
    for code, words in REASON_CODES[disposition]:
        assert words
        assert check_reason(disposition, code) is disposition
        for other in set(Disposition) - {disposition}:
            with pytest.raises(MoveRefused):
                check_reason(other, code)


@pytest.mark.parametrize(("disposition", "reason"), [("", ""), ("guilty", "travel"), ("fraud", "")])
def test_an_outcome_without_a_known_reason_is_refused(disposition, reason):
    with pytest.raises(MoveRefused):
        check_reason(disposition, reason)
