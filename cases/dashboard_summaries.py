"""Tables of a dashboard: the whole in one line, each detector, each analyst."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from urllib.parse import urlencode

from django.urls import reverse

from cases.agreement import Share, share_of
from cases.dashboard_asking import Asked, Panel
from cases.dashboard_panels import alert_precision
from cases.dashboard_rows import AlertsAsked
from cases.dashboards import AnalystFigures, Scope, Sums, money_of
from cases.durations import quantile
from scoring.models import Detector


@dataclass(frozen=True, slots=True)
class Summary:
    """The days of one detector, or of all, in one line. `detector` is None for all together.

    Money in `currency`, which is empty where no money is at stake. `backlog` is that of the last of
    these days that is counted, `backlog_on`; both None where none is.
    """

    detector: Detector | None
    url: str
    events: int
    alerts: int
    precision: Share
    detected: Decimal
    lost: Decimal
    saved: float
    currency: str
    median_seconds: float | None
    backlog: int | None
    backlog_on: date | None


def summary(asked: Asked, detector: Detector | None = None) -> Summary:
    """Of one detector in its own currency, or of all shown in the one that was asked for."""
    sums, currency = asked.sums, asked.currency
    scope = asked.scope
    if detector is not None:
        spec = scope.specs[detector.pk]
        currency = spec.currency if spec is not None and spec.amount_field else ""
        scope = Scope((detector,), scope.specs, scope.every)
    ids = set(scope.ids)
    stand: Counter[str] = Counter()
    spent: Counter[int] = Counter()
    for (_, pk, _, outcome), n in sums.opened.items():
        stand[outcome] += n if pk in ids else 0
    for (_, pk, bucket), n in sums.closed.items():
        spent[bucket] += n if pk in ids else 0
    cells = [cell for cell in sums.events if cell.detector in ids]
    money = money_of(cells, scope, currency, asked.now)
    backlog, backlog_on = _backlog(sums, ids)
    slug = detector.slug if detector else asked.filters.detector
    return Summary(
        detector=detector,
        url=f"{reverse('dashboards')}?{asked.filters.query(detector=slug, currency='')}",
        events=sum(cell.count for cell in cells),
        alerts=sum(stand.values()),
        precision=alert_precision(stand),
        detected=money.detected,
        lost=money.lost,
        saved=round(money.saved, 2),
        currency=currency,
        median_seconds=quantile(spent, 0.5),
        backlog=backlog,
        backlog_on=backlog_on,
    )


def _backlog(sums: Sums, ids: set[int]) -> tuple[int | None, date | None]:
    """(alerts not closed at the end of the last counted day, that day)."""
    for last in reversed(sums.bins):
        day = sums.counted_day(last)
        if day is not None:
            found = (n for (at, pk, _), n in sums.backlog.items() if at == last and pk in ids)
            return sum(found), day
    return None, None


COLUMNS = (
    *("detector", "events", "alerts", "fraud", "decided", "precision", "low", "high"),
    *("detected", "lost", "saved", "currency", "median_minutes", "backlog"),
)


def detectors_panel(asked: Asked) -> tuple[Panel, list[Summary]]:
    """Each detector in one line."""
    found = [summary(asked, detector) for detector in asked.scope.detectors]
    rows = [
        (
            str(one.detector), one.events, one.alerts, one.precision.hits, one.precision.total,
            one.precision.value, one.precision.low, one.precision.high, one.detected, one.lost,
            one.saved, one.currency, minutes(one.median_seconds), one.backlog,
        )
        for one in found
    ]  # fmt: skip
    return Panel("detectors", "Detectors", "", "Each detector", COLUMNS, rows, None), found


def minutes(seconds: float | None) -> float | None:
    """Seconds in minutes."""
    return None if seconds is None else seconds / 60.0


@dataclass(frozen=True, slots=True)
class AnalystRow:
    """A line of the table of analysts."""

    figures: AnalystFigures
    median_seconds: float | None
    agreement: Share
    url: str


def analysts_panel(asked: Asked, found: Sequence[AnalystFigures]) -> tuple[Panel, list[AnalystRow]]:
    """What each analyst did on these days."""
    lines = [
        AnalystRow(
            one,
            quantile(one.spent, 0.5),
            share_of(one.agreed, one.looked_at),
            replace(
                AlertsAsked(
                    closed_from=f"{asked.filters.first}",
                    closed_to=f"{asked.filters.last}",
                    detector=asked.filters.detector,
                ),
                by=f"{one.user.pk}",
            ).url(),
        )
        for one in found
    ]
    rows = [
        (
            line.figures.user.username, line.figures.handled, minutes(line.median_seconds),
            line.agreement.hits, line.agreement.total, line.agreement.value, line.agreement.low,
            line.agreement.high,
        )
        for line in lines
    ]  # fmt: skip
    columns = (
        *("analyst", "alerts_closed", "median_minutes", "agreed", "second_looks", "agreement"),
        *("low", "high"),
    )
    return Panel("analysts", "Analysts", "", "Each analyst", columns, rows, None), lines


def csv_url(panel: Panel, query: str) -> str:
    """Where the numbers of a panel are downloaded."""
    return f"{reverse('dashboard_csv', args=[panel.key])}?{query}"


def with_query(name: str, **pairs: str) -> str:
    """The address of a page with these things asked."""
    query = urlencode({key: value for key, value in pairs.items() if value})
    return f"{reverse(name)}?{query}".rstrip("?")
