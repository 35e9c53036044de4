"""How rules do over a range of days: what they found, how often they were right.

Read from the daily counts (scoring.rule_tallying): one row a day, however many events there were.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Max

from scoring.core.distinct import count_distinct
from scoring.core.spec import DetectorSpec
from scoring.core.types import Stage
from scoring.models import Detector
from scoring.policy_models import RuleVersion
from scoring.rule_marks import Health, marks_of
from scoring.rule_tally_models import LAYOUT_KEY, RuleTally, TallyMark
from scoring.rule_tallying import FLAGGED, Count, Key

LONGEST_DAYS = 92
USUAL_DAYS = 30
IN_MATRIX = 20
NAMES = tuple(Count.__dataclass_fields__)


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
    """Rules by code, and everything that was flagged. `by_code`: what a rule did live, or in shadow
    where that is all; `beside`: what it did in the other stage, where it has a version or matches.
    `looked_at`: until when what came is known of (None: never), `waiting`: days of the range that
    are to be counted again."""

    by_code: Mapping[str, Health]
    beside: Mapping[str, Health]
    flagged: Health
    events: int
    pairs: Mapping[tuple[Key, Key], int]
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
    counted = [row for row in rows if row.is_readable]
    for row in counted:
        sums.add(row)
    events = sum(row.events for row in counted)
    in_force: dict[Key, RuleVersion] = {(one.stage, one.rule.code): one for one in versions}
    found = {key: sums.health(key) for key in {*sums.counts, *in_force}}
    flagged = found.pop(FLAGGED, None) or sums.health(FLAGGED)
    costs = spec.costs if spec else None
    marked = {
        key: replace(
            one, marks=marks_of(key, found, in_force, events=events, since=over.start, costs=costs)
        )
        for key, one in found.items()
    }
    by_code, beside = _apart(marked, in_force)
    return Report(
        by_code=by_code,
        beside=beside,
        flagged=flagged,
        events=events,
        pairs=sums.pairs,
        looked_at=mark.looked_at if mark else None,
        waiting=sum(row.stale or row.measured_at is None or not row.is_readable for row in rows),
    )


def _apart(
    found: Mapping[Key, Health], in_force: Mapping[Key, RuleVersion]
) -> tuple[dict[str, Health], dict[str, Health]]:
    """`by_code` and `beside` of a Report."""
    by_code, beside = {}, {}
    for code in {code for _, code in found}:
        live, shadow = (found.get((stage, code)) for stage in (Stage.LIVE, Stage.SHADOW))
        only_shadow = (Stage.SHADOW, code) in in_force and (Stage.LIVE, code) not in in_force
        first, second = (shadow, live) if only_shadow else (live, shadow)
        main = first or second
        if main is not None:
            by_code[code] = main
        if first is not None and second is not None:
            beside[code] = second
    return by_code, beside


@dataclass
class _Sums:
    over: Range
    counts: dict[Key, Count] = field(default_factory=lambda: defaultdict(Count))
    trend: dict[Key, list[int]] = field(default_factory=dict)
    sketches: dict[Key, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    pairs: Counter[tuple[Key, Key]] = field(default_factory=Counter)

    def add(self, row: RuleTally) -> None:
        place = (row.day - self.over.start).days
        packed = zlib.decompress(bytes(row.sketches)) if row.sketches else b""
        for stage, by_code in row.content.items():
            for code, said in by_code.items():
                self._add_count((stage, code), said, place)
                begin = said["offset"]
                self.sketches[stage, code].append(packed[begin : begin + said["size"]])
        for stage, code, other_stage, other, n in row.pairs:
            self.pairs[(stage, code), (other_stage, other)] += n

    def _add_count(self, key: Key, said: Mapping[str, Any], place: int) -> None:
        count = self.counts[key]
        for name in NAMES:
            value = said[name]
            old = getattr(count, name)
            setattr(count, name, max(old, value) if name == "last" else old + value)
        if key not in self.trend:
            self.trend[key] = [0] * self.over.length
        self.trend[key][place] = said["hits"]

    def health(self, key: Key) -> Health:
        count = self.counts.get(key, Count())
        entities, exact = count_distinct(self.sketches.get(key, ()))
        covered_by, covered = self._covered(key, count.hits)
        columns: dict[str, Any] = {name: getattr(count, name) for name in NAMES if name != "last"}
        return Health(
            **columns,
            stage=key[0],
            last=datetime.fromisoformat(count.last).astimezone(UTC) if count.last else None,
            entities=min(entities, count.hits),
            entities_exact=exact,
            trend=self.trend.get(key, [0] * self.over.length),
            covered_by=covered_by,
            covered=covered,
        )

    def _covered(self, key: Key, hits: int) -> tuple[str, float]:
        """The other rule that, live, matched most of its matches, and the share of them."""
        found = [
            (n, code)
            for pair, n in self.pairs.items()
            if key in pair
            for stage, code in pair
            if stage == Stage.LIVE and code != key[1]
        ]
        if not found or not hits:
            return "", 0.0
        n, name = max(found)
        return name, n / hits


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
        if row.is_readable:
            row.content = {LAYOUT_KEY: {}, FLAGGED[0]: row.content.get(FLAGGED[0], {})}
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


def overlap_matrix(report: Report) -> tuple[list[Key], list[tuple[Key, int, list[float | None]]]]:
    """(keys, rows of (key, hits, share of its matches that each of the keys matched too)) of the
    rules with the most matches, those in shadow by themselves; None on the diagonal."""
    hits: dict[Key, int] = {
        (one.stage, code): one.hits
        for healths in (report.by_code, report.beside)
        for code, one in healths.items()
        if one.hits
    }
    keys = sorted(hits, key=lambda key: (-hits[key], key[1], key[0]))[:IN_MATRIX]
    rows = []
    for key in keys:
        shares: list[float | None] = [
            None if other == key else report.pairs.get(_pair(key, other), 0) / hits[key]
            for other in keys
        ]
        rows.append((key, hits[key], shares))
    return keys, rows


def _pair(one: Key, other: Key) -> tuple[Key, Key]:
    return (one, other) if one < other else (other, one)
