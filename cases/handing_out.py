"""Next: the best alert that nobody has in hands, given to one analyst, locked, and written down.

On PostgreSQL the row is taken with FOR UPDATE SKIP LOCKED, so analysts who press Next at the same
moment get neighbours in the order instead of waiting for one another. SQLite has one writer at a
time, and the update is conditional in any case.
"""

from datetime import datetime, timedelta
from random import Random, SystemRandom
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.budget import Budget, Purpose
from cases.filters import LOSS, QueueFilters
from cases.locking import in_nobodys_hands, keep_few_locks, lock_length, release_lock
from cases.models import Alert
from cases.queue_models import HandOut, QueueBudget
from cases.workflow import AlertStatus

ATTEMPTS = 5
CHANCE: Random = SystemRandom()


def budget_row(user: User) -> QueueBudget:
    """The user's split, else the one that holds for everybody (not saved where there is none)."""
    rows = QueueBudget.objects.filter(Q(user=user) | Q(user=None)).order_by("user_id")
    found = {row.user_id: row for row in rows}
    return found.get(user.pk) or found.get(None) or QueueBudget()


def budget_of(row: QueueBudget) -> Budget:
    """As shares."""
    return Budget(uncertain=row.uncertain / 100.0, audit=row.audit / 100.0)


@transaction.atomic
def set_budget(
    user: User | None, *, uncertain: int, audit: int, actor: User | None = None
) -> QueueBudget:
    """Keep a split for a user; for everybody without one where `user` is None, whose change is
    audited: it decides which events get labels."""
    held = QueueBudget.objects.select_for_update().filter(user=user).first()
    former = held or QueueBudget()
    row, _ = QueueBudget.objects.update_or_create(
        user=user, defaults={"uncertain": uncertain, "audit": audit}
    )
    names = ("uncertain", "audit")
    detail = {
        "before": {name: getattr(former, name) for name in names},
        "after": {name: getattr(row, name) for name in names},
    }
    if user is None and detail["before"] != detail["after"]:
        record_audit(actor=actor, action="queue.split_changed", subject=row, detail=detail)
    return row


def hand_out_next(
    user: User, filters: QueueFilters, *, leaving: int | None = None, rng: Random = CHANCE
) -> HandOut | None:
    """Lock the next alert for the user and write down why it was that one; None when none is left.

    `leaving` is the alert whose page Next was pressed on: it is given up, and passed over for
    ALERT_SKIP_MINUTES like whatever this user was handed out lately. From the queue itself
    (`leaving` None) what was passed over comes back, once nothing else is left.
    """
    now = timezone.now()
    if leaving is not None:
        release_lock(leaving, user)
    waiting = _waiting(user, filters, now)
    passed = _passed_over(user, now)
    fresh = waiting.exclude(pk__in=[*passed, *([leaving] if leaving is not None else [])])
    given = _hand_out(user, fresh, filters, rng, now)
    if given is None and leaving is None and passed:
        given = _hand_out(user, waiting, filters, rng, now)
    if given is not None:
        keep_few_locks(user)
    return given


def passed_over(user: User, filters: QueueFilters) -> int:
    """How many alerts that still wait this user was handed out lately and left."""
    now = timezone.now()
    return _waiting(user, filters, now).filter(pk__in=_passed_over(user, now)).count()


def _waiting(user: User, filters: QueueFilters, now: datetime) -> QuerySet[Alert]:
    """What the filters let through that nobody else owns and nobody has in hands."""
    mine = Q(owner=user) | Q(owner=None)
    rows = Alert.objects.filter(mine, in_nobodys_hands(now), status=AlertStatus.OPEN)
    return filters.narrow(rows, user=user, now=now)


def _passed_over(user: User, now: datetime) -> list[int]:
    since = now - timedelta(minutes=settings.ALERT_SKIP_MINUTES)
    rows = HandOut.objects.filter(user=user, at__gte=since)
    return list(rows.values_list("alert_id", flat=True).distinct())


def _hand_out(
    user: User, rows: QuerySet[Alert], filters: QueueFilters, rng: Random, now: datetime
) -> HandOut | None:
    """By the budget; a purpose that has nothing leaves its turn to the order."""
    budget = budget_of(budget_row(user))
    purpose = budget.draw(rng)
    share = budget.share(purpose)
    if purpose is Purpose.AUDIT:
        given = _draw(user, rows, share, rng, now)
    elif purpose is Purpose.UNCERTAIN:
        near = rows.filter(threshold_gap__isnull=False).order_by("threshold_gap", "pk")
        given = _take_first(user, near, HandOut.Reason.UNCERTAIN, share, now)
    else:
        given = None
    if given is not None:
        return given
    reason = HandOut.Reason.EXPLOIT if filters.sort == LOSS else HandOut.Reason.ORDER
    share = budget.share(Purpose.EXPLOIT)
    return _take_first(user, rows.order_by(*filters.ordering), reason, share, now)


def _draw(
    user: User, rows: QuerySet[Alert], share: float, rng: Random, now: datetime
) -> HandOut | None:
    """One of those that were drawn for audit, each as likely; where there are none, one of all."""
    for pool in (rows.filter(audit=True), rows):
        for _ in range(ATTEMPTS):
            among = pool.count()
            if not among:
                break
            at = rng.randrange(among)
            drawn = list(pool.order_by("pk").values_list("pk", flat=True)[at : at + 1])
            one = rows.filter(pk__in=drawn).order_by("pk")
            reason = HandOut.Reason.RANDOM_AUDIT
            given = _take_first(user, one, reason, share, now, propensity=share / among)
            if given is not None:
                return given
    return None


def _take_first(
    user: User, rows: QuerySet[Alert], reason: str, share: float, now: datetime, **known: Any
) -> HandOut | None:
    """Lock the first of these rows that no other transaction is about to lock."""
    for _ in range(ATTEMPTS):
        with transaction.atomic():
            first = rows.select_for_update(skip_locked=True, of=("self",))
            pk = first.values_list("pk", flat=True).first()
            if pk is None:
                return None
            free = Alert.objects.filter(in_nobodys_hands(now), pk=pk, status=AlertStatus.OPEN)
            taken = free.update(locked_by=user, locked_until=now + lock_length())
            if taken:
                return HandOut.objects.create(
                    user=user, alert_id=pk, reason=reason, share=share, at=now, **known
                )
    return None
