"""Reads for the dashboards: sums over days that are counted already, never over the rows."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Max, QuerySet, Sum
from django.db.models.functions import TruncWeek

from accounts.models import User
from accounts.quantities import CENT
from cases.dashboard_filters import Bin, DashboardFilters
from cases.dashboard_models import DailyTally, TallyRun, WaitingTally
from cases.second_look_selectors import standing
from cases.tallying import FRAUD, LEGITIMATE, NEVER, UNLABELLED, day_bounds
from cases.workflow import Disposition
from scoring.core.spec import CostSpec, DetectorSpec
from scoring.core.types import Decision
from scoring.models import Detector
from scoring.presenting import SpecCache

Kind = DailyTally.Kind
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which detectors a dashboard is about, and what their declarations say (None: unreadable)."""

    detectors: tuple[Detector, ...]
    specs: Mapping[int, DetectorSpec | None]
    every: tuple[Detector, ...]

    @property
    def ids(self) -> list[int]:
        return [detector.pk for detector in self.detectors]

    def costs(self, detector: int, currency: str) -> CostSpec | None:
        """What its decisions cost; None where it is told in another currency or no money is at
        stake."""
        spec = self.specs[detector]
        fits = spec is not None and bool(spec.amount_field) and spec.currency == currency
        return spec.costs if spec is not None and fits else None

    def currencies(self) -> list[str]:
        """The currencies in which detectors of money tell their costs, most frequent first."""
        found: dict[str, int] = defaultdict(int)
        for detector in self.detectors:
            spec = self.specs[detector.pk]
            if spec is not None and spec.amount_field:
                found[spec.currency] += 1
        return sorted(found, key=lambda name: (-found[name], name))

    def delay(self, detector: int) -> timedelta:
        """How long its labels take."""
        spec = self.specs[detector]
        return timedelta(seconds=spec.training.label_delay if spec else 0.0)

    def silence_is_legitimate(self, detector: int) -> bool:
        """Whether an event that nobody labelled in that time was legitimate."""
        spec = self.specs[detector]
        return spec is not None and spec.training.unlabelled_is_legitimate


def scope_of(slug: str) -> Scope:
    """One detector, or all where no detector is so named. One query."""
    every = tuple(Detector.objects.order_by("name"))
    chosen = tuple(one for one in every if one.slug == slug) or every
    cache = SpecCache()
    return Scope(chosen, {one.pk: cache.of(one) for one in every}, every)


def counted_until() -> datetime | None:
    """Up to when everything is counted; None before the first count."""
    found = TallyRun.objects.filter(pk=1).values_list("as_of", flat=True).first()
    return None if found in (None, NEVER) else found


def newest_event_day(scope: Scope) -> date | None:
    """The last day that has events; None without any."""
    rows = DailyTally.objects.filter(kind=Kind.EVENT, detector__in=scope.ids)
    found: date | None = rows.aggregate(day=Max("day"))["day"]
    return found


@dataclass(frozen=True, slots=True)
class EventCell:
    """Events of one detector in one bin that were decided alike and have the same newest label."""

    at: Bin
    detector: int
    decision: str
    truth: str
    currency: str
    count: int
    amount: Decimal

    @property
    def flagged(self) -> bool:
        """Whether it was not simply approved."""
        return self.decision != Decision.APPROVE


@dataclass(slots=True)
class Sums:
    """Everything that the charts of one dashboard are drawn from; keys begin with a bin."""

    bins: list[Bin]
    counted: datetime | None = None
    """Up to when everything is counted; None before the first count."""
    volume: dict[tuple[Bin, int], int] = field(default_factory=dict)
    events: list[EventCell] = field(default_factory=list)
    opened: dict[tuple[Bin, int, int, str], int] = field(default_factory=dict)
    closed: dict[tuple[Bin, int, int], int] = field(default_factory=dict)
    backlog: dict[tuple[Bin, int, int], int] = field(default_factory=dict)
    waiting: dict[tuple[int, int], int] = field(default_factory=dict)
    """By (hours, level), now."""

    def counted_day(self, at: Bin) -> date | None:
        """The last day of a bin that is counted, at least in part; None where none is."""
        if self.counted is None or (day := self.counted.astimezone(UTC).date()) < at.first:
            return None
        return min(day, at.last)


def read_sums(filters: DashboardFilters, scope: Scope) -> Sums:
    """Seven queries, whatever the number of events and alerts."""
    bins = filters.bins()
    sums, place = Sums(bins, counted_until()), _Places(filters, bins)
    tallies = DailyTally.objects.filter(
        day__gte=filters.first, day__lte=filters.last, detector__in=scope.ids
    ).order_by()

    def rows(kind: str, *keys: str, **narrow: Any) -> "QuerySet[Any]":
        found = place.grouped(tallies.filter(kind=kind, **narrow)).values_list("at", *keys)
        return found.annotate(n=Sum("count"))

    sums.volume = {(place[at], level): n for at, level, n in rows(Kind.EVENT, "level")}
    cells = rows(Kind.EVENT, "detector_id", "decision", "outcome", "currency")
    amounts = cells.annotate(total=Sum("amount"))
    sums.events = [
        EventCell(place[at], detector, decision, truth, currency, n, total)
        for at, detector, decision, truth, currency, n, total in amounts
    ]
    sums.opened = {
        (place[at], detector, level, outcome): n
        for at, detector, level, outcome, n in rows(Kind.OPENED, "detector_id", "level", "outcome")
    }
    sums.closed = {
        (place[at], detector, bucket): n
        for at, detector, bucket, n in rows(Kind.CLOSED, "detector_id", "bucket")
    }
    # At the end of each bin, and now in the one that still lasts.
    ends = [day for one in bins if (day := sums.counted_day(one)) is not None]
    sums.backlog = {
        (place[at], detector, level): n
        for at, detector, level, n in rows(Kind.BACKLOG, "detector_id", "level", day__in=ends)
    }
    waiting = WaitingTally.objects.filter(detector__in=scope.ids).order_by()
    for hours, level, n in waiting.values_list("hours", "level").annotate(n=Sum("count")):
        sums.waiting[hours, level] = n
    return sums


