"""How rules do over a range of days: what they found, how often they were right, what is wrong.

Read from the daily counts (scoring.rule_tallying): one row a day, however many events there were.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Max

from scoring.core.distinct import count_distinct
from scoring.core.shares import wilson
from scoring.core.spec import CostSpec, DetectorSpec
from scoring.core.types import Decision, Stage
from scoring.models import Detector
from scoring.policy_models import RuleVersion
from scoring.rule_tally_models import RuleTally, TallyMark
from scoring.rule_tallying import FLAGGED, Count

LEAST_JUDGED = 20
"""Fewer matches, or labelled ones, say too little for a mark."""
LEAST_EVENTS = 1000
"""Fewer events say too little to call a rule dead."""
SAME = 0.95
LONGEST_DAYS = 92
USUAL_DAYS = 30
IN_MATRIX = 20
SPARK_WIDTH, SPARK_HEIGHT = 100.0, 24.0
NAMES = tuple(Count.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Mark:
    """What is wrong with a rule: a word, and the sentence behind it."""

    word: str
    why: str


@dataclass(frozen=True, slots=True)
class Health:
    """Of one rule over the range. `entities_exact` is False for an estimate (2.3 %)."""

    hits: int = 0
    shadow: int = 0
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


@dataclass(frozen=True, slots=True)
class Range:
    """Days from `start` to `end`, both among them."""

    start: date
    end: date

    @property
    def length(self) -> int:
        """How many days these are."""
        return (self.end - self.start).days + 1


@dataclass(frozen=True, slots=True)
class Report:
    """Rules by code, and everything that was flagged. `looked_at`: until when what came is known
    of (None: never), `waiting`: days of the range that are to be counted again."""

    by_code: Mapping[str, Health]
    flagged: Health
    events: int
    pairs: Mapping[tuple[str, str], int]
    looked_at: datetime | None
    waiting: int


def usual_range(detector: Detector | None, today: date) -> Range:
    """The last 30 days that there are: until today, or until the newest event that was counted."""
    rows = RuleTally.objects.filter(measured_at__isnull=False, events__gt=0, day__lte=today)
    if detector is not None:
        rows = rows.filter(detector=detector)
    newest = rows.aggregate(last=Max("day"))["last"]
    end = today if newest is None or newest >= today - timedelta(days=7) else newest
    return Range(end - timedelta(days=USUAL_DAYS - 1), end)


def read_health(
    detector: Detector,
    over: Range,
    *,
    spec: DetectorSpec | None,
    versions: Sequence[RuleVersion] = (),
) -> Report:
    """What the rules did; two queries. `versions` are those in force, with their rules."""
    mark = TallyMark.objects.filter(detector=detector).first()
    rows = RuleTally.objects.filter(detector=detector, day__range=(over.start, over.end))
    return _report(list(rows), over, mark, spec=spec, versions=versions)


def _report(
    rows: Sequence[RuleTally],
    over: Range,
    mark: TallyMark | None,
    *,
    spec: DetectorSpec | None,
    versions: Sequence[RuleVersion],
) -> Report:
    sums = _Sums(over)
    for row in rows:
        sums.add(row)
    events = sum(row.events for row in rows)
    found = {code: sums.health(code) for code in sums.counts}
    by_code = {code: one for code, one in found.items() if code != FLAGGED}
    in_force = {version.rule.code: version for version in reversed(versions)}
    return Report(
        by_code={
            code: _marked(
                code, by_code.get(code, Health(trend=[0] * over.length)), in_force.get(code),
                events=events, over=over, costs=spec.costs if spec else None, others=in_force,
            )
            for code in {*by_code, *in_force}
        },
        flagged=found.get(FLAGGED, Health(trend=[0] * over.length)),
        events=events,
        pairs=sums.pairs,
        looked_at=mark.looked_at if mark else None,
        waiting=sum(row.stale or row.measured_at is None for row in rows),
    )  # fmt: skip


@dataclass
class _Sums:
    over: Range
    counts: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    trend: dict[str, list[int]] = field(default_factory=dict)
    sketches: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, row: RuleTally) -> None:
        place = (row.day - self.over.start).days
        packed = zlib.decompress(bytes(row.sketches)) if row.sketches else b""
        begin = 0
        for code, said in row.content.items():
            count = self.counts[code]
            for name in NAMES:
                value = said[name]
                old = getattr(count, name)
                setattr(count, name, max(old, value) if name == "last" else old + value)
            if code not in self.trend:
                self.trend[code] = [0] * self.over.length
            self.trend[code][place] = said["hits"]
            self.sketches[code].append(packed[begin : begin + said["size"]])
            begin += said["size"]
        for one, other, n in row.pairs:
            self.pairs[one, other] += n

    def health(self, code: str) -> Health:
        count = self.counts[code]
        entities, exact = count_distinct(self.sketches[code])
        covered_by, covered = self._covered(code, count.hits)
        columns: dict[str, Any] = {name: getattr(count, name) for name in NAMES if name != "last"}
        return Health(
            **columns,
            last=datetime.fromisoformat(count.last).astimezone(UTC) if count.last else None,
            entities=min(entities, count.hits),
            entities_exact=exact,
            trend=self.trend[code],
            covered_by=covered_by,
            covered=covered,
        )

    def _covered(self, code: str, hits: int) -> tuple[str, float]:
        """The other rule that matched most of its matches, and the share of them."""
        found = [
            (n, one if other == code else other)
            for (one, other), n in self.pairs.items()
            if code in (one, other)
        ]
        if not found or not hits:
            return "", 0.0
        n, name = max(found, key=lambda pair: (pair[0], pair[1]))
        return name, n / hits


def _marked(
    code: str,
    one: Health,
    version: RuleVersion | None,
    *,
    events: int,
    over: Range,
    costs: CostSpec | None,
    others: Mapping[str, RuleVersion],
) -> Health:
    marks = [
        mark
        for mark in (
            _dead(one, version, events, over),
            _noisy(one, version, costs),
            _redundant(one, version, others),
        )
        if mark is not None
    ]
    names = {name: getattr(one, name) for name in Health.__dataclass_fields__}
    return Health(**names | {"marks": marks})


def _dead(one: Health, version: RuleVersion | None, events: int, over: Range) -> Mark | None:
    if version is None or one.hits or events < LEAST_EVENTS:
        return None
    if version.created_at.date() > over.start:
        return None  # It had no chance yet on all of these days.
    return Mark("Dead", f"It matched none of the {events:,} events of these days.")


def _noisy(one: Health, version: RuleVersion | None, costs: CostSpec | None) -> Mark | None:
    """Even at the upper end of what is known, its matches cost more than they save."""
    if version is None or costs is None or one.labelled < LEAST_JUDGED:
        return None
    needed = break_even(costs, one.mean_exposure, blocks=version.outcome == Decision.BLOCK)
    high = one.interval[1]
    if high >= needed:
        return None
    what = "Blocking" if version.outcome == Decision.BLOCK else "A review"
    return Mark(
        "Noisy",
        f"At most {high:.0%} of its matches are bad; {what.lower()} pays from {needed:.0%}.",
    )


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


def _redundant(
    one: Health, version: RuleVersion | None, others: Mapping[str, RuleVersion]
) -> Mark | None:
    other = others.get(one.covered_by)
    if version is None or other is None or one.hits < LEAST_JUDGED or one.covered < SAME:
        return None
    if other.stage != Stage.LIVE or not _as_strong(other, version):
        return None
    return Mark("Redundant", f"{one.covered_by} matches {one.covered:.0%} of what it matches.")


def _as_strong(one: RuleVersion, other: RuleVersion) -> bool:
    order = {"": 0, Decision.REVIEW.value: 1, Decision.BLOCK.value: 2}
    if order[one.outcome] != order[other.outcome]:
        return order[one.outcome] > order[other.outcome]
    return bool(one.outcome) or one.weight >= other.weight


def flagged_by_detector(
    detectors: Sequence[Detector], over: Range
) -> tuple[dict[int, Report], datetime | None]:
    """Every detector as a whole, and until when what came is known of; two queries."""
    marks = {mark.detector_id: mark for mark in TallyMark.objects.filter(detector__in=detectors)}
    rows = defaultdict(list)
    stored = RuleTally.objects.filter(
        detector__in=detectors, day__range=(over.start, over.end)
    ).defer("pairs")
    for row in stored:
        row.content = {code: said for code, said in row.content.items() if code == FLAGGED}
        row.pairs = []
        rows[row.detector_id].append(row)
    found = {
        detector.pk: _report(
            rows[detector.pk], over, marks.get(detector.pk), spec=None, versions=()
        )
        for detector in detectors
    }
    looked = [mark.looked_at for mark in marks.values()]
    return found, min(looked, default=None)


def overlap_matrix(report: Report) -> tuple[list[str], list[tuple[str, int, list[float | None]]]]:
    """(codes, rows of (code, hits, share of its matches that each of the codes matched too)) of the
    rules with the most matches; None on the diagonal."""
    codes = sorted(report.by_code, key=lambda code: (-report.by_code[code].hits, code))
    codes = [code for code in codes if report.by_code[code].hits][:IN_MATRIX]
    rows = []
    for code in codes:
        hits = report.by_code[code].hits
        shares: list[float | None] = [
            None if other == code else report.pairs.get(_pair(code, other), 0) / hits
            for other in codes
        ]
        rows.append((code, hits, shares))
    return codes, rows


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def health_texts(one: Health) -> dict[str, str]:
    """`precision`, `interval`, `repeats`, `covered` as percentages; empty where there is none."""
    low, high = one.interval
    return {
        "precision": "" if one.precision is None else f"{one.precision:.0%}",
        "interval": f"{low:.0%} to {high:.0%}" if one.labelled else "",
        "repeats": "" if one.repeats is None else f"{one.repeats:.0%}",
        "covered": f"{one.covered:.0%}" if one.covered_by else "",
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
