"""The smallest plausible change of an event that the platform would really approve.

Wachter, Mittelstadt & Russell, "Counterfactual explanations without opening the black box" (2017):
the nearest input with another outcome. Here the outcome is the decision itself, with rules,
screening, lists and thresholds, not the model's score alone; only plain fields of the event may
change (who it was, when, and all history stay), values come from what was seen in training, and
everything that depends on a changed field is computed anew.

The distance of a change is the sum over changed fields of 1 + log(1 + |change| / spread), so fewer
fields win over smaller steps; a change of category costs 1 plus how rare the new one is.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any, Final

import numpy as np

from scoring.core.alternatives import Options, is_code, options_of, round_away
from scoring.core.bundle import Bundle
from scoring.core.decision import decide, rule_score, together
from scoring.core.features import Windows
from scoring.core.inference import ModelError, score_of
from scoring.core.pipeline import conclude, judge, rule_values
from scoring.core.policy import Policy
from scoring.core.reasons import half_up, name_and_unit, number, percent
from scoring.core.rebuild import Rebuilder
from scoring.core.rules import evaluate
from scoring.core.spec import DetectorSpec
from scoring.core.types import NO_ORDERS, Decision, Event, Floats, Orders, RuleHit, ScreeningHit

MOST_CHANGES: Final = 3
MOST_PAIRED: Final = 8
"""Fields that are tried together; more would make a page wait."""
BEAM: Final = 12
HALVINGS: Final = 24
DIGITS: Final = (1, 2, 3, 4, 6, 9)
ROUNDER: Final = 0.05

Changes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """One decided event with all that decided it.

    `windows` are those that scoring read, of the entities of which they are still known; for the
    others only fields whose every consequence can be told from `vector` may change. `orders_of`
    says what people had ordered about an event; it is asked anew for the changed one. `degraded`:
    its model was not asked, so none is here; the thresholds stay those of the bundle. `fixed`:
    fields that may not change either, whatever the bundle's own declaration says.
    """

    event: Event
    vector: Floats
    bundle: Bundle
    policy: Policy
    windows: Windows = field(default_factory=dict)
    orders_of: Callable[[Event], Orders] = lambda event: NO_ORDERS
    degraded: bool = False
    fixed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """One field: what it was, what it would be. `bound`: `at most`, `at least` or empty (just so).

    With a bound, every plausible value beyond `after` was tried and is approved too.
    """

    field: str
    before: Any
    after: Any
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What would have been approved, or why nothing would (`why_not`, then no `changes`).

    `risk` and `risk_after` are what is held against the thresholds, the model's and the rules'
    together; None when no model scored. `vector` is that of the changed event. `free` are the
    fields that were allowed to change, `unknown` those that were not because the history of then
    is gone. `tried` counts candidates. `approved` says that the event needs no change.
    """

    changes: tuple[Change, ...] = ()
    why_not: str = ""
    risk: float | None = None
    risk_after: float | None = None
    vector: Floats | None = None
    free: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    tried: int = 0
    approved: bool = False


def find_counterfactual(situation: Situation) -> Counterfactual:
    """Search; deterministic. An event that was approved gives `why_not`."""
    return _Search(situation).run()


@dataclass(frozen=True, slots=True)
class _Tried:
    """A candidate with its distance and what would be decided; its risk as in Counterfactual."""

    changes: Changes
    cost: float
    risk: float
    approved: bool


