"""How one rule does, and what is wrong with it: dead, noisy or redundant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from accounts.quantities import in_percent
from scoring.core.shares import wilson
from scoring.core.spec import CostSpec
from scoring.core.types import Decision, Stage
from scoring.policy_models import RuleVersion
from scoring.rule_tallying import Key

LEAST_JUDGED = 20
"""Fewer matches, or labelled ones, say too little for a mark."""
LEAST_EVENTS = 1000
"""Fewer events say too little to call a rule dead."""
SAME = 0.95
SPARK_WIDTH, SPARK_HEIGHT = 100.0, 24.0


@dataclass(frozen=True, slots=True)
class Mark:
    """What is wrong with a rule: a word, and the sentence behind it."""

    word: str
    why: str


@dataclass(frozen=True, slots=True)
class Health:
    """Of one rule in one stage over the range. `entities_exact` is False for an estimate (2.3 %);
    `covered_by` is a live rule."""

    stage: str = Stage.LIVE.value
    hits: int = 0
    snoozed: int = 0
    labelled: int = 0
    fraud: int = 0
    exposure: float = 0.0
    priced: int = 0
    last: datetime | None = None
    entities: int = 0
    entities_exact: bool = True
    trend: Sequence[int] = ()
    covered_by: str = ""
    covered: float = 0.0
    marks: Sequence[Mark] = ()

    @property
    def precision(self) -> float | None:
        """The share of bad ones among the labelled matches; None without any."""
        return self.fraud / self.labelled if self.labelled else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % (Wilson); NaN without labels."""
        return wilson(self.fraud, self.labelled)

    @property
    def repeats(self) -> float | None:
        """The share of matches that met an entity which the rule had matched in the range."""
        if not self.hits:
            return None
        return max(0.0, 1.0 - self.entities / self.hits)

    @property
    def mean_exposure(self) -> float | None:
        """Of the matches with an amount."""
        return self.exposure / self.priced if self.priced else None


def marks_of(
    key: Key,
    found: Mapping[Key, Health],
    in_force: Mapping[Key, RuleVersion],
    *,
    events: int,
    since: date,
    costs: CostSpec | None,
) -> list[Mark]:
    """What is wrong with the version in force of this stage; nothing where none is.

    `events` were counted on the days from `since` on.
    """
    one, version = found[key], in_force.get(key)
    if version is None:
        return []
    marks = (
        None if _matched_as_another(key, found, in_force) else _dead(one, version, events, since),
        _noisy(one, version, costs),
        _redundant(one, version, in_force.get((Stage.LIVE, one.covered_by))),
    )
    return [mark for mark in marks if mark is not None]


def _matched_as_another(
    key: Key, found: Mapping[Key, Health], in_force: Mapping[Key, RuleVersion]
) -> bool:
    """Whether its rule matched in the other stage, where nothing stands now: before it moved."""
    others = [one for one in found if one[1] == key[1] and one != key]
    return any(found[one].hits and one not in in_force for one in others)


def _dead(one: Health, version: RuleVersion, events: int, since: date) -> Mark | None:
    if one.hits or events < LEAST_EVENTS:
        return None
    if version.created_at.date() > since:
        return None  # It had no chance yet on all of these days.
    return Mark("Dead", f"It matched none of the {events:,} events of these days.")


def _noisy(one: Health, version: RuleVersion, costs: CostSpec | None) -> Mark | None:
    """Even at the upper end of what is known, its matches cost more than they save."""
    if costs is None or one.labelled < LEAST_JUDGED:
        return None
    needed = break_even(costs, one.mean_exposure, blocks=version.outcome == Decision.BLOCK)
    high = one.interval[1]
    if high >= needed:
        return None
    what = "Blocking" if version.outcome == Decision.BLOCK else "A review"
    said = f"{what.lower()} pays from {in_percent(needed)}."
    return Mark("Noisy", f"At most {in_percent(high)} of its matches are bad; {said}")


def break_even(costs: CostSpec, exposure: float | None, *, blocks: bool) -> float:
    """The precision from which acting on a match costs less than letting it pass.

    Without amounts a bad event costs review_cost / capacity, as everywhere here.
    """
    lost = (
        costs.loss_share * exposure if exposure else costs.review_cost / max(costs.capacity, 1e-6)
    )
    if blocks:
        return costs.false_block_cost / max(costs.false_block_cost + lost, 1e-9)
    return min(1.0, costs.review_cost / max(lost, 1e-9))


def _redundant(one: Health, version: RuleVersion, other: RuleVersion | None) -> Mark | None:
    """`other`: the live version of the rule that covers it."""
    if other is None or one.hits < LEAST_JUDGED or one.covered < SAME:
        return None
    if not _as_strong(other, version):
        return None
    covered = in_percent(one.covered)
    return Mark("Redundant", f"{one.covered_by} matches {covered} of what it matches.")


def _as_strong(one: RuleVersion, other: RuleVersion) -> bool:
    order = {"": 0, Decision.REVIEW.value: 1, Decision.BLOCK.value: 2}
    if order[one.outcome] != order[other.outcome]:
        return order[one.outcome] > order[other.outcome]
    return bool(one.outcome) or one.weight >= other.weight


def health_texts(one: Health) -> dict[str, str]:
    """`precision`, `interval`, `repeats`, `covered` as percentages; empty where there is none."""
    low, high = one.interval
    return {
        "precision": "" if one.precision is None else in_percent(one.precision),
        "interval": f"{in_percent(low)} to {in_percent(high)}" if one.labelled else "",
        "repeats": "" if one.repeats is None else in_percent(one.repeats),
        "covered": in_percent(one.covered) if one.covered_by else "",
    }


def spark(trend: Sequence[int]) -> str:
    """Points of a line in the box of includes/sparkline.html; empty where nothing was found."""
    most = max(trend, default=0)
    if not most:
        return ""
    step = SPARK_WIDTH / max(len(trend) - 1, 1)
    return " ".join(
        f"{i * step:.1f},{SPARK_HEIGHT - 2.0 - (SPARK_HEIGHT - 4.0) * n / most:.1f}"
        for i, n in enumerate(trend)
    )
