"""Counts of the open alerts by everything that the queue filters by, in one grouped query."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case as SqlCase
from django.db.models import Count, IntegerField, Max, Q, QuerySet, Value, When

from accounts.models import User
from cases.models import Alert
from cases.queue_models import AlertFacet
from cases.workflow import AlertStatus


@dataclass(frozen=True, slots=True)
class AlertCount:
    """How many open alerts share these properties. `rules` are codes; `snoozed`: until later."""

    slug: str
    name: str
    level: int
    reason: str
    rules: tuple[str, ...]
    owner_id: int | None
    snoozed: bool
    count: int


def open_alerts() -> QuerySet[Alert]:
    """Without any of the joins that a row needs."""
    return Alert.objects.filter(status=AlertStatus.OPEN)


def alert_counts(now: datetime, rows: QuerySet[Alert] | None = None) -> list[AlertCount]:
    """Every combination that occurs among `rows` (all open alerts), with its count.

    Two queries, whatever the number of alerts; the first reads an index alone (alert_counts).
    """
    asleep = SqlCase(
        When(snoozed_until__gt=now, then=Value(1)), default=Value(0), output_field=IntegerField()
    )
    grouped = (
        (open_alerts() if rows is None else rows)
        .order_by()
        .values_list("facet_id", "owner_id")
        .annotate(asleep=asleep)
        .annotate(n=Count("pk"))
    )
    found = list(grouped.values_list("facet_id", "owner_id", "asleep", "n"))
    facets = AlertFacet.objects.select_related("detector").in_bulk({row[0] for row in found})
    return [
        AlertCount(
            slug=facet.detector.slug,
            name=facet.detector.name,
            level=facet.level,
            reason=facet.reason,
            rules=tuple(facet.rules.split()),
            owner_id=owner_id,
            snoozed=bool(asleep),
            count=count,
        )
        for facet_id, owner_id, asleep, count in found
        if (facet := facets.get(facet_id)) is not None
    ]


def names_of(user_ids: Sequence[int]) -> dict[int, str]:
    """What to call these users."""
    return {user.pk: user.name for user in User.objects.filter(pk__in=user_ids)}


def count_each(conditions: Sequence[Q], rows: QuerySet[Alert]) -> list[int]:
    """How many of `rows` meet each of these conditions, in one query."""
    if not conditions:
        return []
    asked: dict[str, Any] = {
        f"n{i}": Count("pk", filter=condition) for i, condition in enumerate(conditions)
    }
    found = rows.order_by().aggregate(**asked)
    return [found[name] for name in asked]


def newest_alert_id() -> int:
    """The highest id of any alert; 0 when there is none."""
    return Alert.objects.aggregate(newest=Max("pk"))["newest"] or 0
