"""Locking out who guesses passwords, for a quarter of an hour: a user name at an address, and an
address from which many names were tried.

Of IPv6 a whole /64 is one address: whoever has one of it has all, and would have as many tries. One
that wraps an address of IPv4 is that one.
"""

import math
from collections.abc import Collection
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from accounts import vault
from accounts.addresses import inner
from accounts.models import FailedLogin
from accounts.selectors import ids_named
from accounts.usernames import folded

MAX_FAILURES = 5
MOST_FROM_AN_ADDRESS = 50
"""Failures under all names together: some colleagues behind one address may mistype too."""
LOCK_TIME = timedelta(minutes=15)
MOST_TOLD = 5
_FORGET_AFTER = timedelta(days=1)
_CLOCKS = timedelta(minutes=1)
"""So far two hosts' clocks may differ. What failed later than that from now on is of before a clock
was set back, and counts no more: it would lock out until the clock has come there again."""


def client_address(request: HttpRequest | None) -> str:
    """Where the request came from; behind our own proxy, the address that the proxy saw."""
    if request is None:
        return ""
    if settings.SECURE_PROXY:
        # The last entry is our proxy's; those before it are whatever the client wrote.
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")[-1].strip()
        if forwarded:
            return _without_port(forwarded)[:45]
    return str(request.META.get("REMOTE_ADDR", ""))[:45]


def _without_port(host: str) -> str:
    """Some proxies tell the port too, which is another one with each connection."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    address, _, port = host.partition(":")
    return address if port.isdigit() else host


def locked_for(username: str, address: str, *, now: datetime | None = None) -> timedelta | None:
    """How long `username` stays locked out at `address`; None when it is not."""
    now = now or timezone.now()
    recent = _recent(now).filter(address=_place(address))
    return _left([*_failed(recent, username), *_reached(recent)], now)


def name_locked_for(username: str, address: str) -> timedelta | None:
    """As `locked_for`, whatever failed under other names: for who has logged in already."""
    now = timezone.now()
    return _left(_failed(_recent(now).filter(address=_place(address)), username), now)


def closed_addresses(*, now: datetime | None = None) -> list[tuple[str, datetime]]:
    """Addresses from which nobody logs in now, and until when; those with most failures. One query,
    and one for each of them."""
    recent = _recent(now or timezone.now())
    sums = recent.order_by().values("address").annotate(failed=Sum("failures"))
    many = sums.filter(failed__gte=MOST_FROM_AN_ADDRESS).order_by("-failed", "address")
    found: list[tuple[str, datetime]] = []
    for row in many[:MOST_TOLD]:
        ends = _reached(recent.filter(address=row["address"]))
        found += [(row["address"], end + LOCK_TIME) for end in ends]  # None if one logged in since.
    return found


def _recent(now: datetime) -> QuerySet[FailedLogin]:
    return FailedLogin.objects.filter(
        last_failed_at__gt=now - LOCK_TIME, last_failed_at__lte=now + _CLOCKS
    )


def _failed(recent: QuerySet[FailedLogin], username: str) -> list[datetime]:
    times = recent.filter(username=_same(username), failures__gte=MAX_FAILURES)
    return list(times.values_list("last_failed_at", flat=True))


def _left(ends: list[datetime], now: datetime) -> timedelta | None:
    return max(ends) + LOCK_TIME - now if ends else None


def _reached(recent: QuerySet[FailedLogin]) -> list[datetime]:
    """The time whose end makes the failures of an address few enough again; none if they are."""
    failures = 0
    rows = recent.order_by("-last_failed_at").values_list("failures", "last_failed_at")
    for more, at in rows[:MOST_FROM_AN_ADDRESS]:
        failures += more
        if failures >= MOST_FROM_AN_ADDRESS:
            return [at]
    return []


def locked_names(usernames: Collection[str], *, now: datetime | None = None) -> set[str]:
    """Those of the names that are locked out from some address, folded. One query."""
    rows = _recent(now or timezone.now()).filter(
        username__in={folded(name) for name in usernames}, failures__gte=MAX_FAILURES
    )
    return set(rows.values_list("username", flat=True))


def lock_message(left: timedelta) -> str:
    """What to tell who is locked out."""
    minutes = math.ceil(left.total_seconds() / 60)
    unit = "minute" if minutes == 1 else "minutes"
    return f"Too many failed attempts. Try again in {minutes} {unit}."


@transaction.atomic
def note_failed_login(username: str, address: str, *, now: datetime | None = None) -> int:
    """Count one failure; failures older than the lock time are forgotten. Returns the count."""
    now = now or timezone.now()
    row, _ = FailedLogin.objects.select_for_update().get_or_create(
        username=_same(username), address=_place(address), defaults={"last_failed_at": now}
    )
    if not now - LOCK_TIME <= row.last_failed_at <= now + _CLOCKS:
        row.failures = 0
    row.failures += 1
    row.last_failed_at = now
    row.save(update_fields=["failures", "last_failed_at"])
    return row.failures


def clear_failed_logins(username: str, address: str) -> None:
    """Forget the failures of who has logged in."""
    FailedLogin.objects.filter(username=_same(username), address=_place(address)).delete()


def forget_failed_logins() -> int:
    """Delete the failures of more than a day ago, or still to come; whoever's; how many rows."""
    now = timezone.now()
    old = Q(last_failed_at__lt=now - _FORGET_AFTER) | Q(last_failed_at__gt=now + _CLOCKS)
    forgotten, _ = FailedLogin.objects.filter(old).delete()
    return forgotten


def _same(username: str) -> str:
    """The name, or a keyed token of one that does not exist: people type passwords here."""
    name = folded(username)
    return name if ids_named(name) else vault.token("failed_login", name)


def _place(address: str) -> str:
    """The address as failures are counted; what is none is its own place."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        inside = inner(found)
        return str(IPv6Network((found, 64), strict=False) if inside == found else inside)
    return str(found)
