"""What is at risk in alerts and cases, and how much of it one person may close.

Amounts are summed by currency from the predictions themselves: an alert may hold several.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Sum

from accounts.models import User
from cases import workflow
from cases.models import Alert, Case
from cases.work_queue_models import WorkQueue
from cases.workflow import MoveRefused
from scoring.models import Prediction


@dataclass(frozen=True, slots=True)
class Stake:
    """What is at risk, by currency, and how much one person may close."""

    totals: Mapping[str, Decimal]
    limit: Decimal | None
    events: int

    @property
    def above(self) -> bool:
        return workflow.above_limit(self.totals.values(), self.limit)

    @property
    def largest(self) -> tuple[str, Decimal]:
        """The currency with the largest amount; empty and 0 where there is none."""
        found = max(self.totals.items(), key=lambda item: item[1], default=None)
        return found or ("", Decimal(0))


def stake_of(item: Alert | Case) -> Stake:
    """What is at risk in it now: one query, two where its queue is not loaded yet."""
    name = "alert_link__alert" if isinstance(item, Alert) else "alert_link__alert__case"
    rows = (
        Prediction.objects.filter(**{name: item})
        .order_by()
        .values_list("currency")
        .annotate(total=Sum("exposure"), events=Count("pk"))
    )
    found = list(rows)
    return Stake(
        totals={currency: total for currency, total, _ in found if total is not None},
        limit=limit_of(item),
        events=sum(events for _, _, events in found),
    )


def limit_of(item: Alert | Case) -> Decimal | None:
    """How much of it one person may close; None: all.

    That of its queue now, and never more than what it kept: raising a queue's limit frees nothing
    that is open.
    """
    return lowest((item.approval_limit, limit_of_queue(item.work_queue)))


def lowest(limits: Iterable[Decimal | None]) -> Decimal | None:
    """The strictest of some limits; None where none of them limits anything."""
    return min((limit for limit in limits if limit is not None), default=None)


def check_alone(alert: Alert, actor: User) -> None:
    """Raises MoveRefused where closing this alert by itself would go around a second person."""
    if alert.taken_out_by_id == actor.pk:
        raise MoveRefused(
            "You took this alert out of a case above its limit: somebody else closes it."
        )
    if stake_of(alert).above:
        raise MoveRefused("Open a case: more is at risk than one person may close.")


def limit_of_queue(queue: WorkQueue | None) -> Decimal | None:
    """The limit of a queue as it is now, else the installation's."""
    if queue is not None and queue.approval_limit is not None:
        return queue.approval_limit
    limit: Decimal | None = settings.CASE_APPROVAL_LIMIT
    return limit