class _Search:
    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.bundle, self.policy = situation.bundle, situation.policy
        known = self.bundle.predictor
        self.predictor = None if situation.degraded else known
        self.bounds = None if known is None else known.thresholds
        self.orders = situation.orders_of(situation.event)
        screener = self.policy.screener
        # Screened fields never change, so one screening holds for every candidate.
        self.screened: tuple[ScreeningHit, ...] = (
            () if screener is None else screener.screen(situation.event.fields)
        )
        reads = {name for rule in self.policy.rules for name in rule.reads}
        self.rebuilder = Rebuilder(
            self.bundle.plan,
            situation.event,
            situation.vector,
            situation.windows,
            reads if self.predictor is None else None,
        )
        every = options_of(self.bundle, situation.event, reads, situation.fixed)
        self.options = {name: o for name, o in every.items() if self.rebuilder.can_change(name)}
        self.unknown = tuple(name for name in every if name not in self.options)
        self.tried = 0

    def run(self) -> Counterfactual:
        [now] = self._try([{}])
        told = None if math.isnan(now.risk) else now.risk
        if now.approved:
            return replace(self._none("It is approved as it is.", told), approved=True)
        barrier = self._barrier()
        if barrier:
            return self._none(barrier, told)
        best, lowest = self._best(now)
        if best is None:
            return self._none(self._exhausted(lowest), told)
        changes, vector, risk = best
        return Counterfactual(
            changes=changes,
            risk=told,
            risk_after=risk,
            vector=vector,
            free=tuple(self.options),
            unknown=self.unknown,
            tried=self.tried,
        )

    def _none(self, why: str, risk: float | None) -> Counterfactual:
        return Counterfactual(
            why_not=why, risk=risk, free=tuple(self.options), unknown=self.unknown, tried=self.tried
        )

    # --- What no change of a field can lift --------------------------------------------------

    def _barrier(self) -> str:
        # The allow list lifts what screening would have looked at, never what it blocks.
        lifted = (Decision.APPROVE, *([Decision.REVIEW] if self.orders.allowed else []))
        stopped = [hit for hit in self.screened if hit.outcome not in lifted]
        if self.orders.denied:
            return f"{_capital(self.orders.denied[0].field)} is on the deny list, which blocks it."
        if stopped:
            return f"Screening decides, whatever the other fields say: {stopped[0].text}"
        for hit in self._hits({}):
            if hit.counts and hit.outcome is not None and not self._moves(hit):
                return f"Rule {hit.code} decides by what cannot be changed here: {hit.text}"
        return "" if self.options else "The event has no field that could plausibly be different."

    def _moves(self, hit: RuleHit) -> bool:
        """Whether any free field changes something that the rule reads."""
        touched = {name for field in self.options for name in self.rebuilder.touches(field)}
        return bool(set(hit.values) & (touched | set(self.options)))

    def _exhausted(self, lowest: _Tried) -> str:
        names = ", ".join(_word(self.bundle, name)[0] for name in self.options)
        tail = f"No plausible change of {names} is enough"
        if self.unknown:
            others = ", ".join(_word(self.bundle, name)[0] for name in self.unknown)
            tail += f" (and what a change of {others} does to history cannot be told any more)"
        if math.isnan(lowest.risk):
            return f"{tail}."
        return f"{tail}: the risk stays at {percent(lowest.risk)} or more; the rest is fixed."

    # --- The search --------------------------------------------------------------------------

    def _best(self, now: _Tried) -> tuple[tuple[tuple[Change, ...], Floats, float | None] | None,
                                          _Tried]:  # fmt: skip
        """The nearest approved change that stands the full check; and the lowest risk seen."""
        lowest = now
        beam: list[_Tried] = []
        for size in range(1, MOST_CHANGES + 1):
            found = self._try(list(self._candidates(size, beam)))
            lowest = min([lowest, *found], key=_risk_then_cost)
            for one in sorted((t for t in found if t.approved), key=lambda t: t.cost):
                checked = self._check(self._refine(one.changes))
                if checked is not None:
                    return checked, lowest
            beam = sorted(found, key=_risk_then_cost)[:BEAM]
        return None, lowest

    def _candidates(self, size: int, beam: Sequence[_Tried]) -> Iterator[dict[str, Any]]:
        """Single changes; pairs of the fields that move the risk most; then on from the best."""
        if size == 1:
            for name, options in self.options.items():
                yield from ({name: value} for value in options.fine)
        elif size == 2:
            strong = list(dict.fromkeys(name for t in beam for name in t.changes))
            strong += [name for name in self.options if name not in strong]
            for a, b in combinations(strong[:MOST_PAIRED], 2):
                for x, y in product(self.options[a].coarse, self.options[b].coarse):
                    yield {a: x, b: y}
        else:
            for tried in beam:
                for name, options in self.options.items():
                    if name not in tried.changes:
                        yield from ({**tried.changes, name: value} for value in options.coarse)

    def _try(self, candidates: Sequence[Changes]) -> list[_Tried]:
        """Decide each candidate; the model judges all of them at once."""
        self.tried += len(candidates)
        if not candidates:
            return []
        events = [self._changed(changes) for changes in candidates]
        vectors = np.array([self.rebuilder.vector(event) for event in events])
        risks = self._risks(vectors)
        found = []
        for i, (changes, event) in enumerate(zip(candidates, events, strict=True)):
            own = None if risks is None else float(risks[i])
            hits = self._evaluate(event, vectors[i])
            ruling = decide(own, self.bounds, hits, screening=self.screened, orders=self.orders)
            approved = ruling.decision is Decision.APPROVE
            risk = _joint(own, rule_score(hits))
            found.append(
                _Tried(changes, self._cost(changes), math.nan if risk is None else risk, approved)
            )
        return found

    def _risks(self, vectors: Floats) -> Floats | None:
        predictor = self.predictor
        if predictor is None:
            return None
        try:
            margin = predictor.model.margin(predictor.encoder.matrix(vectors))
        except ModelError:
            return None
        probability = predictor.calibration.probability(margin)
        return score_of(margin, predictor.model.link) if probability is None else probability

    def _evaluate(self, event: Event, vector: Floats) -> tuple[RuleHit, ...]:
        if not self.policy.rules:
            return ()
        values = rule_values(event, vector, self.bundle)
        return evaluate(self.policy.rules, values, self.orders.snoozes)

    def _hits(self, changes: Changes) -> tuple[RuleHit, ...]:
        event = self._changed(changes)
        return self._evaluate(event, self.rebuilder.vector(event))

    def _changed(self, changes: Changes) -> Event:
        event = self.situation.event
        fields = {**event.fields, **changes}
        amount = changes.get(self.bundle.spec.amount_field)
        return event._replace(
            fields=fields, amount=event.amount if amount is None else float(amount)
        )

    def _cost(self, changes: Changes) -> float:
        return sum(self.options[name].cost(value) for name, value in changes.items())

    # --- From a step of the grid to the edge -------------------------------------------------

    def _refine(self, changes: Changes) -> Changes:
        """Drop what is not needed, then bring each number as near to what it was as it may be."""
        current = dict(changes)
        for name in changes:
            if len(current) > 1 and self._approves({k: v for k, v in current.items() if k != name}):
                del current[name]
        for name in current:
            options = self.options[name]
            if options.numeric:
                current[name] = self._nearest(current, name, options)
        return current

    def _nearest(self, changes: Changes, name: str, options: Options) -> float | int:
        """The approved value nearest to the present one: halving, then a number worth saying."""
        far, near = float(changes[name]), float(options.now)
        edge = far
        for _ in range(HALVINGS):
            middle = options.snap((edge + near) / 2.0)
            if middle in (edge, near):
                break
            if self._approves({**changes, name: middle}):
                edge = middle
            else:
                near = middle
        for digits in DIGITS:
            said = options.snap(round_away(edge, float(options.now), digits))
            # A rounder number may cost a little distance, but nobody asks for more than the grid.
            near_enough = abs(said - edge) <= ROUNDER * abs(edge - float(options.now))
            within = (said >= far) if edge < float(options.now) else (said <= far)
            if near_enough and within and self._approves({**changes, name: said}):
                return said
        return edge

    def _approves(self, changes: Changes) -> bool:
        return self._try([changes])[0].approved

    # --- The proof ---------------------------------------------------------------------------

    def _check(self, changes: Changes) -> tuple[tuple[Change, ...], Floats, float | None] | None:
        """Decide the changed event as scoring would, orders read anew; None if not approved."""
        event = self._changed(changes)
        vector = self.rebuilder.vector(event)
        verdict = conclude(
            event, vector, judge(self.predictor, vector[None, :]), 0, {}, self.bundle,
            self.policy, self.situation.orders_of(event),
        )  # fmt: skip
        if verdict.decision is not Decision.APPROVE:
            return None
        told = tuple(
            Change(name, self.situation.event.fields.get(name), value, self._bound(changes, name))
            for name, value in changes.items()
        )
        own = verdict.score if verdict.probability is None else verdict.probability
        return told, vector, _joint(own, verdict.rule_score)

    def _bound(self, changes: Changes, name: str) -> str:
        options = self.options[name]
        if not options.numeric:
            return ""
        value, now = float(changes[name]), float(options.now)
        beyond = [x for x in options.fine if (x < value if value < now else x > value)]
        tried = self._try([{**changes, name: x} for x in beyond])
        if not all(one.approved for one in tried):
            return ""
        return "at most" if value < now else "at least"


