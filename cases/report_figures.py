"""The headline numbers of a report, beside those of the days before. Everything is added up from
the charts and summaries of the dashboards, so that a report and the page say the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from accounts import quantities
from cases.agreement import Share, share_of
from cases.dashboard_asking import Asked, Panel
from cases.dashboard_panels import alerts, false_positives, maturity
from cases.dashboard_summaries import Summary, summary
from scoring.core.types import RISK_LEVELS

Number = int | float | Decimal | None
NOTHING: Final = "–"  # noqa: RUF001 - a dash, not a minus
SMALL: Final = 0.01
"""Shares below it are told with two decimals."""
LONG_WAIT: Final = 24
"""Hours, one of the classes of the chart of waiting times (cases.tallying.WAITING_HOURS)."""


@dataclass(frozen=True, slots=True)
class Headline:
    """One number: of these days and (unless it is about now) of the days before.

    `unit` is `count`, `share`, `seconds` or a currency. `of` says what a share is of, or of which
    day a count is where that is not the last one.
    """

    label: str
    unit: str
    value: Number
    before: Number = None
    of: str = ""
    compared: bool = True

    @property
    def words(self) -> str:
        """The number as it is read."""
        return in_words(self.value, self.unit)

    @property
    def before_words(self) -> str:
        """The number of the days before."""
        return in_words(self.before, self.unit) if self.compared else ""

    @property
    def change(self) -> str:
        """`+12 %`; of shares in points, of money below nothing in money; empty where there is
        nothing to compare."""
        if not self.compared or self.value is None or self.before is None:
            return ""
        value, before = float(self.value), float(self.before)
        if value == before:
            return "same"
        sign = "+" if value > before else quantities.MINUS
        size = abs(value - before)
        if self.unit == "share":
            places = 2 if max(value, before) < SMALL else 1
            return f"{quantities.signed(100.0 * (value - before), places)}\u00a0points"
        if self.unit not in ("count", "seconds") and min(value, before) <= 0.0:
            return sign + money(size, self.unit)
        if not before:
            return "new"
        percent = f"{quantities.in_hundred(size / before):,.0f}"
        return f"{sign}{percent}\u00a0%" if percent != "0" else f"{sign}<\u00a01\u00a0%"


def in_words(value: Number, unit: str) -> str:
    """A number as the pages show it, small shares more exactly."""
    if value is None:
        return NOTHING
    if unit == "count":
        return f"{value:,}"
    if unit == "share":
        share = float(value)
        digits = 0 if share >= 0.1 or not share else 1 if share >= SMALL else 2
        return f"{quantities.in_hundred(share):.{digits}f}\u00a0%"
    if unit == "seconds":
        return duration(float(value))
    return money(float(value), unit)


def money(amount: float, currency: str) -> str:
    """Whole units from a hundred on, as includes/money.html."""
    return quantities.money(amount, currency)


def duration(seconds: float) -> str:
    """In the unit in which it reads well, as cases/duration.html."""
    if seconds < 5400:
        return f"{quantities.half_up(seconds / 60):.0f}\u00a0min"
    if seconds < 172_800:
        return f"{quantities.half_up(seconds / 3600):.0f}\u00a0h"
    return f"{quantities.half_up(seconds / 86_400):.0f}\u00a0d"


def headlines(asked: Asked, before: Asked) -> list[Headline]:
    """The numbers of the days asked for, each beside that of the days `before`."""
    now, then = _figures(asked), _figures(before)
    return [
        Headline(one.label, one.unit, one.value, other.value, one.of, one.compared)
        for one, other in zip(now, then, strict=True)
    ]


def _figures(asked: Asked) -> list[Headline]:
    whole, opened = summary(asked), alerts(asked)
    by_level = [
        Headline(f"{level.capitalize()} alerts", "count", _column(opened, i + 1))
        for i, level in enumerate(RISK_LEVELS)
    ]
    grown = [row for row in false_positives(asked).rows if row[-1] == "yes"]
    wrong = share_of(sum(row[1] for row in grown), sum(row[2] for row in grown))
    fraud, good, young, never = (_column(maturity(asked), i) for i in (1, 2, 3, 4))
    known = share_of(fraud + good, fraud + good + young + never)
    long_wait = sum(n for (hours, _), n in asked.sums.waiting.items() if hours == LONG_WAIT)
    return [
        Headline("Events", "count", whole.events),
        Headline("Alerts opened", "count", whole.alerts),
        *reversed(by_level),
        Headline("Precision of alerts", "share", whole.precision.value, of=_of(whole.precision)),
        Headline("False-positive rate", "share", wrong.value, of=_of(wrong)),
        *_moneys(whole),
        Headline("Time to disposition, median", "seconds", whole.median_seconds),
        Headline("Alerts not closed at the end", "count", whole.backlog, of=_on(asked, whole)),
        Headline(f"Open for {LONG_WAIT} h or longer, now", "count", long_wait, compared=False),
        Headline("Flagged events with a label", "share", known.value, of=_of(known)),
    ]


def _moneys(whole: Summary) -> list[Headline]:
    if not whole.currency:
        return []
    return [
        Headline("Value detected", whole.currency, whole.detected),
        Headline("Value lost", whole.currency, whole.lost),
        Headline("Cost saved", whole.currency, whole.saved),
    ]


def _on(asked: Asked, whole: Summary) -> str:
    early = whole.backlog_on is not None and whole.backlog_on < asked.filters.last
    return f"on {whole.backlog_on}" if early else ""


def _of(share: Share) -> str:
    return f"{share.hits:,} of {share.total:,}" if share.total else ""


def _column(panel: Panel, at: int) -> int:
    return sum(row[at] for row in panel.rows)


COLUMNS = ("figure", "value", "unit", "before")


def figures_panel(found: Sequence[Headline]) -> Panel:
    """The headlines, unrounded, for a CSV."""
    rows = [(one.label, one.value, one.unit, one.before if one.compared else None) for one in found]
    return Panel("figures", "Figures", "", "Headline numbers", COLUMNS, rows, None)
