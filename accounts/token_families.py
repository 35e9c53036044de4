"""Which refresh token of a log-in counts: the newest alone, and using an older one ends them all.

A log-in over the API is a family of refresh tokens, each of which gets the next (RFC 9700, 4.14.2).
Its row is made when the first is used. Whoever uses one a second time has a copy, or somebody else
has: nobody can tell which, so the whole log-in ends and the audit trail says so. A client whose
answer was lost asks again at once; it is told the same successor for GRACE, unless that was used.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import TokenFamily, User
from accounts.services import record_audit

GRACE = timedelta(seconds=30)
"""For clients that give up on an answer after as long, and try again."""


@dataclass(frozen=True, slots=True)
class Successor:
    """The refresh token that follows another: its id, and when it was first given out."""

    jti: str
    given_at: datetime


def follow(
    user: User, *, family: str, used: str, successor: str, ends_at: datetime, address: str
) -> Successor | None:
    """What follows the refresh token `used`; None when it counts no more, which ends the family.

    `family` is the id of its log-in's first refresh token, `successor` the id for a new one, and
    `ends_at` when no token of this log-in can be valid any more.
    """
    now = timezone.now()
    of_family = TokenFamily.objects.filter(pk=family)
    TokenFamily.objects.get_or_create(
        pk=family,
        defaults={"user": user, "current": family, "renewed_at": now, "expires_at": ends_at},
    )
    if of_family.filter(current=used, ended_at=None).update(
        current=successor, before=used, renewed_at=now, expires_at=ends_at
    ):
        return Successor(successor, now)
    row = of_family.get()
    if row.ended_at is None and row.before == used and abs(now - row.renewed_at) <= GRACE:
        return Successor(row.current, row.renewed_at)
    _end(row, address=address, now=now)
    return None


@transaction.atomic
def _end(row: TokenFamily, *, address: str, now: datetime) -> None:
    if TokenFamily.objects.filter(pk=row.pk, ended_at=None).update(ended_at=now):
        record_audit(
            actor=None,
            action="user.refresh_token_reused",
            subject=row.user,
            detail={"address": address},
        )


def forget_token_families() -> int:
    """Delete those of which no token is valid any more; how many."""
    forgotten, _ = TokenFamily.objects.filter(expires_at__lt=timezone.now()).delete()
    return forgotten
