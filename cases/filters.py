"""The queue's filters, sort and counts, read from the query string and written back to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet
from django.db.models.fields import TextField
from django.db.models.functions import Cast

from accounts import vault
from accounts.models import User
from cases.models import Alert
from cases.selectors import AlertCount
from scoring.core.types import RISK_LEVELS

MINE, UNASSIGNED = "me", "none"
LOSS, AGE, SCORE, AMOUNT = "loss", "age", "score", "amount"
SORTS = {
    LOSS: ("Highest expected loss first", (F("expected_loss").desc(), F("pk").desc())),
    AGE: ("Oldest first", (F("opened_at").asc(), F("pk").asc())),
    SCORE: (
        "Highest probability first",
        (F("risk").desc(nulls_last=True), F("level").desc(), F("pk").desc()),
    ),
    AMOUNT: ("Largest amount first", (F("exposure").desc(nulls_last=True), F("pk").desc())),
}
LONGEST_SEARCH = 100


@dataclass(frozen=True, slots=True)
class QueueFilters:
    """What the URL asks for; anything unknown in it counts as not asked."""

    detector: str = ""
    level: str = ""
    owner: str = ""
    q: str = ""
    sort: str = LOSS

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "QueueFilters":
        """From a query string. NUL goes: PostgreSQL has no text with it."""
        query = {name: value.replace("\0", "") for name, value in query.items()}
        level = query.get("level", "").upper()
        owner, sort = query.get("owner", ""), query.get("sort", LOSS)
        return cls(
            detector=query.get("detector", ""),
            level=level if level in RISK_LEVELS else "",
            owner=owner if owner in (MINE, UNASSIGNED) else "",
            q=query.get("q", "").strip()[:LONGEST_SEARCH],
            sort=sort if sort in SORTS else LOSS,
        )

    def query(self, **changes: str) -> str:
        """As a query string without a question mark; empty where nothing is asked."""
        state = replace(self, **changes)
        pairs = {name: getattr(state, name) for name in self.__dataclass_fields__}
        return urlencode({k: v for k, v in pairs.items() if v and (k, v) != ("sort", LOSS)})

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out."""
        return bool(self.detector or self.level or self.owner or self.q)

    @property
    def order(self) -> str:
        """The order in words."""
        return SORTS[self.sort][0]

    def apply(self, rows: QuerySet[Alert], *, user: User, entity_fields: Iterable[str]) -> Any:
        """The alerts that match, in the chosen order. `entity_fields`: what a token may hide."""
        if self.detector:
            rows = rows.filter(detector__slug=self.detector)
        if self.level:
            rows = rows.filter(level=RISK_LEVELS.index(self.level))
        if self.owner:
            rows = rows.filter(owner=user if self.owner == MINE else None)
        if self.q:
            rows = _search(rows, self.q, entity_fields)
        return rows.order_by(*SORTS[self.sort][1])


def _search(rows: QuerySet[Alert], text: str, entity_fields: Iterable[str]) -> QuerySet[Alert]:
    """Alerts whose reasons, rules or event say `text`, or whose entity is exactly that.

    Personal data is stored encrypted, so an entity that is personal is found by its whole name.
    """
    tokens = [vault.token(field, text) for field in entity_fields]
    texts = {
        "reasons_text": Cast("top_prediction__reasons", TextField()),
        "rules_text": Cast("top_prediction__rule_hits", TextField()),
        "event_text": Cast("top_prediction__event", TextField()),
    }
    said = Q(entity__in=tokens) | Q(top_prediction__external_id__icontains=text)
    for name in texts:
        said |= Q(**{f"{name}__icontains": text})
    return rows.annotate(**texts).filter(said)


def tabs(filters: QueueFilters, counts: list[AlertCount], user: User) -> list[dict[str, Any]]:
    """The views above the queue, each with its count and address."""
    mine = sum(c.count for c in counts if c.owner_id == user.pk)
    free = sum(c.count for c in counts if c.owner_id is None)
    top = sum(c.count for c in counts if c.level == len(RISK_LEVELS) - 1)
    made = (
        ("All", sum(c.count for c in counts), {"owner": "", "level": ""}),
        ("Mine", mine, {"owner": MINE, "level": ""}),
        ("Unassigned", free, {"owner": UNASSIGNED, "level": ""}),
        ("Critical", top, {"owner": "", "level": RISK_LEVELS[-1]}),
    )
    return [
        {
            "label": label,
            "count": count,
            "url": f"?{filters.query(detector='', q='', **changes)}",
            "here": filters.owner == changes["owner"]
            and filters.level == changes["level"]
            and not (filters.detector or filters.q),
        }
        for label, count, changes in made
    ]


def selects(filters: QueueFilters, counts: list[AlertCount], user: User) -> list[dict[str, Any]]:
    """The selects of the filter bar, their options with counts."""
    by_detector: dict[tuple[str, str], int] = {}
    by_level = dict.fromkeys(range(len(RISK_LEVELS)), 0)
    for c in counts:
        key = (c.slug, c.name)
        by_detector[key] = by_detector.get(key, 0) + c.count
        by_level[c.level] += c.count
    mine = sum(c.count for c in counts if c.owner_id == user.pk)
    free = sum(c.count for c in counts if c.owner_id is None)
    detectors = sorted(by_detector.items(), key=lambda item: item[0][1])
    options = {
        "detector": [(slug, f"{name} ({n})") for (slug, name), n in detectors],
        "level": [
            (RISK_LEVELS[i], f"{RISK_LEVELS[i].capitalize()} ({by_level[i]})")
            for i in reversed(range(len(RISK_LEVELS)))
        ],
        "owner": [(MINE, f"Mine ({mine})"), (UNASSIGNED, f"Unassigned ({free})")],
    }
    return [
        {
            "name": name,
            "label": name.capitalize(),
            "value": getattr(filters, name),
            "options": choices,
        }
        for name, choices in options.items()
    ]
