"""What to check next: the facts whose check would change the decision most.

Each fact that stands behind a decision is taken as harmless, one at a time, and the decision is
made again: a group of features that one look answers is set to what is usual (the entity's own
median or most common level, else those of training), a rule's hit or a match with a list is set
aside. The facts are ranked by how far the decision then falls (block, review, approve), then by how
much of the risk goes with them. It is the most that the check can change: how likely it is to turn
out harmless is for the analyst.

Features of a group are moved together, so the sum of an amount does not speak for the amount that
was taken away; what only another group tells stays as it is. Rules are evaluated anew with the
moved values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from scoring.core.aggregates import RISKS
from scoring.core.alternatives import levels_of
from scoring.core.bundle import Bundle, Predictor
from scoring.core.decision import decide, rule_score, together
from scoring.core.features import category_code
from scoring.core.inference import ModelError, score_of
from scoring.core.pipeline import rule_values
from scoring.core.policy import Policy
from scoring.core.rules import evaluate
from scoring.core.spec import DetectorSpec
from scoring.core.transformations import FeatureSpec
from scoring.core.types import (
    DECISIONS,
    Decision,
    Event,
    Floats,
    Orders,
    RuleHit,
    ScreeningHit,
)

LEAST_DROP: Final = 0.01
"""A check that takes less of the risk, and leaves the decision, is not worth the time."""
PACE: Final = frozenset(("count", "since_last"))
OF_TIME: Final = frozenset(("calendar", "clock_sin", "clock_cos"))

Topic = tuple[str, str]
"""(what is asked, about which field): `value`, `other`, `pace`, `time`, `known_bad`, `rule`,
`screening`, `deny`; the field, the rule's code, or the place of the (first) hit."""


@dataclass(frozen=True, slots=True)
class Case:
    """One decided event with what decided it. `usual` float64[n]: the entity's own medians, of a
    category its most common level, NaN where it has too little history; `levels` those levels as
    events hold them, by field; `screening` the hits as they were found."""

    event: Event
    vector: Floats
    bundle: Bundle
    policy: Policy
    orders: Orders
    screening: tuple[ScreeningHit, ...]
    usual: Floats
    degraded: bool = False
    levels: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """One fact. `risk_after` and `decision` are those with the fact taken as harmless; the risk is
    the model's and the rules' together, None where neither speaks."""

    topic: Topic
    features: tuple[str, ...]
    risk: float | None
    risk_after: float | None
    decision: Decision
    steps: int

    @property
    def drop(self) -> float:
        """How much of the risk goes with it."""
        return (self.risk or 0.0) - (self.risk_after or 0.0)


def rank_checks(case: Case) -> list[Check]:
    """Every check that would change something, the one that changes most first."""
    judge = _Judge(case)
    found = [*judge.of_features(), *judge.of_rules(), *judge.of_screening(), *judge.of_lists()]
    worth = [one for one in found if one.steps > 0 or one.drop >= LEAST_DROP]
    return sorted(worth, key=lambda one: (-one.steps, -one.drop, one.topic))


def topic_of(spec: DetectorSpec, feature: FeatureSpec) -> Topic:
    """The question that a look at this feature's fact answers."""
    if feature.kind in RISKS:
        return "known_bad", feature.entity
    if feature.kind in OF_TIME or (not feature.entity and not feature.field):
        return "time", ""
    if feature.entity and feature.entity != spec.entity_field:
        return "other", feature.entity
    if feature.kind in PACE:
        return "pace", feature.entity
    return "value", feature.field


def parties_of(hits: Sequence[ScreeningHit]) -> list[list[int]]:
    """Places of the hits, those of one party together, in the order of the hits."""
    groups: list[list[int]] = []
    for i, hit in enumerate(hits):
        for places in groups:
            if all(_same_party(hits[place], hit) for place in places):
                places.append(i)
                break
        else:
            groups.append([i])
    return groups


def _same_party(one: ScreeningHit, other: ScreeningHit) -> bool:
    """Whether two lists name one party: the same words of a name, or an exact date of birth, were
    found. A list names a party once, so two entries of one list are two."""
    if one.list_name == other.list_name:
        return False
    return any(a and a & b for a, b in zip(_marks_of(one), _marks_of(other), strict=True))


def _marks_of(hit: ScreeningHit) -> tuple[set[Any], set[Any]]:
    """What tells a party: the listed words that were found, as one; its exact dates of birth."""
    words = frozenset(str(word["listed"]) for word in hit.detail.get("words", ()))
    births = {first for first, last in hit.detail.get("listed_births", ()) if first == last}
    return ({words} if words else set()), births


