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
Within each of four strata (selected for a reason or not, both decided alike or not) the weights add
up to its number of events, labelled or not (Hajek's ratio). So an alert that nobody answered is
made up for by those of its stratum that somebody did. That assumes that within a stratum the
answer came or not whatever the truth is (missing at random).

For audits that is not assumed. A bad event that nobody looked at comes back by itself, as a
chargeback, and a good one never does: audits answered in part would tell of too much fraud, and a
challenger's false alarms would look like catches. So nothing is said before nearly all of the
audits that were drawn are answered; weights make up for the few that are left.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
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
from models_registry.core.metrics import entity_precision_ceiling
from models_registry.core.resampling import blocks_of
from models_registry.core.selection import AUDITED as DRAWN
from models_registry.core.selection import NOT_SELECTED, SELECTED
from models_registry.core.sequential import (
    DayTotals,
    Sequence,
    per_unit,
    sequence_of_days,
    totals_by_day,
)
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
UNSEEN: Final = (
    "So far its decisions cost more than the champion's, but few of the bad events that it alone "
    "would have found can have been drawn for an audit: more audits can tell."
)

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
class Coverage:
    """How many matured events both scored, and how many of them have a label.

    `counts` int64[3, 2, 2]: by who had people look (core.selection), by whether both decided alike
    (0) or not (1), by whether nobody said what it was (0) or somebody did (1).
    """

    counts: NDArray[np.int64]

    @property
    def events(self) -> int:
        return int(self.counts.sum())

    @property
    def unlabelled(self) -> int:
        return int(self.counts[:, :, 0].sum())

    @property
    def drawn(self) -> int:
        """Random audits."""
        return int(self.counts[DRAWN].sum())

    @property
    def answered(self) -> int:
        """Random audits with a label."""
        return int(self.counts[DRAWN, :, 1].sum())

    @property
    def kind(self) -> str:
        """COMPLETE or AUDITED."""
        there, told = self.counts[[NOT_SELECTED, DRAWN]].sum(axis=(0, 1)).tolist()
        return COMPLETE if told >= NEARLY_ALL * (there + told) else AUDITED

    def stratum(self, *, selected: bool, apart: bool) -> int:
        """Events of a stratum, labelled or not."""
        of = [SELECTED] if selected else [NOT_SELECTED, DRAWN]
        return int(self.counts[of, int(apart)].sum())


def coverage_of(rows: LiveRows) -> Coverage:
    """Counted from rows that are all there, with or without a label."""
    why = np.where(rows.audited, DRAWN, np.where(rows.selected, SELECTED, NOT_SELECTED))
    apart = rows.champion_decision != rows.challenger_decision
    counts = np.zeros((3, 2, 2), np.int64)
    np.add.at(counts, (why, apart.astype(int), (rows.labels != UNKNOWN).astype(int)), 1)
    return Coverage(counts)


@dataclass(frozen=True, slots=True)
class LiveComparison:
    """The outcome; `reason` says the verdict in plain words.

    `verdict`: better, worse, undecided or not_enough_labels. `cost` is money per event with the
    paired bootstrap of one look; `sequence` is the saving per event that holds at every look.
    `cards`, its `ceiling` (what no ranking is above) and `mcnemar` are None where labels do
    not cover what was not selected. `told` is what each day (events' time // DAY) adds to the
    sequence, for the looks that come.
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
    ceiling: float | None
    mcnemar: McNemar | None
    told: Mapping[int, DayTotals]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able but for NaN; without `told`."""
        found = asdict(replace(self, told={}))
        del found["told"]
        return found


def compare_live(
    rows: LiveRows,
    *,
    costs: CostSpec,
    least_positives: int,
    coverage: Coverage | None = None,
    earlier: Mapping[int, DayTotals] | None = None,
    k: int = 100,
    seed: int = 0,
    resamples: int = 300,
) -> LiveComparison:
    """Compare both on what is known of matured events.

    `coverage` counts those without a label too, if they are not among `rows`. `earlier` is what
    days told whose rows are no longer there: they stay in the sequence.
    """
    coverage = coverage or coverage_of(rows)
    known, weights = representative(rows, coverage)
    days = (known.event_time // DAY).astype(np.int64)
    facts: dict[str, Any] = {"k": k} | _facts(known, days, coverage)
    lacking = _lacking(known, facts, least_positives) or _silent(known, coverage)
    if lacking:
        return LiveComparison(NOT_ENOUGH, lacking, **facts, **NOTHING)
    theirs, ours = (
        decided_costs(known.labels, decided, known.amounts, costs)
        for decided in (known.champion_decision, known.challenger_decision)
    )
    told = savings(theirs - ours, weights, known.entities, days)
    sequence = sequence_of_days({**(earlier or {}), **told})
    blocks = blocks_of(known.entities, days)
    draws: dict[str, Any] = {"blocks": blocks, "seed": seed, "resamples": resamples}
    cost = paired_means(theirs, ours, labels=known.labels, weights=weights, **draws)
    cards, ceiling, pairs = None, None, None
    if coverage.kind == COMPLETE:
        cards, ceiling, pairs = _beside(known, days, k, draws)
    verdict, reason = _verdict(sequence, cards, k)
    if verdict == WORSE and coverage.kind == AUDITED:
        drawn = savings(theirs - ours, weights * as_seldom(known), known.entities, days)
        if not sequence_of_days(drawn).is_below:
            verdict, reason = UNDECIDED, UNSEEN
    return LiveComparison(
        verdict, reason, **facts,
        sequence=sequence, cost=cost, cards=cards, ceiling=ceiling, mcnemar=pairs, told=told,
    )  # fmt: skip


NOTHING: Final[dict[str, Any]] = {
    "sequence": None, "cost": None, "cards": None, "ceiling": None, "mcnemar": None, "told": {},
}  # fmt: skip


def _facts(known: LiveRows, days: NDArray[np.int64], coverage: Coverage) -> dict[str, Any]:
    return {
        "rows": len(known),
        "positives": int((known.labels == 1).sum()),
        "days": int(np.unique(days).size),
        "unlabelled": coverage.unlabelled,
        "coverage": coverage.kind,
    }


def _beside(
    known: LiveRows, days: NDArray[np.int64], k: int, draws: dict[str, Any]
) -> tuple[Difference, float, McNemar]:
    """Card precision@k, what no ranking's is above, and who was right where one alone
    was: told of complete labels only."""
    bad = known.labels == 1
    cards = paired_card_precision(
        known.labels, known.champion_risk, known.challenger_risk,
        entities=known.entities, days=days, k=k, **draws,
    )  # fmt: skip
    ceiling = entity_precision_ceiling(known.labels, known.entities, days, k)
    return (
        cards,
        ceiling,
        mcnemar(
            (known.champion_decision != APPROVE) == bad,
            (known.challenger_decision != APPROVE) == bad,
        ),
    )


def representative(rows: LiveRows, coverage: Coverage) -> tuple[LiveRows, FloatArray]:
    """(rows that may be counted, their weights float64): see above for what that assumes."""
    kept = rows.labels != UNKNOWN
    chance = np.ones(len(rows))
    if coverage.kind == AUDITED:
        kept &= rows.selected | rows.audited
        chance = np.where(rows.audited, np.clip(rows.propensity, 1e-6, 1.0), 1.0)
    known, weights = rows if kept.all() else rows.only(kept), 1.0 / chance[kept]
    apart = known.champion_decision != known.challenger_decision
    for selected in (False, True):
        for differ in (False, True):
            mine = (known.selected == selected) & (apart == differ)
            there = coverage.stratum(selected=selected, apart=differ)
            weights[mine] *= there / max(float(weights[mine].sum()), 1e-9)
    return known, weights


def as_seldom(known: LiveRows) -> FloatArray:
    """float64[n]: factors that let the champion's own finds be seen as seldom as an audit sees.

    What the champion alone flags is all seen, and what the challenger alone would have found is
    drawn now and then, at a large weight. So the differences of two equal models are skewed: many
    small losses that are seen at once, and few large gains that come late. Flagged events on
    which they differ are therefore drawn at the audit's rate too, by a hash of the event, so that
    every look draws the same: then both sides are seen alike, and their signs are fair coins.
    """
    rate = float(np.clip(known.propensity[known.audited].mean(), 1e-6, 1.0))
    apart = known.selected & (known.champion_decision != known.challenger_decision)
    mixed = known.champion_risk.view(np.uint64) ^ known.event_time.view(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        # The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    chance = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
    return np.where(apart, np.where(chance < rate, 1.0 / rate, 0.0), 1.0)


def _silent(known: LiveRows, coverage: Coverage) -> str:
    """What nobody said that has to be known; empty when nothing is."""
    if coverage.kind == AUDITED and coverage.answered < NEARLY_ALL * coverage.drawn:
        return (
            f"Of {coverage.drawn:,} events drawn at random for an audit {coverage.answered:,} are "
            f"answered; {NEARLY_ALL:.0%} are needed, for bad events come back by themselves and "
            "good ones do not. Answer the audits that wait."
        )
    apart = known.champion_decision != known.challenger_decision
    for selected, what in ((True, "flagged"), (False, "approved")):
        there = coverage.stratum(selected=selected, apart=True)
        if there and not (apart & (known.selected == selected)).any():
            return (
                f"The champion {what} {there:,} events that the challenger decided otherwise, and "
                "none of them has a label that counts."
            )
    return ""


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
    saved: FloatArray, weights: FloatArray, entities: NDArray[Any], days: NDArray[np.int64]
) -> dict[int, DayTotals]:
    """What each day adds to the sequence of the challenger's savings; all arrays [n]."""
    day, place = np.unique(days, return_inverse=True)
    events = np.bincount(place, weights=weights, minlength=day.size)
    sums, of = per_unit(saved * weights, entities, days)
    return totals_by_day(sums, of, events=dict(zip(day.tolist(), events.tolist(), strict=True)))


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