class _Places:
    """From the day (or Monday) of a row to its bin."""

    def __init__(self, filters: DashboardFilters, bins: list[Bin]) -> None:
        self._weekly = filters.weekly
        starts = (one.first - timedelta(days=one.first.weekday()) for one in bins)
        keys = starts if self._weekly else (one.first for one in bins)
        self._bins = dict(zip(keys, bins, strict=True))

    def __getitem__(self, at: date) -> Bin:
        return self._bins[at]

    def grouped(self, rows: "QuerySet[DailyTally]") -> "QuerySet[Any]":
        """Rows with `at`, what they are grouped by."""
        return rows.annotate(at=TruncWeek("day") if self._weekly else F("day"))


# --- What follows from the sums ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Money:
    """Of one bin, in one currency. `saved`: against having no platform at all (see `money_of`)."""

    detected: Decimal = NOTHING
    lost: Decimal = NOTHING
    saved: float = 0.0
    reviewed: int = 0
    wrongly_blocked: int = 0


def money_of(cells: Iterable[EventCell], scope: Scope, currency: str, now: datetime) -> Money:
    """What was found, what got through, what it saved.

    saved = loss share x amount of fraud that was reviewed or blocked
            - review cost x events reviewed - cost of a false block x legitimate events blocked.
    Without a platform every event is approved. Fraud is what its newest label says. A blocked event
    that nobody labelled counts as legitimate once its labels have matured, where silence says so.
    Amounts in another currency than the detector's own, or unknown, are left out.
    """
    detected, lost, saved, reviewed, wrong = NOTHING, NOTHING, 0.0, 0, 0
    for cell in cells:
        costs = scope.costs(cell.detector, currency)
        if costs is None:
            continue
        told = cell.currency == currency
        if cell.truth == FRAUD and told and cell.flagged:
            detected += cell.amount
            saved += costs.loss_share * float(cell.amount)
        elif cell.truth == FRAUD and told:
            lost += cell.amount
        if cell.decision == Decision.REVIEW:
            reviewed += cell.count
            saved -= costs.review_cost * cell.count
        elif cell.decision == Decision.BLOCK and legitimate(cell, scope, now):
            wrong += cell.count
            saved -= costs.false_block_cost * cell.count
    # SQLite adds amounts with more decimals than they have.
    return Money(detected.quantize(CENT), lost.quantize(CENT), saved, reviewed, wrong)


def usual_currency(sums: Sums, scope: Scope) -> str:
    """That of most events of these days, else of most detectors; empty where no money is at
    stake."""
    known = scope.currencies()
    found: Counter[str] = Counter()
    for cell in sums.events:
        if cell.currency in known:
            found[cell.currency] += cell.count
    usual = found.most_common(1)
    return usual[0][0] if usual else next(iter(known), "")


def matured(at: Bin, delay: timedelta, now: datetime) -> bool:
    """Whether the labels of all its events have had their time."""
    return day_bounds(at.last)[1] + delay <= now


def legitimate(cell: EventCell, scope: Scope, now: datetime) -> bool:
    """Whether these events are known to be legitimate, by a label or by a long silence."""
    if cell.truth == UNLABELLED:
        quiet = scope.silence_is_legitimate(cell.detector)
        return quiet and matured(cell.at, scope.delay(cell.detector), now)
    return cell.truth == LEGITIMATE


# --- Analysts ------------------------------------------------------------------------------------


@dataclass(slots=True)
class AnalystFigures:
    """What one analyst did: alerts closed, classes of time spent, second looks at their labels."""

    user: User
    handled: int = 0
    spent: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    looked_at: int = 0
    agreed: int = 0


def analyst_figures(filters: DashboardFilters, scope: Scope) -> list[AnalystFigures]:
    """Everybody who closed an alert on these days, the busiest first. Three queries.

    Agreement is that of whoever took a second look, on the analyst's first judgements that stand.
    """
    tallies = DailyTally.objects.filter(
        kind=Kind.HANDLED, day__gte=filters.first, day__lte=filters.last, detector__in=scope.ids
    ).order_by()
    people: dict[int, AnalystFigures] = {}
    counted = list(tallies.values_list("user_id", "bucket").annotate(n=Sum("count")))
    for user in User.objects.filter(pk__in={pk for pk, _, _ in counted}):
        people[user.pk] = AnalystFigures(user)
    for pk, bucket, n in counted:
        if pk in people:
            people[pk].handled += n
            if bucket is not None:
                people[pk].spent[bucket] += n
    looks = standing().filter(
        second_at__gte=day_bounds(filters.first)[0],
        second_at__lt=day_bounds(filters.last)[1],
        alert__detector__in=scope.ids,
    )
    for pk, first, second in looks.values_list(
        "first_by_id", "first_disposition", "second_disposition"
    ):
        if pk in people:
            people[pk].looked_at += 1
            people[pk].agreed += first == second
    return sorted(people.values(), key=lambda one: (-one.handled, one.user.username))


DECIDED = (Disposition.FRAUD, Disposition.FALSE_POSITIVE)
