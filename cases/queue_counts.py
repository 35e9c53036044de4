"""Counts of the open alerts by everything that the queue filters by, in one grouped query."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Case as SqlCase
from django.db.models import Count, IntegerField, Max, Q, QuerySet, Value, When

from accounts.models import User
from cases.models import Alert
from cases.queue_models import AlertFacet
from cases.searching import FEW
from cases.workflow import AlertStatus


@dataclass(frozen=True, slots=True)
class Facet:
    """What alerts share; `rules` are codes."""

    slug: str
    name: str
    level: int
    reason: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """Open alerts counted: by (facet, sleeps), by (owner, sleeps), and by all three.

    `floor`: counting ended early, there are at least so many. `first` are the ids of those that
    were counted, in their order; None where they were not looked at one by one.
    """

    facets: Mapping[int, Facet]
    groups: Sequence[tuple[int, int | None, bool, int]]
    by_facet: Mapping[tuple[int, bool], int]
    by_owner: Mapping[tuple[int | None, bool], int]
    floor: bool = False
    first: Sequence[int] | None = None


def open_alerts() -> QuerySet[Alert]:
    """Without any of the joins that a row needs."""
    return Alert.objects.filter(status=AlertStatus.OPEN)


def alert_counts(now: datetime, rows: QuerySet[Alert] | None = None) -> Counts:
    """`rows` (all open alerts) counted by everything that the grouped filters ask for.

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
        .annotate(n=Count("*"))
    )
    return _counts(list(grouped.values_list("facet_id", "owner_id", "asleep", "n")))


def first_counts(now: datetime, rows: QuerySet[Alert]) -> Counts:
    """The first `FEW` of `rows`, in their order, counted in the same way. Two queries."""
    columns = rows.values_list("pk", "facet_id", "owner_id", "snoozed_until")
    found = list(columns[: FEW + 1])
    each = Counter(
        (facet, owner, until is not None and until > now) for _, facet, owner, until in found[:FEW]
    )
    counts = _counts([(*key, n) for key, n in each.items()])
    return replace(counts, floor=len(found) > FEW, first=[pk for pk, *_ in found[:FEW]])


def _counts(found: Sequence[tuple[int | None, int | None, Any, int]]) -> Counts:
    facets = _facets({row[0] for row in found if row[0] is not None})
    groups = [
        (facet, owner, bool(sleeps), n)
        for facet, owner, sleeps, n in found
        if facet is not None and facet in facets
    ]
    by_facet: dict[tuple[int, bool], int] = defaultdict(int)
    by_owner: dict[tuple[int | None, bool], int] = defaultdict(int)
    for facet, owner, sleeps, n in groups:
        by_facet[facet, sleeps] += n
        by_owner[owner, sleeps] += n
    return Counts(facets, groups, by_facet, by_owner)


def _facets(pks: set[int]) -> dict[int, Facet]:
    rows = AlertFacet.objects.filter(pk__in=pks).values_list(
        "pk", "detector__slug", "detector__name", "level", "reason", "rules"
    )
    return {
        pk: Facet(slug, name, level, reason, tuple(rules.split()))
        for pk, slug, name, level, reason, rules in rows
    }


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


def count_first(rows: QuerySet[Alert]) -> int:
    """How many rows there are, counted to the first beyond `FEW`."""
    return rows.order_by().values("pk")[: FEW + 1].count()


def newest_alert_id() -> int:
    """The highest id of any alert; 0 when there is none."""
    return Alert.objects.aggregate(newest=Max("pk"))["newest"] or 0
