"""What there is to say of people here: their team queues, and what is theirs to do.

`accounts` is below and imports nothing of this; its pages read it by way of accounts/facts.py.
"""

from collections import defaultdict
from collections.abc import Collection
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone

from accounts.facts import TEAMS, WORK, Fact, read_facts
from cases.locking import awake
from cases.models import Alert, Case
from cases.work_queue_models import QueueMember
from cases.workflow import LIVE_CASES, AlertStatus


def teams_of(user_ids: Collection[int]) -> dict[int, list[Fact]]:
    """User id -> the team queues that they work on. One query."""
    rows = QueueMember.objects.filter(user__in=user_ids).select_related("queue")
    found: dict[int, list[Fact]] = defaultdict(list)
    for member in rows.order_by("queue__position", "queue__name"):
        found[member.user_id].append(Fact(member.queue.name, member.queue.get_absolute_url()))
    return found


def work_of(user_ids: Collection[int]) -> dict[int, list[Fact]]:
    """User id -> how many open alerts and live cases are theirs, with the list. Two queries."""
    up, found = awake(timezone.now()), defaultdict[int, list[Fact]](list)
    alerts = Alert.objects.filter(owner__in=user_ids, status=AlertStatus.OPEN).order_by()
    for pk, now, later in alerts.values_list("owner").annotate(
        now=Count("pk", filter=up), later=Count("pk", filter=~Q(up))
    ):
        queue = f"{reverse('queue')}?{urlencode({'owner': pk})}"
        if now:
            found[pk].append(Fact(_count(now, "open alert"), queue))
        if later:
            found[pk].append(Fact(_count(later, "snoozed alert"), f"{queue}&view=snoozed"))
    cases = Case.objects.filter(owner__in=user_ids, status__in=LIVE_CASES).order_by()
    for pk, n in cases.values_list("owner").annotate(n=Count("pk")):
        found[pk].append(Fact(_count(n, "case"), f"{reverse('case_list')}?owner={pk}"))
    return found


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def connect() -> None:
    """Say it to the pages of people (call it in AppConfig.ready)."""
    read_facts(TEAMS, teams_of)
    read_facts(WORK, work_of)
