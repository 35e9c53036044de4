"""What the queue's page shows: tabs and filters with counts, rows by the budget, what changed."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import QueryDict

from accounts.models import User
from cases.budget import Purpose, places, spread
from cases.filters import AGES, LOSS, MINE, SNOOZED, UNASSIGNED, QueueFilters
from cases.handing_out import budget_of
from cases.models import Alert
from cases.queue_counts import AlertCount, alert_counts, count_each, names_of, open_alerts
from cases.queue_models import QueueBudget, SavedView
from cases.selectors import alert_queue
from scoring.core.types import RISK_LEVELS

PAGE_SIZE = 50
MOST_PAGES = 100
"""Nobody leafs through more; whoever needs what lies behind narrows the queue."""
MOST_OPTIONS = 40


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of the whole queue, and of what the ungrouped filters leave of it."""

    whole: list[AlertCount]
    left: list[AlertCount]


def counts_for(filters: QueueFilters, user: User, now: datetime) -> Counts:
    """Two queries; two more where a filter asks for what is not grouped by."""
    whole = alert_counts(now)
    if filters.grouped:
        return Counts(whole, whole)
    rows = filters.ungrouped.narrow(open_alerts(), user=user, now=now)
    return Counts(whole, alert_counts(now, rows))


def total(counts: Sequence[AlertCount], filters: QueueFilters, user: User) -> int:
    """How many alerts match, told from the counts."""
    return sum(c.count for c in counts if matches(c, filters, user))


def matches(c: AlertCount, filters: QueueFilters, user: User, but: str = "") -> bool:
    """Whether alerts counted there pass the grouped filters, the one named `but` aside."""
    asked: dict[str, Callable[[str], bool]] = {
        "detector": lambda value: c.slug == value,
        "level": lambda value: RISK_LEVELS[c.level] == value,
        "reason": lambda value: c.reason == value,
        "rule": lambda value: value in c.rules,
        "owner": lambda value: _owned(c.owner_id, value, user),
    }
    return c.snoozed == (filters.view == SNOOZED) and all(
        name == but or not (value := getattr(filters, name)) or test(value)
        for name, test in asked.items()
    )


def _owned(owner_id: int | None, value: str, user: User) -> bool:
    if value == UNASSIGNED:
        return owner_id is None
    return owner_id == (user.pk if value == MINE else int(value))


def tabs(
    filters: QueueFilters,
    counts: Sequence[AlertCount],
    views: Sequence[SavedView],
    user: User,
    now: datetime,
) -> list[dict[str, Any]]:
    """The views above the queue, each with its count and address. At most one query."""
    made: list[tuple[str, QueueFilters, SavedView | None]] = [
        ("All", QueueFilters(), None),
        ("Mine", QueueFilters(owner=MINE), None),
        ("Unassigned", QueueFilters(owner=UNASSIGNED), None),
        ("Critical", QueueFilters(level=RISK_LEVELS[-1]), None),
        ("Snoozed", QueueFilters(view=SNOOZED), None),
    ]
    made += [(v.name, QueueFilters.read(QueryDict(v.query).dict()), v) for v in views]
    hard = [asked for _, asked, _ in made if not asked.grouped]
    counted = dict(
        zip(
            hard,
            count_each([f.condition(user=user, now=now) for f in hard], open_alerts()),
            strict=True,
        )
    )
    return [
        {
            "label": label,
            "count": counted[asked] if asked in counted else total(counts, asked, user),
            "url": f"?{asked.query() or ('sort=' + LOSS)}",
            "here": asked.query(sort=filters.sort) == filters.query(),
            "view": view,
            "shared": view is not None and view.shared,
        }
        for label, asked, view in made
    ]


def selects(
    filters: QueueFilters, counts: Sequence[AlertCount], user: User
) -> list[dict[str, Any]]:
    """The selects of the filter bar; each counts what the other filters leave. One query."""

    def tally(but: str, key: Callable[[AlertCount], Sequence[Any]]) -> list[tuple[Any, int]]:
        found: Counter[Any] = Counter()
        for c in counts:
            if matches(c, filters, user, but):
                found.update(dict.fromkeys(key(c), c.count))
        return found.most_common(MOST_OPTIONS)

    detectors = tally("detector", lambda c: [(c.slug, c.name)])
    levels = dict(tally("level", lambda c: [c.level]))
    owners = dict(tally("owner", lambda c: [c.owner_id]))
    names = names_of([pk for pk in owners if pk is not None and pk != user.pk])
    options: dict[str, list[tuple[str, str]]] = {
        "detector": [
            (slug, f"{name} ({n})") for (slug, name), n in sorted(detectors, key=lambda d: d[0][1])
        ],
        "level": [
            (RISK_LEVELS[i], f"{RISK_LEVELS[i].capitalize()} ({levels.get(i, 0)})")
            for i in reversed(range(len(RISK_LEVELS)))
        ],
        "reason": [
            (name, f"{name.replace('_', ' ')} ({n})")
            for name, n in tally("reason", lambda c: [c.reason] if c.reason else [])
        ],
        "rule": [(code, f"{code} ({n})") for code, n in tally("rule", lambda c: c.rules)],
        "owner": [
            (MINE, f"Mine ({owners.get(user.pk, 0)})"),
            (UNASSIGNED, f"Unassigned ({owners.get(None, 0)})"),
            *((str(pk), f"{name} ({owners[pk]})") for pk, name in names.items()),
        ],
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
) -> tuple[Page[Alert], dict[int, Purpose]]:
    """One page of alerts, and why those are there that the order alone would not show.

    In the default order the first page holds the budget's shares of uncertain alerts and of those
    drawn for audit, spread among the others; they are left out of the pages behind.
    """
    narrowed = filters.narrow(open_alerts(), user=user, now=now)
    picked = _picked(filters, budget, narrowed)
    paginator = Paginator(narrowed, PAGE_SIZE)
    paginator.count = min(count, MOST_PAGES * PAGE_SIZE)
    page = paginator.get_page(number)
    first = page.number == 1
    begin = 0 if first else (page.number - 1) * PAGE_SIZE - len(picked)
    end = page.number * PAGE_SIZE - len(picked)
    ordered = narrowed.exclude(pk__in=list(picked)) if picked else narrowed
    pks = list(ordered.order_by(*filters.ordering).values_list("pk", flat=True)[begin:end])
    shown = spread(pks, list(picked)) if first else pks
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


def held_by(alert: Alert, now: datetime) -> int | None:
    """Who has it in hands."""
    held = alert.locked_until is not None and alert.locked_until > now
    return alert.locked_by_id if held else None
