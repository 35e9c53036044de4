"""From risk, rules, screening and lists to a decision and a risk level, by written precedence.

1. Screening: a hit that says BLOCK blocks. Nobody can allow what the law forbids.
2. The deny list blocks.
3. The allow list approves; whatever else was found is recorded and decides nothing.
4. A live rule that forces BLOCK blocks.
5. The risk (the model's probability and the rules' weights together, as independent evidence)
   blocks at the block threshold and asks for review at the review threshold; a review forced by a
   rule or asked for by screening lifts an approval to a review.
6. Otherwise: approve. An approved event may be drawn for a random audit: its decision stands, and a
   human looks at it.

The risk level is the band of the risk, lifted to HIGH by a forced review and to CRITICAL by a
forced block. `selected` names who asked for the decision that was made: the model where it did so
alone, else the rules, else screening. Without a score (degraded) rules, screening and lists decide;
a missing score is never read as zero risk in the level: it is LOW only because nothing spoke, and
the prediction says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from scoring.core.types import (
    DECISIONS,
    NO_ORDERS,
    RISK_LEVELS,
    Decision,
    Orders,
    RiskLevel,
    RuleHit,
    ScreeningHit,
    SelectionReason,
)


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


RULES_ALONE = Thresholds(review=0.5, block=0.9, medium=0.25, high=0.5, critical=0.9)
"""What rule weights are held against where no model brings thresholds of its own."""


class Ruling(NamedTuple):
    """What was decided and why. `propensity` is the chance that a human was to look at the event:
    1 for one that was selected for a reason, the audit rate for any other."""

    decision: Decision
    level: RiskLevel
    selected: SelectionReason
    propensity: float


def rule_score(hits: Iterable[RuleHit]) -> float:
    """The weights of the hits that count, as independent evidence: 1 - (1 - w1)(1 - w2)..."""
    score = 0.0
    for hit in hits:
        if hit.counts and hit.outcome is None:
            score = _either(score, hit.weight)
    return score


def _either(a: float, b: float) -> float:
    """1 - (1 - a)(1 - b), written so that zero adds nothing, to the last bit: a weight of 0.1 alone
    reaches a threshold of 0.1."""
    return a + b * (1.0 - a)


def together(risk: float | None, weight: float) -> float | None:
    """The model's risk and the rule score as one; None when neither spoke."""
    if risk is None:
        return weight if weight > 0.0 else None
    return _either(risk, weight)


def decide(
    risk: float | None,
    thresholds: Thresholds | None,
    hits: tuple[RuleHit, ...] = (),
    *,
    screening: tuple[ScreeningHit, ...] = (),
    orders: Orders = NO_ORDERS,
    audit_rate: float = 0.0,
) -> Ruling:
    """The ruling. `risk` is the model's, None when no model scored."""
    weight = rule_score(hits)
    joint = together(risk, weight)
    bounds = thresholds or RULES_ALONE
    level = RiskLevel.LOW if joint is None else bounds.level(joint)
    wants = {hit.outcome for hit in screening}
    forced = {hit.outcome for hit in hits if hit.counts}
    if Decision.BLOCK in wants:
        return _blocked(SelectionReason.SCREENING)
    if orders.denied:
        return _blocked(SelectionReason.RULE)
    if orders.allowed:
        return _approved(level, orders, audit_rate)
    by_model, decision = _by_risk(risk, bounds), _by_risk(joint, bounds)
    if Decision.BLOCK in forced:
        return _blocked(_first(by_model, Decision.BLOCK))
    if decision is Decision.APPROVE and Decision.REVIEW not in wants | forced:
        return _approved(level, orders, audit_rate)
    if Decision.REVIEW in wants | forced:
        level = max(level, RiskLevel.HIGH, key=RISK_LEVELS.index)
    if decision is Decision.APPROVE and Decision.REVIEW not in forced:
        return Ruling(Decision.REVIEW, level, SelectionReason.SCREENING, 1.0)
    decision = max(decision, Decision.REVIEW, key=DECISIONS.index)
    return Ruling(decision, level, _first(by_model, decision), 1.0)


def _first(by_model: Decision, decision: Decision) -> SelectionReason:
    """The model where it alone asks for the decision, else the rules that made it so."""
    return SelectionReason.MODEL if by_model is decision else SelectionReason.RULE


def _by_risk(risk: float | None, bounds: Thresholds) -> Decision:
    if risk is None or risk < bounds.review:
        return Decision.APPROVE
    return Decision.BLOCK if risk >= bounds.block else Decision.REVIEW


def _blocked(selected: SelectionReason) -> Ruling:
    return Ruling(Decision.BLOCK, RiskLevel.CRITICAL, selected, 1.0)


def _approved(level: RiskLevel, orders: Orders, audit_rate: float) -> Ruling:
    drawn = orders.audit_draw < audit_rate
    selected = SelectionReason.RANDOM_AUDIT if drawn else SelectionReason.NONE
    return Ruling(Decision.APPROVE, level, selected, audit_rate)
