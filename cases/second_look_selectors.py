"""Reads of second looks: how far people agree, by reason, and what is in dispute."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Prefetch, Q, QuerySet

from cases.agreement import Kappa, Share, cohens_kappa, share_of
from cases.models import Alert
from cases.second_look_models import SecondLook
from cases.workflow import AlertStatus, SecondLookStatus
from scoring.models import Label, Prediction

HISTORY = 20


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """First judgements for one reason: how many seconds found the same outcome, the same reason;
    `instead` is what they said most often where they did not (code, how often)."""

    disposition: str
    reason: str
    outcome: Share
    same_reason: Share
    instead: tuple[str, str, int] | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the second looks answered in a span: kappa of the outcomes, and each reason."""

    kappa: Kappa
    lines: list[ReasonLine]
    cells: dict[tuple[str, str], int]


def standing() -> "QuerySet[SecondLook]":
    """Looks at alerts that still stand as they were closed when the look was drawn."""
    return SecondLook.objects.filter(
        alert__status=AlertStatus.CLOSED, alert__closed_at=F("first_at")
    )


def agreement(start: datetime, end: datetime, detectors: list[int]) -> Agreement:
    """What the second looks answered in [start, end) say, those that still stand. One query."""
    rows = (
        standing()
        .filter(second_at__gte=start, second_at__lt=end, alert__detector__in=detectors)
        .order_by()
    )
    counted = rows.values_list(
        "first_disposition", "first_reason", "second_disposition", "second_reason"
    ).annotate(n=Count("pk"))
    pairs: list[tuple[str, str]] = []
    cells: Counter[tuple[str, str]] = Counter()
    by_reason: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    for first, reason, second, other, n in counted:
        pairs += [(first, second)] * n
        cells[first, second] += n
        by_reason[first, reason][second, other] += n
    return Agreement(cohens_kappa(pairs), _lines(by_reason), dict(cells))


def _lines(by_reason: dict[tuple[str, str], Counter[tuple[str, str]]]) -> list[ReasonLine]:
    """The least agreed on first."""
    found = []
    for (first, reason), said in by_reason.items():
        total = sum(said.values())
        same = sum(n for (second, _), n in said.items() if second == first)
        others = [(n, *key) for key, n in said.items() if key != (first, reason)]
        most = max(others, default=None)
        found.append(
            ReasonLine(
                first,
                reason,
                share_of(same, total),
                share_of(said[first, reason], total),
                None if most is None else (most[1], most[2], most[0]),
            )
        )
    return sorted(found, key=lambda line: (line.outcome.value or 0.0, -line.outcome.total))


def disputes(detectors: list[int]) -> "QuerySet[SecondLook]":
    """What two disagree on and a lead has not settled, the oldest first."""
    rows = standing().filter(status=SecondLookStatus.DISPUTED, alert__detector__in=detectors)
    return rows.select_related(
        "alert__detector", "alert__top_prediction", "first_by", "second_by"
    ).order_by("second_at", "pk")


def look_counts(detectors: list[int]) -> dict[str, int]:
    """How many looks stand where, without those at alerts that were decided anew."""
    rows = standing().filter(alert__detector__in=detectors).order_by().values_list("status")
    return dict(rows.annotate(n=Count("pk")))


def blind_history(alert: Alert) -> list[Prediction]:
    """The entity's newest events up to those of the alert, with the labels known when it opened."""
    known = Label.objects.filter(label_time__lt=alert.opened_at)
    rows = Prediction.objects.filter(
        Q(alert_link__alert=alert) | Q(event_time__lte=alert.last_event_at),
        entity=alert.entity,
        detector_id=alert.detector_id,
    )
    rows = rows.select_related("alert_link").prefetch_related(Prefetch("labels", known))
    return list(rows.order_by("-event_time", "-id")[:HISTORY])
