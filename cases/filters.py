"""The queue's filters and order, read from the query string and written back to it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import DecimalField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Coalesce

from accounts.models import User
from accounts.typed import is_whole
from cases.locking import awake
from cases.models import Alert
from cases.queue_models import AlertFacet
from cases.searching import Holding, holding, tokens_of
from scoring.core.types import RISK_LEVELS

MINE, UNASSIGNED = "me", "none"
LOSS, AGE, SCORE, AMOUNT, DUE = "loss", "age", "score", "amount", "sla"
SNOOZED = "snoozed"
IN_COMMON = ExpressionWrapper(
    F("exposure") * Coalesce(F("rate"), Decimal(1)), DecimalField(max_digits=33, decimal_places=11)
)
"""The amount at risk in the common currency; without a rate as it stands."""
SORTS: Final[dict[str, tuple[str, str, tuple[Any, ...]]]] = {
    LOSS: (
        "expected loss a minute",
        "Most saved by a minute of work first",
        (F("loss_per_minute").desc(), F("pk").desc()),
    ),
    DUE: ("due time", "Soonest due first", (F("due_at").asc(nulls_last=True), F("pk").asc())),
    AGE: ("age", "Oldest first", (F("opened_at").asc(), F("pk").asc())),
    SCORE: (
        "probability",
        "Highest probability first",
        (F("risk").desc(nulls_last=True), F("pk").desc()),
    ),
    AMOUNT: (
        "amount",
        "Largest amount first",
        (IN_COMMON.desc(nulls_last=True), F("pk").desc()),
    ),
}
"""Name in the URL: (its word in the menu, what the header says, the order)."""
AGES: Final = {
    "1h": ("Older than 1 hour", timedelta(hours=1)),
    "8h": ("Older than 8 hours", timedelta(hours=8)),
    "1d": ("Older than 1 day", timedelta(days=1)),
    "3d": ("Older than 3 days", timedelta(days=3)),
    "7d": ("Older than 7 days", timedelta(days=7)),
}
LONGEST = 100
LARGEST = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class QueueFilters:
    """What the URL asks for; anything unknown in it counts as not asked.

    `low` and `high` bound the amount at risk; `entity` is its whole name or its token; `view` is
    `snoozed` for what sleeps, empty for what waits.
    """

    view: str = ""
    detector: str = ""
    level: str = ""
    reason: str = ""
    rule: str = ""
    owner: str = ""
    age: str = ""
    entity: str = ""
    low: str = ""
    high: str = ""
    q: str = ""
    sort: str = LOSS

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "QueueFilters":
        """From a query string. NUL goes: PostgreSQL has no text with it."""
        given = {
            field.name: query.get(field.name, "").replace("\0", "").strip()[:LONGEST]
            for field in fields(cls)
        }
        level, owner = given["level"].upper(), given["owner"]
        known_owner = owner in (MINE, UNASSIGNED) or is_whole(owner, 9)
        return cls(
            **given
            | {
                "view": SNOOZED if given["view"] == SNOOZED else "",
                "level": level if level in RISK_LEVELS else "",
                "owner": owner if known_owner else "",
                "age": given["age"] if given["age"] in AGES else "",
                "low": given["low"] if _amount(given["low"]) is not None else "",
                "high": given["high"] if _amount(given["high"]) is not None else "",
                "sort": given["sort"] if given["sort"] in SORTS else LOSS,
            }
        )

    def query(self, **changes: str) -> str:
        """As a query string without a question mark; empty where nothing is asked."""
        state = replace(self, **changes)
        pairs = {field.name: getattr(state, field.name) for field in fields(state)}
        return urlencode({k: v for k, v in pairs.items() if v and (k, v) != ("sort", LOSS)})

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out."""
        return self != QueueFilters(view=self.view, sort=self.sort)

    @property
    def grouped(self) -> bool:
        """Whether the grouped counts alone tell how many match."""
        return not (self.age or self.entity or self.low or self.high or self.q)

    @property
    def order(self) -> str:
        """The order in words."""
        return SORTS[self.sort][1]

    @property
    def ordering(self) -> tuple[Any, ...]:
        """The order for the database."""
        return SORTS[self.sort][2]

    def narrow(
        self,
        rows: QuerySet[Alert],
        *,
        user: User,
        now: datetime,
        holding: Holding | None = None,
    ) -> QuerySet[Alert]:
        """The alerts that match, in no order; whoever waits, or sleeps where that is the view."""
        return rows.filter(self.condition(user=user, now=now, holding=holding))

    def holding(self) -> Holding | None:
        """The alerts that hold the words asked for, None where none are. One query."""
        return holding(self.q, tokens_of(self.q)) if self.q else None

    def condition(self, *, user: User, now: datetime, holding: Holding | None = None) -> Q:
        """All of it as one condition. `holding`: what `holding()` gave, where it was asked."""
        asleep = Q(snoozed_until__gt=now)
        found = asleep if self.view == SNOOZED else awake(now)
        if self.detector or self.reason or self.rule:
            found &= Q(facet__in=self._facets())
        if self.level:
            found &= Q(level=RISK_LEVELS.index(self.level))
        if self.owner:
            owners = {MINE: user.pk, UNASSIGNED: None}
            found &= Q(owner=owners.get(self.owner, self.owner))
        return found & self._ungrouped(now, self.holding() if holding is None else holding)

    def _facets(self) -> Any:
        facets = AlertFacet.objects.order_by()
        if self.detector:
            facets = facets.filter(detector__slug=self.detector)
        if self.reason:
            facets = facets.filter(reason=self.reason)
        if self.rule:
            facets = facets.filter(rules__contains=f" {self.rule} ")
        return facets.values("pk")

    def _ungrouped(self, now: datetime, holding: Holding | None) -> Q:
        """What the grouped counts know nothing of."""
        found = Q()
        if self.age:
            found &= Q(opened_at__lte=now - AGES[self.age][1])
        if self.low:
            found &= Q(exposure__gte=_amount(self.low))
        if self.high:
            found &= Q(exposure__lte=_amount(self.high))
        if self.entity:
            found &= Q(entity__in=[*tokens_of(self.entity), self.entity])
        if holding is not None:
            found &= Q(pk__in=holding)
        return found

    @property
    def ungrouped(self) -> "QueueFilters":
        """Only that part of the filters."""
        return replace(self, detector="", level="", reason="", rule="", owner="")


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount) < LARGEST else None
