"""Reads of cases: the list with its counts, one case with all that hangs on it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import (
    BooleanField,
    Count,
    ExpressionWrapper,
    Max,
    Prefetch,
    Q,
    QuerySet,
    Sum,
    Value,
)

from accounts.models import User
from cases.case_models import CaseApproval, CaseCheck, CaseHandover, CaseMention, CaseMerge
from cases.models import Alert, Case, CaseEvent
from cases.work_queue_models import WorkQueue
from cases.workflow import LIVE_CASES, WORKED_ON

TIMELINE = 100
"""Entries of a timeline that a page shows at first."""
TIMELINE_MOST = 1000
ALERTS = 50
"""Alerts of a case that a page shows; the export has all."""
MOST_TAGS = 40
CHAIN = 8
"""Cases within cases whose timelines are shown together."""


@dataclass(frozen=True, slots=True)
class CaseCount:
    """How many cases share all of this; one query's worth of counts for every filter."""

    priority: int
    queue_id: int | None
    queue: str
    owner_id: int | None
    owner: str
    hidden: bool
    count: int


def status_counts(rows: "QuerySet[Case]", now: datetime) -> dict[str, int]:
    """How many of these cases stand where; `late` are those that are overdue. Of all cases from an
    index alone."""
    counts = dict(rows.order_by().values_list("status").annotate(n=Count("pk")))
    late = rows.filter(status__in=LIVE_CASES, due_at__lt=now).count()
    return {**counts, "late": late}


def case_counts(rows: "QuerySet[Case]", hidden: Collection[int] = ()) -> list[CaseCount]:
    """These cases by priority, queue and owner. Those stand apart whose owner must not be told:
    `hidden`."""
    untold = ExpressionWrapper(Q(pk__in=hidden), BooleanField()) if hidden else Value(False)
    grouped = (
        rows.order_by()
        .annotate(untold=untold)
        .values_list("priority", "work_queue_id", "owner_id", "untold")
        .annotate(n=Count("pk"))
    )
    groups = list(grouped)
    # Named afterwards: grouping by names would join them to every row first.
    owners = User.objects.filter(pk__in={group[2] for group in groups if group[2] is not None})
    people = dict(owners.values_list("pk", "username"))
    queues = dict(WorkQueue.objects.values_list("pk", "name"))
    return [
        CaseCount(
            priority=priority,
            queue_id=queue_id,
            queue=queues.get(queue_id, ""),
            owner_id=owner_id,
            owner=people.get(owner_id, ""),
            hidden=bool(untold),
            count=n,
        )
        for priority, queue_id, owner_id, untold, n in groups
    ]


def tag_counts(rows: "QuerySet[Case]") -> list[tuple[str, int]]:
    """The tags most used on these cases."""
    tagged = rows.filter(tags__isnull=False).order_by().values_list("tags__name")
    return list(tagged.annotate(n=Count("pk")).order_by("-n", "tags__name")[:MOST_TAGS])


def case_rows_query() -> QuerySet[Case]:
    """Cases with what a line of the list shows, but for their alerts (`alert_sums`)."""
    return Case.objects.select_related("owner", "work_queue").prefetch_related("tags")


@dataclass(frozen=True, slots=True)
class AlertSum:
    """The alerts of one case in one currency, summed up."""

    currency: str
    exposure: Decimal | None
    level: int
    alerts: int
    events: int


def alert_sums(case_ids: Sequence[int]) -> dict[int, list[AlertSum]]:
    """The alerts of these cases by currency, the largest amount first; one query for all."""
    rows = (
        Alert.objects.filter(case__in=case_ids)
        .order_by()
        .values_list("case_id", "currency")
        .annotate(
            exposure=Sum("exposure"), top=Max("level"), n=Count("pk"), e=Sum("predictions_count")
        )
    )
    found: dict[int, list[AlertSum]] = {}
    for case_id, currency, exposure, level, n, events in rows:
        found.setdefault(case_id, []).append(AlertSum(currency, exposure, level, n, events))
    for sums in found.values():
        sums.sort(key=lambda one: one.exposure or Decimal(0), reverse=True)
    return found


def find_case(pk: int) -> Case | None:
    """The case with what its page shows of it."""
    rows = Case.objects.select_related(
        "owner", "opened_by", "work_queue", "case_type", "merged_into"
    )
    return rows.filter(pk=pk).first()


def case_alerts(case: Case) -> QuerySet[Alert]:
    """The alerts of a case, the largest expected loss first."""
    rows = case.alerts.select_related("detector", "top_prediction", "owner")
    return rows.order_by("-expected_loss", "pk")


def merges_of(case: Case) -> list[CaseMerge]:
    """The cases that went into this one and are in it still, those within them too.

    One query a level of nesting; nearly always one or two.
    """
    found: list[CaseMerge] = []
    level = [case.pk]
    for _ in range(CHAIN):
        rows = CaseMerge.objects.filter(target__in=level, undone_at=None)
        merges = list(rows.select_related("source", "merged_by"))
        found += merges
        level = [merge.source_id for merge in merges]
        if not level:
            break
    return found


def timeline_of(case_ids: Sequence[int], *, limit: int) -> tuple[list[CaseEvent], int]:
    """The newest entries of these cases' timelines, oldest first, and how many came before."""
    rows = CaseEvent.objects.filter(case__in=case_ids)
    mentions = CaseMention.objects.select_related("user")
    shown = (
        rows.select_related("actor", "attachment")
        .prefetch_related(Prefetch("mentions", mentions))
        .order_by("-at", "-id")
    )
    events = list(shown[: limit + 1])
    earlier = 0 if len(events) <= limit else rows.count() - limit
    return events[:limit][::-1], earlier


def checks_of(case: Case) -> list[CaseCheck]:
    """The checklist of a case."""
    return list(case.checks.select_related("done_by"))


def waiting_handover(case: Case) -> CaseHandover | None:
    """The hand-over that waits for its receiver."""
    rows = case.handovers.filter(status=CaseHandover.Status.WAITING)
    return rows.select_related("from_user", "to_user").first()


def newest_approvals(case: Case) -> list[CaseApproval]:
    """The case's requests for approval, newest first."""
    return list(case.approvals.select_related("requested_by", "decided_by")[:5])


def case_workers() -> list[User]:
    """Active users who may work on cases, by name."""
    may = Q(groups__permissions__codename="work_case") | Q(is_superuser=True)
    return list(User.objects.filter(may, is_active=True).distinct().order_by("username"))


def merge_candidates(case: Case) -> QuerySet[Case]:
    """Open cases that share an entity with this one, newest first: likely the same story."""
    entities = case.alerts.values("entity")
    rows = Case.objects.filter(alerts__entity__in=entities, status__in=WORKED_ON)
    return rows.exclude(pk=case.pk).distinct().order_by("-opened_at")


def waits_for_me(user: User) -> dict[str, Any]:
    """What the list of cases tells this user first: hand-overs to them, closings to approve."""
    handovers = CaseHandover.objects.filter(to_user=user, status=CaseHandover.Status.WAITING)
    return {"handovers": list(handovers.select_related("case", "from_user").order_by("at")[:5])}
