"""The rows behind a point of a dashboard: which alerts, which events, as an address and a query."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.urls import reverse

from accounts.models import User
from accounts.typed import is_whole
from cases.models import Alert
from cases.tallying import FRAUD, LEGITIMATE, day_bounds, waiting_at, with_truth
from cases.workflow import AlertStatus, Disposition
from scoring.core.types import DECISIONS, RISK_LEVELS, Decision, RiskLevel
from scoring.models import Detector, Label, Prediction

UNDECIDED, DECIDED, FLAGGED = "undecided", "decided", "flagged"
NO_LABEL, NOT_FRAUD = "none", "not_fraud"
OUTCOMES = {*AlertStatus, *Disposition, UNDECIDED, DECIDED} - {AlertStatus.CLOSED}
TRUTHS = {
    FRAUD: Q(truth=True),
    LEGITIMATE: Q(truth=False),
    NO_LABEL: Q(truth=None),
    NOT_FRAUD: Q(truth=None) | Q(truth=False),
}
SAID = {NO_LABEL: "without a label", NOT_FRAUD: "not labelled fraud"}
LONGEST = 40
MOST_DAYS = 7
"""How many days of events are read at once; a point of a chart is a week at most."""


class _Asked:
    """Reading and writing of what stands in an address."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Any:
        """From a query string; what cannot be read counts as not asked."""
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        given = {name: query.get(name, "").replace("\0", "").strip()[:LONGEST] for name in names}
        return cls(**{name: value for name, value in given.items() if _known(name, value)})

    def query(self) -> str:
        """As a query string without a question mark."""
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        pairs = {name: getattr(self, name) for name in names}
        found = {name: value for name, value in pairs.items() if value}
        return urlencode(found, safe="{}")  # charts fill in the days of a point


@dataclass(frozen=True, slots=True)
class AlertsAsked(_Asked):
    """Alerts opened or closed on days, or waiting at the end of one (`waiting_on`), or open for at
    least `waited` hours now; days are UTC and included. `by` is the id of whoever closed them."""

    opened_from: str = ""
    opened_to: str = ""
    closed_from: str = ""
    closed_to: str = ""
    waiting_on: str = ""
    waited: str = ""
    outcome: str = ""
    level: str = ""
    detector: str = ""
    by: str = ""

    def url(self) -> str:
        """The page of these alerts."""
        return f"{reverse('dashboard_alerts')}?{self.query()}"

    def narrow(self, rows: "QuerySet[Alert]", now: datetime) -> "QuerySet[Alert]":
        """The alerts that match."""
        found = _between("opened_at", self.opened_from, self.opened_to)
        found &= _between("closed_at", self.closed_from, self.closed_to)
        if self.closed_from or self.by:
            found &= Q(status=AlertStatus.CLOSED)
        if self.waiting_on:
            found &= waiting_at(min(day_bounds(date.fromisoformat(self.waiting_on))[1], now))
        if self.waited:
            passed = now - timedelta(hours=int(self.waited))
            found &= Q(status=AlertStatus.OPEN, opened_at__lte=passed)
        if self.outcome:
            found &= _stands(self.outcome)
        if self.level:
            found &= Q(level=[*RISK_LEVELS].index(RiskLevel(self.level)))
        if self.detector:
            found &= Q(detector__slug=self.detector)
        if self.by:
            found &= Q(closed_by=int(self.by))
        return rows.filter(found)

    def words(self) -> str:
        """What is asked, as a sentence; one query where it names somebody."""
        parts = [self.level.lower()] if self.level else []
        parts.append("alerts")
        if self.detector:
            parts.append(f"of {self.detector}")
        if self.waited:
            parts.append(
                "that wait" if self.waited == "0" else f"that wait {self.waited} h or more"
            )
        if self.waiting_on:
            parts.append(f"not closed at the end of {self.waiting_on}")
        parts += [
            f"{word} {_span(first, last)}"
            for word, first, last in (
                ("opened", self.opened_from, self.opened_to),
                ("closed", self.closed_from, self.closed_to),
            )
            if first or last
        ]
        if self.by:
            when = self.closed_from or self.closed_to
            parts.append(f"by {_name(self.by)}" if when else f"closed by {_name(self.by)}")
        if self.outcome:
            parts.append(f"({self.outcome.replace('_', ' ')})")
        text = " ".join(parts)
        return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class EventsAsked(_Asked):
    """Events that happened on these days. `truth` is what their newest label says, `none` without
    one, `not_fraud` without one that says fraud; `decision` may be `flagged`: reviewed or
    blocked."""

    day_from: str = ""
    day_to: str = ""
    decision: str = ""
    truth: str = ""
    level: str = ""
    detector: str = ""
    currency: str = ""

    def url(self) -> str:
        """The page of these events."""
        return f"{reverse('dashboard_events')}?{self.query()}"

    def span(self, today: date) -> tuple[date, date]:
        """The days that are read: at most `MOST_DAYS`, the last where more are asked for."""
        reach = timedelta(days=MOST_DAYS - 1)
        first = date.fromisoformat(self.day_from) if self.day_from else None
        last = date.fromisoformat(self.day_to) if self.day_to else None
        if last is None:
            last = today if first is None else first + reach
        return max(first or last - reach, last - reach), last

    def narrow(self, rows: "QuerySet[Prediction]", today: date) -> "QuerySet[Prediction]":
        """The events that match, by each detector's own index of times."""
        first, last = self.span(today)
        detectors = Detector.objects.order_by().values_list("pk", flat=True)
        if self.detector:
            detectors = detectors.filter(slug=self.detector)
        ids = list(detectors)
        rows = rows.filter(_between("event_time", f"{first}", f"{last}"), detector__in=ids)
        if self.decision == FLAGGED:
            rows = rows.filter(decision__in=[Decision.REVIEW, Decision.BLOCK])
        elif self.decision:
            rows = rows.filter(decision=self.decision)
        if self.level:
            rows = rows.filter(risk_level=self.level)
        if self.currency:
            rows = rows.filter(currency=self.currency)
        if not self.truth:
            return rows
        if self.truth in (FRAUD, LEGITIMATE):
            # Few events have a label: the newest is looked up for those only.
            said = Label.objects.filter(
                _between("event_time", f"{first}", f"{last}"),
                detector__in=ids,
                is_fraud=self.truth == FRAUD,
            )
            rows = rows.filter(pk__in=said.order_by().values("prediction"))
        return with_truth(rows).filter(TRUTHS[self.truth])

    def words(self) -> str:
        """What is asked, as a sentence."""
        parts = [self.level.lower()] if self.level else []
        parts.append("events")
        if self.detector:
            parts.append(f"of {self.detector}")
        first, last = self.span(datetime.now(UTC).date())
        parts.append(_span(f"{first}", f"{last}"))
        if self.currency:
            parts.append(f"in {self.currency}")
        if self.decision:
            parts.append(f"({self.decision.lower()})")
        if self.truth:
            parts.append(SAID.get(self.truth, f"labelled {self.truth}"))
        text = " ".join(parts)
        return text[:1].upper() + text[1:]


