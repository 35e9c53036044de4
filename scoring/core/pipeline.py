"""The straight path, on one page: event + windows + bundle -> verdict.

Nothing here reads a clock, a database or the network. `score` answers for one event, `score_many`
for a batch; they give the same verdicts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scoring.core.bundle import Bundle, Predictor
from scoring.core.decision import decide
from scoring.core.explain import group_by_source
from scoring.core.features import Windows, build, build_many
from scoring.core.inference import ModelError, score_of
from scoring.core.reasons import explain_reasons
from scoring.core.rules import evaluate
from scoring.core.types import Event, Floats, Verdict
from scoring.core.windows import EntityWindow


def score(event: Event, windows: Windows, bundle: Bundle) -> Verdict:
    """Features, model, rules, decision, reasons for one event. `windows` is only read."""
    vector = build(bundle.plan, event, windows)
    judged = judge(bundle.predictor, vector[None, :])
    return conclude(event, vector, judged, 0, windows, bundle)


def score_many(
    events: Sequence[Event], windows: dict[tuple[str, str], EntityWindow], bundle: Bundle
) -> list[Verdict]:
    """Verdicts for events in event-time order; `windows` learn them all.

    What is usual for an entity is told as it stood before the batch.
    """
    before = dict(windows)
    vectors = build_many(bundle.plan, events, windows)
    judged = judge(bundle.predictor, vectors)
    return [
        conclude(event, vectors[i], judged, i, before, bundle) for i, event in enumerate(events)
    ]


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


def conclude(
    event: Event, vector: Floats, judged: Judged | None, i: int, windows: Windows, bundle: Bundle
) -> Verdict:
    """Rules, decision and reasons for row `i` of what the model judged."""
    hits = evaluate(bundle.rules, rule_values(event, vector, bundle)) if bundle.rules else ()
    if judged is None or bundle.predictor is None:
        decision, level, selected = decide(None, None, hits)
        return Verdict(vector, None, None, level, decision, selected, 1.0, True, rule_hits=hits)
    value = float(judged.score[i])
    probability = None if judged.probability is None else float(judged.probability[i])
    risk = value if probability is None else probability
    decision, level, selected = decide(risk, bundle.predictor.thresholds, hits)
    reasons = explain_reasons(
        bundle.spec,
        bundle.plan,
        event,
        vector,
        judged.contributions[i],
        windows,
        bundle.reference,
    )
    return Verdict(
        vector=vector,
        score=value,
        probability=probability,
        risk_level=level,
        decision=decision,
        selection_reason=selected,
        propensity=1.0,
        degraded=False,
        reasons=reasons,
        contributions=judged.contributions[i],
        additivity_error=float(judged.error[i]),
        rule_hits=hits,
    )


def rule_values(event: Event, vector: Floats, bundle: Bundle) -> Mapping[str, Any]:
    """What rules may read: features by name, and the event's declared fields, which win.

    A field that the schema does not name counts for nothing: a client could send one that is
    called like a feature, and so choose what a rule sees.
    """
    features = dict(zip(bundle.plan.names, vector.tolist(), strict=True))
    declared = bundle.parser.checks
    return features | {name: value for name, value in event.fields.items() if name in declared}
