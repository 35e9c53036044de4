"""What pages show of cases, built from rows that were read already: no queries."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from cases.case_events import Kind, words_of
from cases.case_selectors import AlertSum
from cases.models import Alert, Case, CaseEvent
from cases.workflow import LIVE_CASES, CaseStatus
from scoring.core.types import RISK_LEVELS

NEAR = 0.75
"""A clock of which less than a quarter is left is near its end."""
_NAMED = re.compile(r"(@[\w.+-]+)")


@dataclass(frozen=True, slots=True)
class Clock:
    """How much of the time until something is due has passed. `state`: empty, near, late, done."""

    due_at: datetime
    percent: int
    state: str
    escalated: bool


def clock_of(item: Alert | Case, now: datetime) -> Clock | None:
    """The SLA clock of an alert or a case; None where nothing is due."""
    if item.due_at is None:
        return None
    end = item.closed_at or now
    whole = (item.due_at - item.opened_at).total_seconds()
    passed = (end - item.opened_at).total_seconds()
    share = 1.0 if whole <= 0 else max(0.0, min(passed / whole, 1.0))
    state = "late" if end > item.due_at else ("near" if share >= NEAR else "")
    if item.closed_at is not None:
        state = "done late" if state == "late" else "done"
    return Clock(item.due_at, round(100 * share), state, item.escalated_at is not None)


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One line of the list of cases; `level` is the highest of its alerts, empty without any."""

    case: Case
    level: str
    alerts: int
    totals: Sequence[tuple[str, Decimal]]
    clock: Clock | None
    tags: Sequence[str] = field(default_factory=list)

    @property
    def amount(self) -> Decimal | None:
        """The largest amount; `more` says how many other currencies there are."""
        return self.totals[0][1] if self.totals else None

    @property
    def currency(self) -> str:
        return self.totals[0][0] if self.totals else ""

    @property
    def more(self) -> int:
        return max(len(self.totals) - 1, 0)


def case_rows(
    cases: Iterable[Case], sums: Mapping[int, Sequence[AlertSum]], now: datetime
) -> list[CaseRow]:
    """Lines for cases with their tags prefetched."""
    rows = []
    for case in cases:
        own = sums.get(case.pk, ())
        clock = clock_of(case, now)
        rows.append(
            CaseRow(
                case=case,
                level=str(RISK_LEVELS[max(one.level for one in own)]) if own else "",
                alerts=sum(one.alerts for one in own),
                totals=totals_of(own),
                clock=clock if case.status in (*LIVE_CASES, CaseStatus.CLOSED) else None,
                tags=[tag.name for tag in case.tags.all()],
            )
        )
    return rows


def totals_of(sums: Iterable[AlertSum]) -> list[tuple[str, Decimal]]:
    """(currency, amount at risk), the largest first."""
    return [(one.currency, one.exposure) for one in sums if one.exposure is not None]


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a timeline as it reads. `said`: (text, is a mention); `elsewhere`: its case,
    where that is not the one that is shown."""

    event: CaseEvent
    who: str
    words: str
    said: Sequence[tuple[str, bool]]
    alert_id: Any
    elsewhere: int | None
    file: Any


def timeline_lines(events: Iterable[CaseEvent], *, case_id: int) -> list[Line]:
    """Lines for events with actor, attachment and mentions read already.

    Both cases of a merge tell of it; the case that is shown does so alone.
    """
    return [
        _line(event, case_id)
        for event in events
        if event.case_id == case_id or event.kind not in (Kind.MERGED, Kind.UNMERGED)
    ]


def _line(event: CaseEvent, case_id: int) -> Line:
    named = {f"@{mention.user.username}" for mention in event.mentions.all()}
    parts = [(part, part.rstrip(".+-") in named) for part in _NAMED.split(event.text) if part]
    return Line(
        event=event,
        who=event.actor.name if event.actor else "The platform",
        words=words_of(event),
        said=parts,
        alert_id=event.detail.get("alert"),
        elsewhere=event.case_id if event.case_id != case_id else None,
        file=getattr(event, "attachment", None),
    )