def _joint(own: float | None, weight: float) -> float | None:
    """The model's risk with the rules' weights."""
    return None if own is None else together(own, weight)


def _risk_then_cost(tried: _Tried) -> tuple[float, float]:
    return (0.0 if math.isnan(tried.risk) else tried.risk, tried.cost)


def tell(found: Counterfactual, bundle: Bundle, currency: str = "") -> str:
    """A counterfactual as a sentence; `currency` follows the detector's amount."""
    if not found.changes:
        return found.why_not
    spec = bundle.spec
    parts = []
    for change in found.changes:
        name, unit = _word(bundle, change.field)
        after, before = (
            _value(value, change.field, spec, currency) + unit
            for value in (change.after, change.before)
        )
        bound = f"{change.bound} " if change.bound else ""
        parts.append(f"{name} {bound}{after} instead of {before}")
    quiet = "approved" if spec.amount_field else "quiet"
    return f"Would be {quiet} with {' and '.join(parts)}."


def _value(value: Any, name: str, spec: DetectorSpec, currency: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float) or is_code(spec, name):
        return str(value)
    if currency and name == spec.amount_field:
        return f"{half_up(value):,.2f} {currency}"
    return number(float(value))


def _word(bundle: Bundle, name: str) -> tuple[str, str]:
    """A field's name and unit, as its reasons have them."""
    labels = {f.field: f.label for f in bundle.spec.features if f.kind == "numeric"}
    return name_and_unit(labels.get(name, ""), name)


def _capital(text: str) -> str:
    text = text.replace("_", " ")
    return text[:1].upper() + text[1:]
