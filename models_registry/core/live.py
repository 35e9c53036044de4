"""Champion and challenger on the same live events, judged by labels that have matured.

What decides is money: the cost of the decisions that each made, or would have made, event by
event, followed by a sequence that may be looked at every day (core.sequential). Card precision@k
may not surely fall. McNemar's test on the decisions is told, and decides nothing.

Which events have a label is no accident: people label what the champion flagged, and chargebacks
come back for fraud alone. Were only those counted, a challenger's false alarms would cost nothing.
So an approved event counts in one of two ways, and `coverage` says which:
    complete  nearly every matured event that was not selected has a label: all count alike;
    audited   else those drawn at random for an audit stand for all (weight 1 / propensity), and
              labels that came otherwise are left out (Horvitz and Thompson, JASA 47, 1952).
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.comparison import (
    Difference,
    McNemar,
    mcnemar,
    paired_card_precision,
    paired_means,
)
from models_registry.core.costs import losses
from models_registry.core.sequential import Sequence, per_unit, sequence_of
from scoring.core.spec import CostSpec

APPROVE, REVIEW, BLOCK = 0, 1, 2
UNKNOWN: Final = -1
COMPLETE, AUDITED = "complete", "audited"
BETTER, WORSE, UNDECIDED, NOT_ENOUGH = "better", "worse", "undecided", "not_enough_labels"
NEARLY_ALL: Final = 0.95
LEAST_ROWS: Final = 500
LEAST_DAYS: Final = 3
LEAST_AUDITS: Final = 100
DAY: Final = 86400.0

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LiveRows:
    """Matured events that both scored; all arrays [n].

    `labels` int8: 1, 0, or -1 where nobody said. `selected`: a human looked for a reason;
    `audited`: drawn at random with chance `propensity`. Decisions int8: APPROVE, REVIEW, BLOCK.
    `amounts` NaN where unknown, `event_time` in seconds, UTC.
    """

    labels: NDArray[np.int8]
    selected: NDArray[np.bool_]
    audited: NDArray[np.bool_]
    propensity: FloatArray
    event_time: FloatArray
    entities: NDArray[Any]
    amounts: FloatArray
    champion_risk: FloatArray
    challenger_risk: FloatArray
    champion_decision: NDArray[np.int8]
    challenger_decision: NDArray[np.int8]

    def __len__(self) -> int:
        return int(self.labels.size)

    def only(self, kept: NDArray[np.bool_]) -> "LiveRows":
        """The rows where `kept` bool[n]."""
        return LiveRows(*(getattr(self, name)[kept] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class LiveComparison:
    """The outcome; `reason` says the verdict in plain words.

    `verdict`: better, worse, undecided or not_enough_labels. `cost` is money per event with the
    paired bootstrap of one look; `sequence` is the saving per event that holds at every look.
    `cards` and `mcnemar` are None where labels do not cover what was not selected.
    """

    verdict: str
    reason: str
    rows: int
    positives: int
    days: int
    unlabelled: int
    coverage: str
    sequence: Sequence | None
    cost: Difference | None
    cards: Difference | None
    k: int
    mcnemar: McNemar | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_live(
    rows: LiveRows,
    *,
    costs: CostSpec,
    least_positives: int,
    k: int = 100,
    seed: int = 0,
    resamples: int = 300,
) -> LiveComparison:
    """Compare both on what is known of matured events."""
    known, weights, coverage = representative(rows)
    unlabelled = int((rows.labels == UNKNOWN).sum())
    days = (known.event_time // DAY).astype(np.int64)
    facts: dict[str, Any] = {
        "rows": len(known),
        "positives": int((known.labels == 1).sum()),
        "days": int(np.unique(days).size),
        "unlabelled": unlabelled,
        "coverage": coverage,
        "k": k,
    }
    lacking = _lacking(known, facts, least_positives)
    if lacking:
        return LiveComparison(
            NOT_ENOUGH, lacking, sequence=None, cost=None, cards=None, mcnemar=None, **facts
        )
    theirs, ours = (
        decided_costs(known.labels, decided, known.amounts, costs)
        for decided in (known.champion_decision, known.challenger_decision)
    )
    sequence = savings(theirs - ours, weights, known.entities, days)
    cost = paired_means(
        theirs, ours, weights=weights, entities=known.entities, seed=seed, resamples=resamples
    )
    cards = pairs = None
    if coverage == COMPLETE:
        cards = paired_card_precision(
            known.labels, known.champion_risk, known.challenger_risk,
            entities=known.entities, days=days, k=k, seed=seed, resamples=resamples,
        )  # fmt: skip
        pairs = mcnemar(
            (known.champion_decision != APPROVE) == (known.labels == 1),
            (known.challenger_decision != APPROVE) == (known.labels == 1),
        )
    verdict, reason = _verdict(sequence, cards, k)
    return LiveComparison(
        verdict, reason, sequence=sequence, cost=cost, cards=cards, mcnemar=pairs, **facts
    )


def representative(rows: LiveRows) -> tuple[LiveRows, FloatArray, str]:
    """(rows that may be counted, their weights float64, how labels cover what was not selected)."""
    labelled = rows.labels != UNKNOWN
    left = ~rows.selected
    complete = not left.any() or float(labelled[left].mean()) >= NEARLY_ALL
    if complete:
        known = rows.only(labelled)
        return known, np.ones(len(known)), COMPLETE
    kept = labelled & (rows.selected | rows.audited)
    known = rows.only(kept)
    chance = np.clip(known.propensity, 1e-6, 1.0)
    return known, np.where(known.audited, 1.0 / chance, 1.0), AUDITED


def _lacking(known: LiveRows, facts: dict[str, Any], least_positives: int) -> str:
    """What is missing before anything may be said; empty when nothing is."""
    if facts["rows"] < LEAST_ROWS:
        return (
            f"{facts['rows']:,} events that both scored have a matured label; "
            f"{LEAST_ROWS:,} are needed. An event without a label counts for nothing, not as good."
        )
    if facts["positives"] < least_positives:
        return (
            f"Bad events known among those that both scored: {facts['positives']:,}; "
            f"{least_positives:,} are needed."
        )
    if facts["days"] < LEAST_DAYS:
        return f"The labels are of {facts['days']} days; {LEAST_DAYS} are needed."
    audits = int(known.audited.sum())
    if facts["coverage"] == AUDITED and audits < LEAST_AUDITS:
        return (
            "Of what the champion approved, labels came back for a few events only, and only "
            f"{audits:,} of them were drawn at random; {LEAST_AUDITS:,} are needed to count the "
            "challenger's false alarms. Raise the audit rate, or report labels of good events too."
        )
    return ""


def decided_costs(
    labels: NDArray[Any], decided: NDArray[np.int8], amounts: FloatArray, costs: CostSpec
) -> FloatArray:
    """float64[n]: what each decision cost (core.costs).

    Where no amount is known at all, a bad event that is let through costs as much as the reviews
    that the capacity allows for it: review_cost / capacity.
    """
    if np.isfinite(amounts).any():
        lost = losses(labels, amounts, costs)
    else:
        lost = np.where(labels == 1, costs.review_cost / max(costs.capacity, 1e-6), 0.0)
    blocked = np.where(labels == 1, 0.0, costs.false_block_cost)
    spent: FloatArray = np.select(
        [decided == BLOCK, decided == REVIEW], [blocked, np.full(labels.size, costs.review_cost)],
        default=lost,
    )  # fmt: skip
    return spent


def savings(
    saved: FloatArray, weights: FloatArray, entities: NDArray[Any], days: NDArray[Any]
) -> Sequence:
    """The sequence of what the challenger saves per event; all arrays [n]."""
    sums, day = per_unit(saved * weights, entities, days)
    return sequence_of(sums, day, total=float(weights.sum()))


def _verdict(sequence: Sequence, cards: Difference | None, k: int) -> tuple[str, str]:
    always = f"{100 * (1 - sequence.alpha):.0f} % sure however often one looks"
    if sequence.units == 0:
        return UNDECIDED, "Both decided every labelled event alike."
    if sequence.is_below:
        return WORSE, f"Its decisions cost more than the champion's, {always}."
    if not sequence.is_above:
        return UNDECIDED, (
            "The difference in cost may still be luck: more matured labels can tell."
        )
    if cards is not None and cards.high < 0.0:
        return UNDECIDED, (
            f"Its decisions cost less, {always}, but it finds fewer bad entities among the {k} "
            "riskiest a day."
        )
    return BETTER, f"Its decisions cost less than the champion's, {always}."
