"""The case list's filters, order and counts, read from the query string and written back to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet

from accounts.models import User
from accounts.typed import is_whole
from cases.case_selectors import CaseCount
from cases.models import Case
from cases.workflow import LIVE_CASES, PRIORITIES, CaseStatus

LIVE, LATE, ALL = "live", "late", "all"
MINE, NOBODY = "me", "none"
URGENT, DUE, NEWEST = "priority", "due", "newest"
SORTS = {
    URGENT: ("Most urgent first", (F("priority").desc(), F("due_at").asc(nulls_last=True), "pk")),
    DUE: ("Due first", (F("due_at").asc(nulls_last=True), "pk")),
    NEWEST: ("Newest first", (F("opened_at").desc(), F("pk").desc())),
}
LONGEST_SEARCH = 100
DEFAULTS = {"status": LIVE, "sort": URGENT}


@dataclass(frozen=True, slots=True)
class CaseFilters:
    """What the URL asks for; anything unknown in it counts as not asked."""

    status: str = LIVE
    owner: str = ""
    priority: str = ""
    queue: str = ""
    tag: str = ""
    q: str = ""
    sort: str = URGENT

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "CaseFilters":
        """From a query string. NUL goes: PostgreSQL has no text with it."""
        query = {name: value.replace("\0", "") for name, value in query.items()}
        status, owner = query.get("status", LIVE), query.get("owner", "")
        priority, sort = query.get("priority", ""), query.get("sort", URGENT)
        known = {LIVE, LATE, ALL, *CaseStatus}
        return cls(
            status=status if status in known else LIVE,
            owner=owner if owner in (MINE, NOBODY) or _is_id(owner) else "",
            priority=priority if priority.isdecimal() and priority in "0123" else "",
            queue=query.get("queue", "") if _is_id(query.get("queue", "")) else "",
            tag=query.get("tag", "").strip().lower()[:40],
            q=query.get("q", "").strip()[:LONGEST_SEARCH],
            sort=sort if sort in SORTS else URGENT,
        )

    def query(self, **changes: str) -> str:
        """As a query string without a question mark; empty where nothing is asked."""
        state = replace(self, **changes)
        pairs = {name: getattr(state, name) for name in self.__dataclass_fields__}
        return urlencode({k: v for k, v in pairs.items() if v and DEFAULTS.get(k) != v})

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out besides a status."""
        return bool(self.owner or self.priority or self.queue or self.tag or self.q)

    def apply(self, rows: QuerySet[Case], *, user: User, now: datetime) -> QuerySet[Case]:
        """The cases that match, in the chosen order."""
        if self.status in (LIVE, LATE):
            rows = rows.filter(status__in=LIVE_CASES)
        elif self.status != ALL:
            rows = rows.filter(status=self.status)
        if self.status == LATE:
            rows = rows.filter(due_at__lt=now)
        if self.owner:
            owner = {MINE: user.pk, NOBODY: None}
            rows = rows.filter(owner=owner[self.owner] if self.owner in owner else int(self.owner))
        if self.priority:
            rows = rows.filter(priority=int(self.priority))
        if self.queue:
            rows = rows.filter(work_queue=int(self.queue))
        if self.tag:
            rows = rows.filter(tags__name=self.tag)
        if self.q:
            number = int(self.q) if _is_id(self.q) else None
            rows = rows.filter(Q(title__icontains=self.q) | Q(pk=number))
        return rows.order_by(*SORTS[self.sort][1])

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that are shown."""
        if self.status in (LIVE, LATE):
            return LIVE_CASES
        return tuple(CaseStatus) if self.status == ALL else (self.status,)

    def shows(self, count: CaseCount) -> bool:
        """Whether these cases, of `statuses`, are shown."""
        return self.status != LATE or count.late


def _is_id(text: str) -> bool:
    return is_whole(text)


def tabs(filters: CaseFilters, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Statuses with their counts, as links that keep the other filters."""
    names = [(LIVE, "Not closed"), (LATE, "Overdue")]
    names += [(status.value, status.replace("_", " ").capitalize()) for status in CaseStatus]
    live = sum(counts.get(status, 0) for status in LIVE_CASES)
    return [
        {
            "label": label,
            "count": live if value == LIVE else counts.get(value, 0),
            "url": f"?{filters.query(status=value)}",
            "here": value == filters.status,
        }
        for value, label in names
    ]


def selects(
    filters: CaseFilters, counts: Iterable[CaseCount], tags: Iterable[tuple[str, int]], user: User
) -> list[dict[str, Any]]:
    """The selects of the filter bar; counts are of the chosen status."""
    seen = [count for count in counts if filters.shows(count)]

    def total(name: str, value: int | None) -> int:
        return sum(count.count for count in seen if getattr(count, name) == value)

    people = sorted({(c.owner, c.owner_id) for c in seen if c.owner_id not in (None, user.pk)})
    queues = sorted({(c.queue, c.queue_id) for c in seen if c.queue_id is not None})
    options: dict[str, list[tuple[str, str]]] = {
        "owner": [
            (MINE, f"Mine ({total('owner_id', user.pk)})"),
            (NOBODY, f"Nobody's ({total('owner_id', None)})"),
            *((str(pk), f"{name} ({total('owner_id', pk)})") for name, pk in people),
        ],
        "priority": [
            (str(i), f"{PRIORITIES[i]} ({total('priority', i)})")
            for i in reversed(range(len(PRIORITIES)))
        ],
        "queue": [(str(pk), f"{name} ({total('queue_id', pk)})") for name, pk in queues],
        "tag": [(name, f"{name} ({n})") for name, n in tags],
    }
    labels = {"queue": "Team queue"}
    return [
        {
            "name": name,
            "label": labels.get(name, name.capitalize()),
            "value": getattr(filters, name),
            "options": choices,
        }
        for name, choices in options.items()
    ]
