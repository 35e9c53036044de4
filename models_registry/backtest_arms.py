"""How stored events would be decided: today, and by what a backtest asks.

Everything but what is asked stays as it was when the event came: the values that a rule reads, the
risk, the matches of the other rules, screening, the allow and deny lists, snoozes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np

from models_registry.backtest_models import Backtest
from models_registry.core.live import APPROVE, BLOCK, REVIEW
from models_registry.core.thresholds import NEVER, moved
from models_registry.judging import risk_of
from models_registry.shadow_scoring import (
    CannotShadow,
    layout_of,
    orders_of,
    rule_hit_of,
    screening_hit_of,
)
from scoring.core.bundle import BundleError
from scoring.core.decision import Thresholds, decide
from scoring.core.rules import Rule as CompiledRule
from scoring.core.rules import evaluate
from scoring.core.types import Decision, RuleHit
from scoring.deployment import loaded
from scoring.models import Prediction
from scoring.policy_models import Snooze
from scoring.rule_editing import RuleText, check_rule
from scoring.rule_reports import stored_values

CODES = {Decision.APPROVE: APPROVE, Decision.REVIEW: REVIEW, Decision.BLOCK: BLOCK}
NAMES = {code: decision.value for decision, code in CODES.items()}
NEW = "NEW_RULE"
"""What a rule without a code is called while it is tried."""


class Told(NamedTuple):
    """What is said of one event: decisions (core.live), what `found` it, the values read.

    `lacks`: a feature that is read was not computed yet when the event came.
    """

    then: int
    today: int
    proposed: int
    found_today: bool
    found: bool
    values: Sequence[tuple[str, Any]]
    lacks: bool = False


class Arms(Protocol):
    """Says of stored events what today and what the proposal make of them."""

    def tell(self, rows: Sequence[Prediction]) -> list[Told | None]:
        """One for each; None where it cannot be read any more."""
        ...


def arms_of(test: Backtest) -> Arms:
    """What the backtest asks. Raises PolicyRefused, BundleError."""
    return RuleArms(test) if test.kind == Backtest.Kind.RULE else ThresholdArms(test)


def text_of_json(said: Mapping[str, Any]) -> RuleText:
    """The rule of a backtest."""
    names = ("when", "text", "outcome", "weight", "parameters")
    return RuleText(**{name: said[name] for name in names})


def decision_of(
    risk: float | None,
    bounds: Thresholds | None,
    hits: Sequence[RuleHit],
    row: Prediction,
) -> int:
    """The decision under the screening and the lists that were stored with the event."""
    ruling = decide(
        risk,
        bounds,
        tuple(hits),
        screening=tuple(screening_hit_of(hit) for hit in row.screening_hits),
        orders=orders_of(row.list_hits),
    )
    return CODES[ruling.decision]


@dataclass(frozen=True, slots=True)
class _Order:
    until: str
    created_at: datetime
    ends: tuple[datetime | None, datetime | None]

    def stood(self, at: datetime) -> bool:
        return self.created_at <= at and all(end is None or at < end for end in self.ends)


class RuleArms:
    """The live version of a rule, if there is one, and an unsaved text in its place."""

    def __init__(self, test: Backtest) -> None:
        spec = test.detector.spec()
        # A new rule that is called like another one is still another rule.
        self.code = test.rule.code if test.rule else NEW
        self.features = frozenset(spec.feature_names) - spec.schema["properties"].keys()
        self.proposed = self._compiled(spec, test.asked)
        self.today = self._compiled(spec, test.today) if test.today else None
        self.snoozes: dict[str, list[_Order]] = {}
        for order in Snooze.objects.filter(rule=test.rule_id) if test.rule_id else ():
            until = order.expires_at.isoformat() if order.expires_at else ""
            ends = (order.expires_at, order.revoked_at)
            found = self.snoozes.setdefault(order.token, [])
            found.append(_Order(until, order.created_at, ends))

    def _compiled(self, spec: Any, said: Mapping[str, Any]) -> CompiledRule:
        text = text_of_json(said)
        text = replace(text, text=text.text or self.code)
        return check_rule(spec, self.code, text, stored=True)

    def tell(self, rows: Sequence[Prediction]) -> list[Told | None]:
        """See Arms."""
        return [self._tell(row) for row in rows]

    def _tell(self, row: Prediction) -> Told | None:
        values = stored_values(row)
        if values is None:
            return None
        predictor = loaded(row.bundle_digest).predictor
        bounds = predictor.thresholds if predictor else None
        others = [rule_hit_of(hit) for hit in row.rule_hits if hit["code"] != self.code]
        proposed = self._hits(self.proposed, values, row)
        today = self._hits(self.today, values, row) if self.today else ()
        return Told(
            then=CODES[Decision(row.decision)],
            today=decision_of(row.risk, bounds, [*others, *today], row),
            proposed=decision_of(row.risk, bounds, [*others, *proposed], row),
            found_today=bool(today),
            found=bool(proposed),
            values=[(name, values.get(name)) for name in self.proposed.reads],
            lacks=any(name in self.features and name not in values for name in self.proposed.reads),
        )

    def _hits(
        self, rule: CompiledRule, values: Mapping[str, Any], row: Prediction
    ) -> tuple[RuleHit, ...]:
        orders = self.snoozes.get(row.entity, ())
        until = [one.until for one in orders if one.stood(row.received_at)]
        return evaluate((rule,), values, {rule.code: max(until)} if until else {})


class ThresholdArms:
    """The champion's model on the stored vectors, under its thresholds and under others."""

    def __init__(self, test: Backtest) -> None:
        if test.version is None:
            raise BundleError("The version is gone.")
        self.bundle = loaded(test.version.digest)
        if self.bundle.predictor is None:
            raise BundleError("Rules alone serve: there is no model whose thresholds could move.")
        self.predictor = self.bundle.predictor
        self.today = self.predictor.thresholds
        block = test.asked["block"]
        self.proposed = moved(
            self.today, review=test.asked["review"], block=NEVER if block is None else block
        )

    def tell(self, rows: Sequence[Prediction]) -> list[Told | None]:
        """See Arms."""
        found: list[Told | None] = [None] * len(rows)
        for digest in {row.bundle_digest for row in rows}:
            try:
                layout = layout_of(self.bundle, digest)
            except CannotShadow:
                continue
            places = [i for i, row in enumerate(rows) if row.bundle_digest == digest]
            vectors = np.array([rows[i].vector_array()[layout] for i in places])
            for i, risk in zip(places, risk_of(self.predictor, vectors).tolist(), strict=True):
                found[i] = self._tell(rows[i], risk)
        return found

    def _tell(self, row: Prediction, risk: float) -> Told:
        hits = [rule_hit_of(hit) for hit in row.rule_hits]
        today = decision_of(risk, self.today, hits, row)
        proposed = decision_of(risk, self.proposed, hits, row)
        rules = ", ".join(hit.code for hit in hits if hit.counts)
        values: list[tuple[str, Any]] = [("risk", round(risk, 4))]
        return Told(
            then=CODES[Decision(row.decision)],
            today=today,
            proposed=proposed,
            found_today=today != APPROVE,
            found=proposed != APPROVE,
            values=[*values, ("rules", rules)] if rules else values,
        )
