"""The policy in force in words: what decides an event, in which order, and what bounds it.

For who reads why an event was reviewed, whether or not they may change it. The order is that of
scoring/core/decision.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from accounts.quantities import threshold, written
from scoring.core.decision import RULES_ALONE, Thresholds
from scoring.core.spec import DetectorSpec, ScreeningSpec
from scoring.core.types import Decision, RiskLevel, Stage
from scoring.deployment import RULES_ONLY, bundle_of
from scoring.models import Deployment, Detector
from scoring.policies import audit_rate_of, screening_of, standing
from scoring.policy_models import ListEntry, RuleVersion, Snooze
from scoring.screened import list_words
from scoring.selectors import rules_in_force
from scoring.shortfalls import review_due, shortfalls_of

BLOCK, REVIEW, APPROVE = Decision.BLOCK, Decision.REVIEW, Decision.APPROVE


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the precedence: where it applies, nothing below it decides.

    `rules`: codes of the live rules that may bring it about, `notes`: what else may, in sentences.
    """

    title: str
    outcome: Decision
    notes: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """What decides now. `model` is empty where the rules alone decide, `review_due` None for never.

    `levels`: each risk level with the risk from which on it is told. `audit_rate` and `capacity`
    are shares: of what is approved, and of all events. `shortfalls`: what does not do what it says.
    """

    model: str
    thresholds: Thresholds
    steps: tuple[Step, ...]
    levels: tuple[tuple[RiskLevel, float], ...]
    audit_rate: float
    capacity: float
    review_due: datetime | None
    overdue: bool
    without_a_score: str
    snoozes: int
    shortfalls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Live:
    """A live rule; `outcome` is None for one that adds weight."""

    code: str
    outcome: Decision | None
    weight: float


def policy_in_force(detector: Detector, spec: DetectorSpec, now: datetime) -> PolicyInForce:
    """Of a detector from `selectors.detector_list`; four queries."""
    champions: list[Deployment] = detector.champions  # type: ignore[attr-defined]
    champion = next(iter(champions), None)
    bundle, _ = bundle_of(detector, champion)
    versions = list(rules_in_force(detector))
    # Without a policy the rules of what serves decide (scoring/policy_store.py).
    live = _live(versions) if detector.policy_digest else _declared(spec)
    bounds = RULES_ALONE if bundle.predictor is None else bundle.predictor.thresholds
    model = "" if champion is None or champion.version == RULES_ONLY else champion.version
    due = None if champion is None else review_due(champion)
    return PolicyInForce(
        model=model,
        thresholds=bounds,
        steps=_steps(live, bounds, model, screening_of(detector, spec), _listed(detector, now)),
        levels=(
            (RiskLevel.MEDIUM, bounds.medium),
            (RiskLevel.HIGH, bounds.high),
            (RiskLevel.CRITICAL, bounds.critical),
        ),
        audit_rate=audit_rate_of(detector, spec),
        capacity=spec.costs.capacity,
        review_due=due,
        overdue=due is not None and due <= now,
        without_a_score=_without_a_score(bounds, model),
        snoozes=Snooze.objects.filter(standing(now), rule__detector=detector).count(),
        shortfalls=tuple(found.text for found in shortfalls_of(detector, versions)),
    )


def _live(versions: Iterable[RuleVersion]) -> list[_Live]:
    return [
        _Live(row.rule.code, Decision(row.outcome) if row.outcome else None, row.weight)
        for row in versions
        if row.stage == Stage.LIVE
    ]


def _declared(spec: DetectorSpec) -> list[_Live]:
    return [
        _Live(rule.code, Decision(rule.outcome) if rule.outcome else None, rule.weight)
        for rule in spec.rules
    ]


def _listed(detector: Detector, now: datetime) -> dict[str, int]:
    """By kind of list, how many values stand on it."""
    rows = ListEntry.objects.filter(standing(now), detector=detector).order_by()
    return dict(rows.values_list("kind").annotate(n=Count("pk")))


def _steps(
    live: Sequence[_Live],
    bounds: Thresholds,
    model: str,
    screening: ScreeningSpec | None,
    listed: dict[str, int],
) -> tuple[Step, ...]:
    return (
        Step("Screening says block", BLOCK, _screened(screening, BLOCK)),
        Step("The deny list holds a value of the event", BLOCK, (_values(listed, "deny"),)),
        Step("The allow list holds a value of the event", APPROVE, (_values(listed, "allow"),)),
        Step("A live rule blocks", BLOCK, rules=_asking(live, BLOCK)),
        *_by_risk(live, bounds, model),
        Step(
            "A live rule, or screening, asks for a review",
            REVIEW,
            _screened(screening, REVIEW),
            _asking(live, REVIEW),
        ),
        Step("Otherwise", APPROVE),
    )


def _asking(live: Iterable[_Live], outcome: Decision) -> tuple[str, ...]:
    return tuple(rule.code for rule in live if rule.outcome is outcome)


def _values(listed: dict[str, int], kind: str) -> str:
    count = listed.get(kind, 0)
    return f"{count or 'No'} value{'s' if count > 1 else ''} in force."


def _by_risk(live: Iterable[_Live], bounds: Thresholds, model: str) -> tuple[Step, ...]:
    """The risk against the thresholds; the first line says what it is made of."""
    made_of, review = _made_of(live, model), f"The risk is {threshold(bounds.review)} or more"
    if bounds.block > 1.0:
        return (Step(review, REVIEW, (made_of, "It never blocks by itself.")),)
    block = f"The risk is {threshold(bounds.block)} or more"
    return (Step(block, BLOCK, (made_of,)), Step(review, REVIEW))


def _made_of(live: Iterable[_Live], model: str) -> str:
    weights = [f"{rule.code} ({written(rule.weight)})" for rule in live if rule.outcome is None]
    word = "weight" if len(weights) == 1 else "weights"
    parts = [f"the probability of {model}"] if model else []
    parts += [f"the {word} of {', '.join(weights)}"] if weights else []
    if not parts:
        return "Nothing speaks here: no model serves, and no live rule adds weight."
    together = ", as independent evidence" if len(weights) + bool(model) > 1 else ""
    return f"The risk is {' and '.join(parts)}{together}."


def _screened(screening: ScreeningSpec | None, outcome: Decision) -> tuple[str, ...]:
    """When a name or a country brings about the outcome."""
    if screening is None:
        return ("This detector screens nothing.",) if outcome is BLOCK else ()
    at_once = outcome is BLOCK
    mark = screening.block if at_once else screening.review
    countries = sorted(screening.embargoed if at_once else screening.high_risk)
    said = []
    if screening.name_field and screening.lists:
        names = " or ".join(list_words(name) for name in screening.lists)
        said.append(
            "Screening acts here never by a name."
            if mark > 1.0
            else f"A name that is on {names}, at a match score of {written(mark)} or more."
        )
    if screening.country_field and countries:
        word = "Embargoed" if at_once else "High-risk"
        said.append(f"{word} countries: {', '.join(countries)}.")
    return tuple(said)


def _without_a_score(bounds: Thresholds, model: str) -> str:
    """What decides where no model scores: there is none, it failed, or its review is overdue."""
    held = (
        f"Weights of rules are held against the same thresholds, {threshold(bounds.review)} for a"
        f" review and {threshold(bounds.block)} for a block."
    )
    why = "when the model cannot score, or is past its review date" if model else "as now"
    return (
        f"Without a score ({why}) rules, lists and screening decide alone; predictions say"
        f" degraded, with the score null. {held}"
    )
