"""Faults of bundles, declarations, rules and lists come to people; they need not look every day.

What else the integrity page finds is told otherwise (a failed job, a review that is over), or where
nobody could be told: no task runs without worker and beat. Those show in health and metrics.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.urls import reverse

from models_registry.integrity import check_integrity
from models_registry.integrity_report import FAULT, KINDS, Finding
from notifications.models import Notification
from notifications.services import notify

KIND = "platform.fault"
TOLD = ("bundle", "declaration", "rule", "list")
TOLD_FOR = timedelta(days=1)
"""A fault that lasts is told once in so long."""
MOST_NAMED = 10


def tell_faults(*, now: datetime) -> int:
    """Look at everything and tell of the faults that were not told of late, all in one message;
    how many these are."""
    report = check_integrity(now=now)
    found = {_name(one): one for one in report.findings if one.level == FAULT and one.kind in TOLD}
    if found:
        told = _told_since(now - TOLD_FOR, now)
        found = {name: one for name, one in found.items() if name not in told}
    return len(found) if found and _tell(found, now=now) else 0


def _name(found: Finding) -> str:
    return f"{found.kind}:{found.subject}"


def _told_since(since: datetime, now: datetime) -> set[str]:
    rows = Notification.objects.filter(kind=KIND, created_at__range=(since, now))
    return {name for data in rows.values_list("data", flat=True) for name in data["faults"]}


def _tell(found: Mapping[str, Finding], *, now: datetime) -> bool:
    faults = list(found.values())
    names = sorted(found)
    which = hashlib.blake2b("\n".join(names).encode(), digest_size=8).hexdigest()
    one = faults[0] if len(faults) == 1 else None
    lines = [f"{fault.subject}: {fault.text} {fault.remedy}" for fault in faults[:MOST_NAMED]]
    if len(faults) > MOST_NAMED:
        lines.append(f"And {len(faults) - MOST_NAMED} more.")
    news = notify(
        KIND,
        # Two workers that look at once tell it once.
        key=f"{KIND}:{which}:{now:%Y-%m-%dT%H}",
        subject=f"{KINDS[one.kind]}: a fault of {one.subject}" if one else f"{len(faults)} faults",
        text="\n".join(lines),
        url=(one.url if one else "") or reverse("model_integrity"),
        about=sorted({fault.detector for fault in faults if fault.detector}),
        data={"faults": names},
    )
    return news is not None