class _Judge:
    """Decides one case again with one fact changed."""

    def __init__(self, case: Case) -> None:
        self.case = case
        bundle = case.bundle
        self.predictor: Predictor | None = None if case.degraded else bundle.predictor
        self.hits = self._evaluate(case.event, case.vector)
        risks = self._risks(case.vector[None, :])
        self.own = None if risks is None else float(risks[0])
        self.now = self._decide(self.own, self.hits, case.screening, case.orders)
        self.joint = together(self.own, rule_score(self.hits))

    def of_features(self) -> list[Check]:
        """Groups of features, all judged by the model at once."""
        case, spec = self.case, self.case.bundle.spec
        groups: dict[Topic, list[int]] = {}
        for i, feature in enumerate(spec.features):
            groups.setdefault(topic_of(spec, feature), []).append(i)
        if not groups:
            return []
        vectors = np.tile(case.vector, (len(groups), 1))
        for row, places in enumerate(groups.values()):
            for i in places:
                vectors[row, i] = self._harmless(i)
        risks = self._risks(vectors)
        found = []
        for row, (topic, places) in enumerate(groups.items()):
            event = self._moved(topic, vectors[row])
            hits = self._evaluate(event, vectors[row])
            risk = None if risks is None else float(risks[row])
            names = tuple(spec.features[i].name for i in places)
            found.append(self._check(topic, names, risk, hits, case.screening, case.orders))
        return found

    def of_rules(self) -> list[Check]:
        """Each rule that took part, set aside."""
        return [
            self._check(
                ("rule", hit.code),
                (),
                self.own,
                tuple(other for other in self.hits if other is not hit),
                self.case.screening,
                self.case.orders,
            )
            for hit in self.hits
            if hit.counts
        ]

    def of_screening(self) -> list[Check]:
        """Each party or country that the event matches, taken as another's. A party that stands on
        several lists is one: one look tells whether it is this person."""
        hits = self.case.screening
        return [
            self._check(
                ("screening", str(places[0])),
                (),
                self.own,
                self.hits,
                tuple(hit for i, hit in enumerate(hits) if i not in places),
                self.case.orders,
            )
            for places in parties_of(hits)
        ]

    def of_lists(self) -> list[Check]:
        """The deny list, taken as out of date."""
        if not self.case.orders.denied:
            return []
        orders = self.case.orders._replace(denied=())
        topic = ("deny", self.case.orders.denied[0].field)
        return [self._check(topic, (), self.own, self.hits, self.case.screening, orders)]

    def _check(
        self,
        topic: Topic,
        features: tuple[str, ...],
        risk: float | None,
        hits: tuple[RuleHit, ...],
        screening: tuple[ScreeningHit, ...],
        orders: Orders,
    ) -> Check:
        decision = self._decide(risk, hits, screening, orders)
        return Check(
            topic=topic,
            features=features,
            risk=self.joint,
            risk_after=together(risk, rule_score(hits)),
            decision=decision,
            steps=DECISIONS.index(self.now) - DECISIONS.index(decision),
        )

    def _decide(
        self,
        risk: float | None,
        hits: tuple[RuleHit, ...],
        screening: tuple[ScreeningHit, ...],
        orders: Orders,
    ) -> Decision:
        bounds = (
            None if self.case.bundle.predictor is None else self.case.bundle.predictor.thresholds
        )
        return decide(risk, bounds, hits, screening=screening, orders=orders).decision

    def _risks(self, vectors: Floats) -> Floats | None:
        if self.predictor is None:
            return None
        try:
            margin = self.predictor.model.margin(self.predictor.encoder.matrix(vectors))
        except ModelError:
            return None
        probability = self.predictor.calibration.probability(margin)
        return score_of(margin, self.predictor.model.link) if probability is None else probability

    def _evaluate(self, event: Event, vector: Floats) -> tuple[RuleHit, ...]:
        if not self.case.policy.rules:
            return ()
        values = rule_values(event, vector, self.case.bundle)
        return evaluate(self.case.policy.rules, values, self.case.orders.snoozes)

    def _moved(self, topic: Topic, vector: Floats) -> Event:
        """The event with its own field moved like the feature that repeats it: rules read it."""
        event, spec, name = self.case.event, self.case.bundle.spec, topic[1]
        if topic[0] != "value" or name not in event.fields:
            return event
        places = {f.kind: i for i, f in enumerate(spec.features) if f.field == name}
        if "numeric" in places:
            value = float(vector[places["numeric"]])
            if math.isnan(value):
                return event
            amount = value if name == spec.amount_field else event.amount
            return event._replace(fields={**event.fields, name: value}, amount=amount)
        if "category" in places:
            level = self._level(name, float(vector[places["category"]]))
            return event if level is None else event._replace(fields={**event.fields, name: level})
        return event

    def _level(self, name: str, code: float) -> Any:
        """A category as events hold it: as the entity had it, else as training saw it. None where
        nobody can tell: rules then read the event as it is."""
        own, bundle = self.case.levels.get(name), self.case.bundle
        known = [self.case.event.fields[name], *([] if own is None else [own])]
        known += [*bundle.spec.schema["properties"][name].get("enum", ()), *levels_of(bundle, name)]
        return next((value for value in known if category_code(str(value)) == code), None)

    def _harmless(self, i: int) -> float:
        """What is usual for the entity, else what is in training, else as it is."""
        own = float(self.case.usual[i])
        feature = self.case.bundle.spec.features[i]
        if not math.isnan(own):
            return own
        known: Mapping[str, Any] = self.case.bundle.reference.get(feature.name) or {}
        if known.get("kind") == "category":
            levels = known.get("levels") or []
            return float(levels[0]["value"]) if levels else float(self.case.vector[i])
        deciles = known.get("deciles")
        return float(deciles[len(deciles) // 2]) if deciles else float(self.case.vector[i])
