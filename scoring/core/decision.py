"""From probability and rule hits to a decision and a risk level, by written precedence.

1. A rule that says BLOCK blocks.
2. The model blocks at its block threshold, asks for review at its review threshold.
3. A rule that says REVIEW lifts an approval to a review.
4. Otherwise: approve.

The risk level is the model's band, lifted to HIGH by a review rule and to CRITICAL by a block rule.
Without a score (degraded) the rules alone decide; a missing score is never read as zero risk in the
level: it is LOW only because no rule spoke, and the prediction says `degraded`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scoring.core.types import Decision, RiskLevel, RuleHit, SelectionReason


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Lower bounds (>=) of decisions and bands, on the calibrated probability (else the score).

    `block` above 1 means never.
    """

    review: float
    block: float
    medium: float
    high: float
    critical: float

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Thresholds":
        """Read a manifest's `thresholds`."""
        return cls(**{name: float(data[name]) for name in cls.__dataclass_fields__})

    def to_dict(self) -> dict[str, float]:
        """The reverse of `from_dict`."""
        return asdict(self)

    def level(self, risk: float) -> RiskLevel:
        """The band that `risk` falls into."""
        if risk >= self.critical:
            return RiskLevel.CRITICAL
        if risk >= self.high:
            return RiskLevel.HIGH
        return RiskLevel.MEDIUM if risk >= self.medium else RiskLevel.LOW


def decide(
    risk: float | None, thresholds: Thresholds | None, hits: tuple[RuleHit, ...]
) -> tuple[Decision, RiskLevel, SelectionReason]:
    """Decision, level, and what selected the event. `risk` is None when no model scored."""
    decision, level = Decision.APPROVE, RiskLevel.LOW
    selected = SelectionReason.NONE
    if risk is not None and thresholds is not None:
        level = thresholds.level(risk)
        if risk >= thresholds.block:
            decision = Decision.BLOCK
        elif risk >= thresholds.review:
            decision = Decision.REVIEW
        if decision is not Decision.APPROVE:
            selected = SelectionReason.MODEL
    blocked = any(hit.outcome is Decision.BLOCK for hit in hits)
    if blocked:
        lifted, floor = Decision.BLOCK, RiskLevel.CRITICAL
    elif hits:
        lifted, floor = Decision.REVIEW, RiskLevel.HIGH
    else:
        return decision, level, selected
    if decision is Decision.APPROVE:
        selected = SelectionReason.RULE
    if decision is not Decision.BLOCK:
        decision = lifted
    if list(RiskLevel).index(floor) > list(RiskLevel).index(level):
        level = floor
    return decision, level, selected
