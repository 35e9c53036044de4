"""The metrics of a version as lines of a table: value, interval, what each means in plain words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

from accounts.quantities import half_up
from models_registry.core.intervals import LEAST_TOLD
from models_registry.core.kept_metrics import as_told, cards_in
from models_registry.models import ModelVersion
from models_registry.verdicts import (
    BLOCKS,
    EVENTS,
    NARROW,
    UNKNOWN,
    per_thousand,
    ratio,
    share,
    small,
)

Show = Callable[[float | None], str]


def to_one(value: float | None) -> str:
    """Such as 5:1."""
    return UNKNOWN if value is None else f"{half_up(value):,.1f}:1"


Metric = tuple[str, str, str, Show]
METRICS: tuple[Metric, ...] = (
    ("average_precision", "Average precision", "mean precision over all recalls", ratio),
    ("roc_auc", "ROC AUC", "chance that a bad event ranks above a good one", ratio),
    (
        "recall_at_1pct_fpr",
        f"Recall at 1{NARROW}% false positives",
        f"found while 1{NARROW}% of good events are flagged",
        share,
    ),
    ("precision", "Precision", "bad ones among the flagged, at the review threshold", share),
    ("recall", "Recall", "flagged among the bad ones, at the review threshold", share),
    ("f1", "F1", "harmonic mean of the two", ratio),
    ("alert_rate", "Alert rate", "events sent to people or blocked", share),
    (
        "false_alerts_per_true_alert",
        "False alerts per true alert",
        "good events that people see for each bad one",
        to_one,
    ),
    (
        "value_detection_rate",
        "Value detection rate",
        "money found within the analysts' capacity",
        share,
    ),
    ("savings", "Savings", "of what these events would cost without a model", share),
    ("brier", "Brier score", "squared error of the probability, lower is better", small),
    (
        "calibration_error",
        "Calibration error",
        "gap between probability and truth, lower is better",
        small,
    ),
)


RANKINGS = 3


def told_metrics(*kept: Iterable[str]) -> list[Metric]:
    """METRICS, and card precision at each k among these names: another k is another line."""
    cards: list[Metric] = [
        (
            name,
            f"Card precision@{k}",
            f"bad ones among the {k} riskiest entities a day"
            if k > 1
            else "bad ones among the riskiest entity of each day",
            share,
        )
        for name, k in cards_in(*kept).items()
    ]
    return [*METRICS[:RANKINGS], *cards, *METRICS[RANKINGS:]]


@dataclass(frozen=True, slots=True)
class Line:
    """One metric; `interval` and the ceilings are empty where none was made."""

    name: str
    meaning: str
    this: str
    interval: str
    other: str
    ceiling: str = ""
    other_ceiling: str = ""


def metric_lines(version: ModelVersion, other: ModelVersion | None, *, currency: str) -> list[Line]:
    """Every metric of the version beside the other's, each on its own unseen days."""
    return lines_of(version.metrics, other.metrics if other else {}, currency=currency)


def lines_of(found: Mapping[str, Any], theirs: Mapping[str, Any], *, currency: str) -> list[Line]:
    """Lines of stored metrics beside others."""
    found, theirs = as_told(found), as_told(theirs)

    def money(value: float | None) -> str:
        return per_thousand(value, currency)

    metrics = told_metrics(found, theirs)
    rows = (
        *metrics[:-3],
        (
            "cost_per_event",
            f"Cost per {EVENTS:,} events",
            "losses, reviews and wrong blocks, lower is better",
            money,
        ),
        *metrics[-3:],
    )
    return [
        Line(
            name,
            meaning,
            show(found.get(key)),
            span_of(found, key, show),
            show(theirs.get(key)),
            ceiling_of(found, key, show),
            ceiling_of(theirs, key, show),
        )
        for key, name, meaning, show in rows
        if key in found or key in theirs
    ]


def span_of(found: Mapping[str, Any], key: str, show: Show) -> str:
    """The interval of a stored metric in words; empty where there is none."""
    bounds: Sequence[float | None] = (found.get("intervals") or {}).get(key) or ()
    if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
        return ""
    return f"{show(bounds[0])} to {show(bounds[1])}"


def too_few_for(found: Mapping[str, Any]) -> str:
    """Why stored metrics lack numbers or intervals, and what to do; empty where they need not.

    Evaluations of before do not say how their events lay together.
    """
    rows, positives = found.get("rows"), found.get("positives")
    if not rows or positives is None:
        return ""
    how = found.get("resampled") or {}
    kinds = (
        ("bad", positives, "positive_blocks"),
        ("legitimate", rows - positives, "legitimate_blocks"),
    )
    for kind, events, blocks in kinds:
        if not events:
            return (
                f"None of these events is known to be {kind}, so what needs one is a dash. Label "
                f"{kind} events too, then evaluate as of today."
            )
        if how.get(blocks, LEAST_TOLD) < LEAST_TOLD:
            return (
                f"{events:,} of these events {'is' if events == 1 else 'are'} {kind}, which tell "
                f"no more than {how[blocks]:.1f} {BLOCKS.get(how['unit'], how['unit'])} with as "
                f"many each. From fewer than {LEAST_TOLD:g} nobody can tell how sure a number is, "
                "so those that hang on them have no interval. Label more, of others than these, "
                "then evaluate as of today."
            )
    return ""


def ceiling_of(found: Mapping[str, Any], key: str, show: Show) -> str:
    """What no ranking is above in a stored metric, in words; empty where that is not known,
    as in evaluations of before, and where the metric has no value."""
    ceiling: float | None = (found.get("ceilings") or {}).get(key)
    if ceiling is None or found.get(key) is None:
        return ""
    return f"of {show(ceiling)} at best"


@dataclass(frozen=True, slots=True)
class Cell:
    """`text`, and under it the 95 % interval and what no ranking is above, where known."""

    text: str
    interval: str = ""
    ceiling: str = ""


def cell_of(found: Mapping[str, Any], key: str, show: Show) -> Cell:
    """A stored metric as a cell."""
    return Cell(show(found.get(key)), span_of(found, key, show), ceiling_of(found, key, show))


@dataclass(frozen=True, slots=True)
class FoldLine:
    """One metric over the folds of a prequential evaluation."""

    name: str
    mean: str
    spread: str
    each: tuple[Cell, ...]


def fold_lines(metrics: Mapping[str, Any], *, currency: str) -> list[FoldLine]:
    """Mean, standard deviation and every fold's value of each metric; with the mean, of how many
    folds it is where some have none. From the folds: what older evaluations kept as their mean is
    unknown where one fold is."""

    def money(value: float | None) -> str:
        return per_thousand(value, currency)

    rows = (
        *told_metrics(metrics["mean"]),
        ("cost_per_event", f"Cost per {EVENTS:,} events", "", money),
    )
    folds = as_told(metrics)["folds"]
    return [
        _fold_line(name, key, folds, show) for key, name, _, show in rows if key in metrics["mean"]
    ]


def _fold_line(name: str, key: str, folds: Sequence[Mapping[str, Any]], show: Show) -> FoldLine:
    values: list[float | None] = [fold[key] for fold in folds]
    known = [value for value in values if value is not None]
    mean, spread = (fmean(known), pstdev(known)) if known else (None, None)
    few = f" ({len(known)} of {len(values)} folds)" if 0 < len(known) < len(values) else ""
    cells = tuple(cell_of(fold, key, show) for fold in folds)
    return FoldLine(name, show(mean) + few, show(spread), cells)
