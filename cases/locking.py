"""One alert, one pair of hands: locks that expire by themselves, and what they keep others from.

A lock is two columns of the alert's row. It is taken by one conditional update, so two can never
hold it; it needs nobody to clear it, because a time that has passed is no lock.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.models import Alert
from cases.workflow import AlertStatus, MoveRefused

IN_HANDS = ("locked_by", "locked_until", "snoozed_until", "snoozed_by")
"""Columns that only an open alert fills."""


class Locked(MoveRefused):
    """Somebody else has the alert in hands; `short` says who in a list of refusals."""

    def __init__(self, name: str) -> None:
        super().__init__(f"This alert is locked by {name}. A lead may take it over.")
        self.short = f"locked by {name}"


def lock_length() -> timedelta:
    """How long a lock lasts without being renewed."""
    return timedelta(minutes=settings.ALERT_LOCK_MINUTES)


def free_for(user: User, now: datetime) -> Q:
    """Alerts that nobody else has locked."""
    return Q(locked_until=None) | Q(locked_until__lte=now) | Q(locked_by=None) | Q(locked_by=user)


def in_nobodys_hands(now: datetime) -> Q:
    """Alerts that nobody has locked."""
    return Q(locked_until=None) | Q(locked_until__lte=now) | Q(locked_by=None)


def awake(now: datetime) -> Q:
    """Alerts that nobody has put aside until later."""
    return Q(snoozed_until=None) | Q(snoozed_until__lte=now)


def locked_by_other(alert: Alert, user: User, now: datetime | None = None) -> bool:
    """Whether somebody else has this alert in hands."""
    return (
        alert.locked_until is not None
        and alert.locked_until > (now or timezone.now())
        and alert.locked_by_id not in (None, user.pk)
    )


def check_lock(alert: Alert, user: User) -> None:
    """Raises Locked when somebody else has the alert in hands."""
    if locked_by_other(alert, user):
        raise Locked(alert.locked_by.name if alert.locked_by else "somebody else")


def take_lock(alert: Alert, user: User) -> bool:
    """Lock or renew for this user; False when somebody else has it, or it is not open."""
    now = timezone.now()
    until = now + lock_length()
    rows = Alert.objects.filter(free_for(user, now), pk=alert.pk, status=AlertStatus.OPEN)
    if not rows.update(locked_by=user, locked_until=until):
        return False
    alert.locked_by, alert.locked_until = user, until
    return True


def release_lock(alert_id: int, user: User, *, until: datetime | None = None) -> bool:
    """Give up the user's own lock; only if it still ends at `until`, where that is given.

    A page that was left tells late, when the next one may have renewed the lock already.
    """
    rows = Alert.objects.filter(pk=alert_id, locked_by=user)
    if until is not None:
        rows = rows.filter(locked_until=until)
    return bool(rows.update(locked_by=None, locked_until=None))


def keep_few_locks(user: User) -> None:
    """Nobody hoards: of more than ALERT_LOCKS_PER_USER locks the oldest are given up."""
    held = Alert.objects.filter(locked_by=user).order_by("-locked_until").values_list("pk")
    spare = [pk for (pk,) in held[settings.ALERT_LOCKS_PER_USER :]]
    if spare:
        Alert.objects.filter(pk__in=spare, locked_by=user).update(locked_by=None, locked_until=None)


def take_over(alert: Alert, user: User) -> None:
    """Take an alert out of somebody's hands. Raises MoveRefused without the permission."""
    if not user.has_perm("cases.assign_alert"):
        raise MoveRefused("Only a lead may take over an alert that somebody else works on.")
    holder = alert.locked_by
    until = timezone.now() + lock_length()
    rows = Alert.objects.filter(pk=alert.pk, status=AlertStatus.OPEN)
    if not rows.update(locked_by=user, locked_until=until):
        raise MoveRefused("This alert is not open any more.")
    alert.locked_by, alert.locked_until = user, until
    record_audit(
        actor=user,
        action="alert.taken_over",
        subject=alert,
        detail={"from": holder.get_username() if holder else None},
    )
