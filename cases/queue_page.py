"""What the queue's page shows: tabs and filters with counts, rows by the budget, what changed."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse

from accounts.models import User
from cases.budget import Purpose, places, spread
from cases.filters import AGES, LOSS, MINE, SNOOZED, UNASSIGNED, QueueFilters
from cases.handing_out import budget_of
from cases.locking import held_by
from cases.models import Alert
from cases.queue_counts import (
    Counts,
    Facet,
    alert_counts,
    count_each,
    count_first,
    first_counts,
    names_of,
    open_alerts,
)
from cases.queue_models import QueueBudget, SavedView
from cases.searching import FEW, Holding
from cases.selectors import alert_queue
from scoring.core.types import RISK_LEVELS

PAGE_SIZE = 50
MOST_PAGES = 100
"""Nobody leafs through more; whoever needs what lies behind narrows the queue."""
MOST_OPTIONS = 40


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Counts of the whole queue, and of what the ungrouped filters leave of it."""

    whole: Counts
    left: Counts


@dataclass(frozen=True, slots=True)
class Total:
    """How many alerts match; at least so many where it is a `floor`."""

    n: int
    floor: bool = False

    def __str__(self) -> str:
        return f"{self.n}+" if self.floor else str(self.n)


def counts_for(
    filters: QueueFilters, user: User, now: datetime, holding: Holding | None
) -> QueueCounts:
    """Two queries; two more where a filter asks for what is not grouped by.

    Where many hold the words that are asked for, the first of the order stand for all: reading the
    words of all would take seconds.
    """
    whole = alert_counts(now)
    if filters.grouped:
        return QueueCounts(whole, whole)
    rows = filters.ungrouped.narrow(open_alerts(), user=user, now=now, holding=holding)
    if holding is None or isinstance(holding, list):
        return QueueCounts(whole, alert_counts(now, rows))
    return QueueCounts(whole, first_counts(now, rows.order_by(*filters.ordering)))


def first_of(filters: QueueFilters, counts: Counts) -> Sequence[int] | None:
    """The ids of all pages in their order, where counting has told them: reading the words of alert
    after alert a second time would take as long again. None where it has not, or has counted more
    than what is asked for."""
    return None if _asks_facet(filters) or filters.owner else counts.first


def total_of(
    filters: QueueFilters, counts: Counts, user: User, now: datetime, holding: Holding | None
) -> Total:
    """How many alerts match. A query where the counts are a floor and others may match besides."""
    if not counts.floor:
        return Total(total(counts, filters, user))
    if not (_asks_facet(filters) or filters.owner):
        return Total(FEW, floor=True)
    return _counted(filters.narrow(open_alerts(), user=user, now=now, holding=holding))


def _counted(rows: QuerySet[Alert]) -> Total:
    n = count_first(rows)
    return Total(min(n, FEW), n > FEW)


def total(counts: Counts, filters: QueueFilters, user: User) -> int:
    """How many alerts match, told from the counts."""
    asleep = filters.view == SNOOZED
    if filters.owner and not _asks_facet(filters):
        key = (owner_asked(filters, user), asleep)
        return counts.by_owner.get(key, 0)
    passing = {pk for pk, facet in counts.facets.items() if not misses(facet, filters)}
    if not filters.owner:
        return sum(counts.by_facet.get((pk, asleep), 0) for pk in passing)
    owner = owner_asked(filters, user)
    return sum(
        n for pk, whose, sleeps, n in counts.groups
        if whose == owner and sleeps == asleep and pk in passing
    )  # fmt: skip


def _asks_facet(filters: QueueFilters) -> bool:
    return bool(filters.detector or filters.level or filters.reason or filters.rule)


def owner_asked(filters: QueueFilters, user: User) -> int | None:
    """The owner that is asked for; None for nobody."""
    if filters.owner == UNASSIGNED:
        return None
    return user.pk if filters.owner == MINE else int(filters.owner)


def misses(facet: Facet, filters: QueueFilters) -> list[str]:
    """Which of the filters alerts of this facet do not pass."""
    missed = []
    if filters.detector and facet.slug != filters.detector:
        missed.append("detector")
    if filters.level and RISK_LEVELS[facet.level] != filters.level:
        missed.append("level")
    if filters.reason and facet.reason != filters.reason:
        missed.append("reason")
    if filters.rule and filters.rule not in facet.rules:
        missed.append("rule")
    return missed


@dataclass(frozen=True, slots=True)
class Tallies:
    """Counts by option, each under the other filters."""

    detector: Counter[tuple[str, str]]
    level: Counter[int]
    reason: Counter[str]
    rule: Counter[str]
    owner: Counter[int | None]