def _known(name: str, value: str) -> bool:
    """Whether a value can be asked of a field."""
    allowed: dict[str, Any] = {
        "outcome": OUTCOMES,
        "level": RISK_LEVELS,
        "decision": {*DECISIONS, FLAGGED},
        "truth": TRUTHS,
    }
    if name in allowed:
        return value in allowed[name]
    if name in ("by", "waited"):
        return is_whole(value, 5)
    if name in ("detector", "currency"):
        return True
    try:
        return FIRST_YEAR <= date.fromisoformat(value).year < LAST_YEAR
    except ValueError:
        return False


FIRST_YEAR, LAST_YEAR = 1970, 9000


def _stands(outcome: str) -> Q:
    """Alerts that stand so."""
    if outcome == UNDECIDED:
        return ~Q(status=AlertStatus.CLOSED)
    if outcome == DECIDED:
        found = [Disposition.FRAUD, Disposition.FALSE_POSITIVE]
        return Q(status=AlertStatus.CLOSED, disposition__in=found)
    if outcome in set(AlertStatus):
        return Q(status=outcome)
    return Q(status=AlertStatus.CLOSED, disposition=outcome)


def _name(pk: str) -> str:
    """Whoever has this id."""
    user = User.objects.filter(pk=int(pk)).first()
    return user.name if user else "somebody unknown"


def _between(field: str, first: str, last: str) -> Q:
    found = Q()
    if first:
        found &= Q(**{f"{field}__gte": day_bounds(date.fromisoformat(first))[0]})
    if last:
        found &= Q(**{f"{field}__lt": day_bounds(date.fromisoformat(last))[1]})
    return found


def _span(first: str, last: str) -> str:
    if first == last:
        return f"on {first}"
    return f"from {first or 'the beginning'} to {last or str(datetime.now(UTC).date())}"
