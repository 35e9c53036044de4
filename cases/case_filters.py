"""The case list's filters, order and counts, read from the query string and written back to it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet

from accounts.models import User
from accounts.typed import is_whole
from cases.case_selectors import CaseCount, case_counts, tag_counts
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

    def apply(
        self, rows: QuerySet[Case], *, user: User, now: datetime, hidden: Collection[int] = ()
    ) -> QuerySet[Case]:
        """The cases that match, in the chosen order. Of `hidden` neither the owner nor a tag must
        be told to this user: no filter by one finds it."""
        rows = self.narrow(self.of_status(rows, now), user=user, hidden=hidden)
        return rows.order_by(*SORTS[self.sort][1])

    def of_status(self, rows: QuerySet[Case], now: datetime) -> QuerySet[Case]:
        """The cases of the chosen status."""
        if self.status in (LIVE, LATE):
            rows = rows.filter(status__in=LIVE_CASES)
        elif self.status != ALL:
            rows = rows.filter(status=self.status)
        if self.status == LATE:
            rows = rows.filter(due_at__lt=now)
        return rows

    def narrow(
        self, rows: QuerySet[Case], *, user: User, hidden: Collection[int] = ()
    ) -> QuerySet[Case]:
        """The cases that match but for the status."""
        if hidden and (self.owner or self.tag):
            rows = rows.exclude(pk__in=hidden)
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
        return rows

    @property
    def live(self) -> bool:
        """Whether no case is shown that is done with."""
        return self.status in (LIVE, LATE, *LIVE_CASES)

    def passes(self, count: CaseCount, user: User, *, but: str) -> bool:
        """Whether these cases pass the filters that have a select, but for that of this name."""
        owner = {MINE: str(user.pk), NOBODY: "None"}.get(self.owner, self.owner)
        told = not (count.hidden and (but == "owner" or owner))
        asked = {"owner": owner, "priority": self.priority, "queue": self.queue}
        has = {"owner": count.owner_id, "priority": count.priority, "queue": count.queue_id}
        return told and all(
            not value or name == but or str(has[name]) == value for name, value in asked.items()
        )


def _is_id(text: str) -> bool:
    return is_whole(text)


def tabs(filters: CaseFilters, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Statuses, as links that keep the other filters, with what these leave of each."""
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


def list_selects(
    filters: CaseFilters, *, user: User, now: datetime, hidden: Collection[int]
) -> list[dict[str, Any]]:
    """The selects of the filter bar. Each option tells how many cases of the chosen status it finds
    with the other filters; a tag where no closed ones are shown, which would take too long."""
    shown = filters.of_status(Case.objects.all(), now)
    found = replace(filters, owner="", priority="", queue="").narrow(
        shown, user=user, hidden=hidden
    )
    counts = case_counts(found, hidden)
    by_tag = filters if filters.live else CaseFilters()
    tagged = replace(by_tag, tag="").narrow(
        by_tag.of_status(Case.objects.all(), now), user=user, hidden=hidden
    )
    if hidden:  # Not even that there is such a tag must be told.
        tagged = tagged.exclude(pk__in=hidden)
    return selects(filters, counts, tag_counts(tagged), user)


def selects(
    filters: CaseFilters, counts: Iterable[CaseCount], tags: Iterable[tuple[str, int]], user: User
) -> list[dict[str, Any]]:
    """The selects with these counts."""
    seen = list(counts)

    def total(select: str, name: str, value: int | None) -> int:
        return sum(
            count.count
            for count in seen
            if getattr(count, name) == value and filters.passes(count, user, but=select)
        )

    told = [c for c in seen if not c.hidden]
    people = sorted({(c.owner, c.owner_id) for c in told if c.owner_id not in (None, user.pk)})
    queues = sorted({(c.queue, c.queue_id) for c in seen if c.queue_id is not None})
    options: dict[str, list[tuple[str, str]]] = {
        "owner": [
            (MINE, f"Mine ({total('owner', 'owner_id', user.pk)})"),
            (NOBODY, f"Nobody's ({total('owner', 'owner_id', None)})"),
            *((str(pk), f"{name} ({total('owner', 'owner_id', pk)})") for name, pk in people),
        ],
        "priority": [
            (str(i), f"{PRIORITIES[i]} ({total('priority', 'priority', i)})")
            for i in reversed(range(len(PRIORITIES)))
        ],
        "queue": [(str(pk), f"{name} ({total('queue', 'queue_id', pk)})") for name, pk in queues],
        "tag": [(name, f"{name} ({n})" if filters.live else name) for name, n in tags],
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