def tallies(counts: Counts, filters: QueueFilters, user: User) -> Tallies:
    """One pass over the groups, one over the facets."""
    asleep = filters.view == SNOOZED
    missed = {pk: misses(facet, filters) for pk, facet in counts.facets.items()}
    found = Tallies(Counter(), Counter(), Counter(), Counter(), Counter())
    of_facet = _owned_by_facet(counts, filters, user, asleep)
    for pk, facet in counts.facets.items():
        n, but = of_facet.get(pk, 0), missed[pk]
        if not n or len(but) > 1:
            continue
        options: dict[str, Sequence[Any]] = {
            "detector": [(facet.slug, facet.name)],
            "level": [facet.level],
            "reason": [facet.reason] if facet.reason else [],
            "rule": facet.rules,
        }
        for name, keys in options.items():
            if but in ([], [name]):
                getattr(found, name).update(dict.fromkeys(keys, n))
    if not _asks_facet(filters):
        found.owner.update({who: n for (who, s), n in counts.by_owner.items() if s == asleep})
        return found
    for pk, owner, sleeps, n in counts.groups:
        if sleeps == asleep and not missed[pk]:
            found.owner[owner] += n
    return found


def _owned_by_facet(
    counts: Counts, filters: QueueFilters, user: User, asleep: bool
) -> Mapping[int, int]:
    """Alerts of each facet that the view and the owner asked for leave."""
    if not filters.owner:
        return {pk: n for (pk, sleeps), n in counts.by_facet.items() if sleeps == asleep}
    owner, found = owner_asked(filters, user), Counter[int]()
    for pk, whose, sleeps, n in counts.groups:
        if sleeps == asleep and whose == owner:
            found[pk] += n
    return found


def tabs(
    filters: QueueFilters,
    counts: Counts,
    views: Sequence[SavedView],
    user: User,
    now: datetime,
) -> list[dict[str, Any]]:
    """The views above the queue, each with its count and address.

    At most one query, and two for each view that asks for words.
    """
    made: list[tuple[str, QueueFilters, SavedView | None]] = [
        ("All", QueueFilters(), None),
        ("Mine", QueueFilters(owner=MINE), None),
        ("Unassigned", QueueFilters(owner=UNASSIGNED), None),
        ("Critical", QueueFilters(level=RISK_LEVELS[-1]), None),
        ("Snoozed", QueueFilters(view=SNOOZED), None),
    ]
    made += [(v.name, QueueFilters.read(QueryDict(v.query).dict()), v) for v in views]
    queue = reverse("queue")
    hard = [asked for _, asked, _ in made if not asked.grouped and not asked.q]
    each = count_each([f.condition(user=user, now=now) for f in hard], open_alerts())
    counted = {asked: Total(n) for asked, n in zip(hard, each, strict=True)} | {
        asked: _counted(asked.narrow(open_alerts(), user=user, now=now))
        for _, asked, _ in made
        if asked.q
    }
    return [
        {
            "label": label,
            "count": n.n,
            "floor": n.floor,
            "url": f"{queue}?{asked.query() or ('sort=' + LOSS)}",
            "here": asked.query(sort=filters.sort) == filters.query(),
            "view": view,
            "shared": view is not None and view.shared,
        }
        for label, asked, view in made
        for n in (counted.get(asked) or Total(total(counts, asked, user)),)
    ]


def selects(filters: QueueFilters, counts: QueueCounts, user: User) -> list[dict[str, Any]]:
    """The selects of the filter bar; each counts what the other filters leave. One query.

    Where counts are a floor, what was not met yet can be chosen all the same.
    """
    found, floor = tallies(counts.left, filters, user), counts.left.floor
    if floor:
        _add_unmet(found, counts.whole)
    options: dict[str, list[tuple[str, str]]] = {
        "detector": [
            (slug, _option(name, n, floor))
            for (slug, name), n in sorted(found.detector.items(), key=lambda d: d[0][1])
        ],
        "level": [
            (RISK_LEVELS[i], _option(RISK_LEVELS[i].capitalize(), found.level[i], floor))
            for i in reversed(range(len(RISK_LEVELS)))
        ],
        "reason": [
            (name, _option(name.replace("_", " "), n, floor))
            for name, n in found.reason.most_common(MOST_OPTIONS)
        ],
        "rule": [
            (code, _option(code, n, floor)) for code, n in found.rule.most_common(MOST_OPTIONS)
        ],
        "owner": _owners(found, user, floor),
        "age": [(value, label) for value, (label, _) in AGES.items()],
    }
    return [
        {
            "name": name,
            "label": name.capitalize(),
            "value": getattr(filters, name),
            "options": _with_chosen(choices, getattr(filters, name)),
        }
        for name, choices in options.items()
    ]


