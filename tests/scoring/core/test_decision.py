"""The written precedence of decisions, line by line."""

import pytest

from scoring.core.decision import Thresholds, decide
from scoring.core.types import Decision, RiskLevel, RuleHit, SelectionReason

BOUNDS = Thresholds(review=0.5, block=0.9, medium=0.3, high=0.6, critical=0.9)
REVIEW = RuleHit("R", 1, Decision.REVIEW, "", {})
BLOCK = RuleHit("B", 1, Decision.BLOCK, "", {})


@pytest.mark.parametrize(
    ("risk", "hits", "decision", "level", "selected"),
    [
        (0.0, (), "APPROVE", "LOW", ""),
        (0.29, (), "APPROVE", "LOW", ""),
        (0.3, (), "APPROVE", "MEDIUM", ""),
        (0.5, (), "REVIEW", "MEDIUM", "model"),
        (0.6, (), "REVIEW", "HIGH", "model"),
        (0.9, (), "BLOCK", "CRITICAL", "model"),
        (0.1, (REVIEW,), "REVIEW", "HIGH", "rule"),
        (0.1, (BLOCK,), "BLOCK", "CRITICAL", "rule"),
        (0.1, (REVIEW, BLOCK), "BLOCK", "CRITICAL", "rule"),
        (0.5, (REVIEW,), "REVIEW", "HIGH", "model"),
        (0.95, (REVIEW,), "BLOCK", "CRITICAL", "model"),
        (None, (), "APPROVE", "LOW", ""),
        (None, (REVIEW,), "REVIEW", "HIGH", "rule"),
        (None, (BLOCK,), "BLOCK", "CRITICAL", "rule"),
    ],
)
def test_precedence(risk, hits, decision, level, selected):
    found = decide(risk, None if risk is None else BOUNDS, hits)
    assert found == (Decision(decision), RiskLevel(level), SelectionReason(selected))


def test_a_block_threshold_above_one_never_blocks():
    never = Thresholds(review=0.5, block=2.0, medium=0.5, high=0.6, critical=0.7)
    assert decide(1.0, never, ())[:2] == (Decision.REVIEW, RiskLevel.CRITICAL)


def test_thresholds_survive_a_manifest():
    assert Thresholds.from_dict(BOUNDS.to_dict()) == BOUNDS
    with pytest.raises(KeyError):
        Thresholds.from_dict({"review": 0.5})
