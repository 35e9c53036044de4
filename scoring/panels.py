"""What the two panels beside a prediction show: a counterfactual, and a line with its fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from scoring import figures
from scoring.core.reasons import duration, name_and_unit, number, title
from scoring.core.surrogate import FAIR_FIT, Surrogate, Weight
from scoring.core.transformations import FeatureSpec
from scoring.explaining import CannotExplain, WhatIf, local_surrogate, what_would_approve
from scoring.margins import WORDS
from scoring.models import Prediction

MOST_WEIGHTS = 6


@dataclass(frozen=True, slots=True)
class ApprovePanel:
    """`text` answers; `problem` is set instead when it cannot be told."""

    text: str = ""
    found: bool = False
    approved: bool = False
    risk: str = ""
    risk_after: str = ""
    tried: int = 0
    unknown: str = ""
    problem: str = ""


def approve_panel(row: Prediction) -> ApprovePanel:
    """What would approve the prediction."""
    try:
        asked = what_would_approve(row)
    except CannotExplain as error:
        return ApprovePanel(problem=str(error))
    found = asked.found
    return ApprovePanel(
        text=asked.text,
        found=bool(found.changes),
        approved=found.approved,
        risk="" if found.risk is None else figures.percent(found.risk),
        risk_after="" if found.risk_after is None else figures.percent(found.risk_after),
        tried=found.tried,
        unknown=_unknown(asked),
    )


def _unknown(asked: WhatIf) -> str:
    return ", ".join(name.replace("_", " ") for name in asked.found.unknown)


@dataclass(frozen=True, slots=True)
class Line:
    """One weight: `step` says what is changed, `weight` what that multiplies the odds by."""

    feature: str
    step: str
    weight: str
    amount: float


@dataclass(frozen=True, slots=True)
class SurrogatePanel:
    """The strongest weights and how far to believe them. `fit` is None where nothing moves."""

    lines: Sequence[Line] = ()
    others: int = 0
    fit: float | None = None
    percent: int = 0
    poor: bool = False
    statement: str = ""
    unit: str = ""
    samples: int = 0
    problem: str = ""


def surrogate_panel(row: Prediction, features: Sequence[FeatureSpec]) -> SurrogatePanel:
    """The line near the prediction."""
    try:
        found = local_surrogate(row)
    except CannotExplain as error:
        return SurrogatePanel(problem=str(error))
    known = {feature.name: feature for feature in features}
    words = WORDS[found.link]
    shown = [w for w in found.weights[:MOST_WEIGHTS] if w.per_step != 0.0]
    lines = [
        Line(
            feature=title(known[w.feature]) if w.feature in known else w.feature,
            step=_step(w, known.get(w.feature)),
            weight=words.weight(w.per_step),
            amount=w.per_step,
        )
        for w in shown
    ]
    return SurrogatePanel(
        lines=lines,
        others=len(found.weights) - len(shown),
        fit=found.fit,
        percent=_meter(found),
        poor=found.fit is None or found.fit < FAIR_FIT,
        statement=found.statement,
        unit=f"{words.sign} {words.unit}",
        samples=found.samples,
    )


def _meter(found: Surrogate) -> int:
    return 0 if found.fit is None else round(100 * min(max(found.fit, 0.0), 1.0))


def _step(weight: Weight, feature: FeatureSpec | None) -> str:
    """What one step more is: `+ 12 days`, `+ 41`; a category is weighed as it is."""
    if weight.step == 0.0:
        return "as it is"
    if feature is None:
        return f"+ {number(weight.step)}"
    if feature.kind == "since_last":
        return f"+ {duration(weight.step)}"
    unit = name_and_unit(feature.label, feature.field)[1] if feature.kind == "numeric" else ""
    return f"+ {number(weight.step)}{unit}"