def _owners(found: Tallies, user: User, floor: bool) -> list[tuple[str, str]]:
    """Oneself, nobody, then who else has alerts."""
    owners = dict(found.owner.most_common(MOST_OPTIONS))
    names = names_of([pk for pk in owners if pk is not None and pk != user.pk])
    return [
        (MINE, _option("Mine", found.owner[user.pk], floor)),
        (UNASSIGNED, _option("Unassigned", found.owner[None], floor)),
        *((str(pk), _option(name, owners[pk], floor)) for pk, name in names.items()),
    ]


def _add_unmet(found: Tallies, whole: Counts) -> None:
    """Every option of the whole queue, with nothing counted for those that have no count."""
    for facet in whole.facets.values():
        found.detector[facet.slug, facet.name] += 0
        if facet.reason:
            found.reason[facet.reason] += 0
        for rule in facet.rules:
            found.rule[rule] += 0
    for owner, _ in whole.by_owner:
        found.owner[owner] += 0


def _option(name: str, n: int, floor: bool) -> str:
    if not floor:
        return f"{name} ({n})"
    return f"{name} ({n}+)" if n else name


def _with_chosen(choices: list[tuple[str, str]], value: str) -> list[tuple[str, str]]:
    """What is asked for stays to be seen, also when nothing matches it any more."""
    if value and value not in dict(choices):
        return [*choices, (value, f"{value.replace('_', ' ')} (0)")]
    return choices


def page_of(
    filters: QueueFilters,
    budget: QueueBudget,
    user: User,
    now: datetime,
    *,
    number: Any,
    count: int,
    holding: Holding | None,
    first: Sequence[int] | None = None,
) -> tuple[Page[Alert], dict[int, Purpose]]:
    """One page of alerts, and why those are there that the order alone would not show.

    `first` are the ids of all these pages in their order, where they are known already. In the
    default order the first page holds the budget's shares of uncertain alerts and of those
    drawn for audit, spread among the others; they are left out of the pages behind.
    """
    narrowed = filters.narrow(open_alerts(), user=user, now=now, holding=holding)
    picked = _picked(filters, budget, narrowed)
    paginator = Paginator(narrowed, PAGE_SIZE)
    paginator.count = min(count, MOST_PAGES * PAGE_SIZE)
    page = paginator.get_page(number)
    top = page.number == 1
    begin = 0 if top else (page.number - 1) * PAGE_SIZE - len(picked)
    end = page.number * PAGE_SIZE - len(picked)
    if first is not None:
        pks = [pk for pk in first if pk not in picked][begin:end]
    else:
        ordered = narrowed.exclude(pk__in=list(picked)) if picked else narrowed
        pks = list(ordered.order_by(*filters.ordering).values_list("pk", flat=True)[begin:end])
    shown = spread(pks, list(picked)) if top else pks
    found = alert_queue().in_bulk(shown)
    page.object_list = [found[pk] for pk in shown if pk in found]
    return page, picked


def _picked(filters: QueueFilters, budget: QueueBudget, rows: Any) -> dict[int, Purpose]:
    if filters.sort != LOSS or filters.view == SNOOZED:
        return {}
    shares = budget_of(budget)
    found: dict[int, Purpose] = {}
    if shares.audit:
        drawn = rows.filter(audit=True).order_by("pk").values_list("pk", flat=True)
        found |= dict.fromkeys(drawn[: places(shares.audit, PAGE_SIZE)], Purpose.AUDIT)
    if shares.uncertain:
        near = rows.filter(threshold_gap__isnull=False).order_by("threshold_gap", "pk")
        near = near.exclude(pk__in=list(found)).values_list("pk", flat=True)
        found |= dict.fromkeys(near[: places(shares.uncertain, PAGE_SIZE)], Purpose.UNCERTAIN)
    return found


def state_of(alerts: Sequence[Alert], now: datetime) -> str:
    """A short mark that changes when any of these rows would look different."""
    said = [
        (
            a.pk,
            a.status,
            a.owner_id,
            held_by(a, now),
            bool(a.snoozed_until and a.snoozed_until > now),
        )
        for a in alerts
    ]
    return hashlib.blake2b(repr(said).encode(), digest_size=6).hexdigest()
