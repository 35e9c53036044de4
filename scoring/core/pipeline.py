"""The straight path, on one page: event + windows + bundle -> verdict.

Nothing here reads a clock, a database or the network. `score` answers for one event, `score_many`
for a batch; they give the same verdicts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scoring.core.bundle import Bundle, Predictor
from scoring.core.decision import decide, rule_score
from scoring.core.explain import group_by_source
from scoring.core.features import Windows
from scoring.core.inference import ModelError, score_of
from scoring.core.policy import Policy
from scoring.core.reasons import explain_reasons
from scoring.core.rules import evaluate
from scoring.core.types import NO_ORDERS, Event, Floats, Orders, Reason, Verdict
from scoring.core.vectors import build, build_many, state_rows, teach
from scoring.core.windows import EntityWindow

FEW = 32
"""Events up to which reading them one by one beats columns of them (measured)."""


def score(
    event: Event,
    windows: Windows,
    bundle: Bundle,
    policy: Policy | None = None,
    orders: Orders = NO_ORDERS,
) -> Verdict:
    """Features, model, rules, screening, decision, reasons for one event. `windows` is only read.

    Without a policy the rules that the bundle was trained with decide.
    """
    vector = build(bundle.plan, event, windows)
    judged = judge(bundle.predictor, vector[None, :])
    return conclude(event, vector, judged, 0, windows, bundle, policy or bundle.policy, orders)


def score_many(
    events: Sequence[Event],
    windows: dict[tuple[str, str], EntityWindow],
    bundle: Bundle,
    policy: Policy | None = None,
    orders: Sequence[Orders] = (),
    judging: "Judge | None" = None,
) -> list[Verdict]:
    """Verdicts for events in event-time order; `windows` learn them all.

    Up to FEW events are read one by one, and each is told what was usual before it; for more, what
    is usual for an entity is told as it stood before the batch. `judging` stands in for `judge`
    (a cache, a circuit breaker).
    """
    seen: Sequence[Windows]
    if len(events) <= FEW:
        vectors, seen = _one_by_one(events, windows, bundle)
    else:
        seen = [dict(windows)] * len(events)
        vectors = build_many(bundle.plan, events, windows)
    judged = (judging or judge)(bundle.predictor, vectors)
    policy = policy or bundle.policy
    return [
        conclude(
            event,
            vectors[i],
            judged,
            i,
            seen[i],
            bundle,
            policy,
            orders[i] if orders else NO_ORDERS,
        )
        for i, event in enumerate(events)
    ]


def _one_by_one(
    events: Sequence[Event], windows: dict[tuple[str, str], EntityWindow], bundle: Bundle
) -> tuple[Floats, list[Windows]]:
    """Vectors float64[n, k] of a few events, and the windows that each of them read."""
    plan = bundle.plan
    vectors = np.empty((len(events), len(plan.names)))
    seen: list[Windows] = []
    for i, event in enumerate(events):
        rows = state_rows(plan, event)
        vectors[i] = build(plan, event, windows, rows)
        # A window that learns is replaced, so these stay as the event found them.
        seen.append({key: windows[key] for key in plan.keys(event)})
        teach(plan, event, windows, rows)
    return vectors, seen


class Judged:
    """What the model says about rows of vectors; all arrays have one entry (or row) per vector."""

    __slots__ = ("contributions", "error", "probability", "score")

    def __init__(
        self, score: Floats, probability: Floats | None, contributions: Floats, error: Floats
    ) -> None:
        self.score = score
        self.probability = probability
        self.contributions = contributions
        self.error = error


def judge(predictor: Predictor | None, vectors: Floats) -> Judged | None:
    """Scores and exact contributions of vectors float64[n, k]; None when no model can score them.

    A model that fails degrades to rules: the events are still decided, with a null score.
    """
    if predictor is None:
        return None
    matrix = predictor.encoder.matrix(vectors)
    try:
        margin = predictor.model.margin(matrix)
    except ModelError:
        return None
    parts = predictor.explainer.contributions(matrix)
    return Judged(
        score=score_of(margin, predictor.model.link),
        probability=predictor.calibration.probability(margin),
        contributions=group_by_source(parts, predictor.encoder.source, vectors.shape[1]),
        error=np.abs(predictor.explainer.base + parts.sum(axis=1) - margin),
    )


Judge = Callable[[Predictor | None, Floats], Judged | None]


def conclude(
    event: Event,
    vector: Floats,
    judged: Judged | None,
    i: int,
    windows: Windows,
    bundle: Bundle,
    policy: Policy,
    orders: Orders,
) -> Verdict:
    """Rules, screening, decision and reasons for row `i` of what the model judged."""
    hits = (
        evaluate(policy.rules, rule_values(event, vector, bundle), orders.snoozes)
        if policy.rules
        else ()
    )
    screened = () if policy.screener is None else policy.screener.screen(event.fields)
    score: float | None = None
    probability: float | None = None
    if judged is not None:
        score = float(judged.score[i])
        probability = None if judged.probability is None else float(judged.probability[i])
    ruling = decide(
        score if probability is None else probability,
        None if bundle.predictor is None else bundle.predictor.thresholds,
        hits,
        screening=screened,
        orders=orders,
        audit_rate=policy.audit_rate,
    )
    return Verdict(
        vector=vector,
        score=score,
        probability=probability,
        risk_level=ruling.level,
        decision=ruling.decision,
        selection_reason=ruling.selected,
        propensity=ruling.propensity,
        degraded=judged is None,
        reasons=_reasons(event, vector, judged, i, windows, bundle),
        contributions=None if judged is None else judged.contributions[i],
        additivity_error=None if judged is None else float(judged.error[i]),
        rule_hits=hits,
        rule_score=rule_score(hits),
        screening_hits=screened,
        list_hits=(*orders.denied, *orders.allowed),
    )


def _reasons(
    event: Event, vector: Floats, judged: Judged | None, i: int, windows: Windows, bundle: Bundle
) -> tuple[Reason, ...]:
    if judged is None:
        return ()
    return explain_reasons(
        bundle.spec,
        bundle.plan,
        event,
        vector,
        judged.contributions[i],
        windows,
        bundle.reference,
    )


def rule_values(event: Event, vector: Floats, bundle: Bundle) -> Mapping[str, Any]:
    """What rules may read: features by name, and the event's declared fields, which win.

    A field that the schema does not name counts for nothing: a client could send one that is
    called like a feature, and so choose what a rule sees.
    """
    features = dict(zip(bundle.plan.names, vector.tolist(), strict=True))
    declared = bundle.parser.checks
    return features | {name: value for name, value in event.fields.items() if name in declared}
