"""Changes of rules that wait for a second person, as pages tell them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet

from accounts.models import User
from scoring.core.types import Stage
from scoring.presenting import SpecCache
from scoring.rule_approvals import why_not
from scoring.rule_reports import changed_notes, changed_words, parameter_note
from scoring.rule_request_models import RuleRequest
from scoring.rule_telling import url_of, what_of

MOST = 50
DECIDED_SHOWN = 5
Kind, Status = RuleRequest.Kind, RuleRequest.Status


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request in words. `words`: how the condition changes, `why_not` why this user may not
    decide it (empty: they may)."""

    asked: RuleRequest
    what: str
    words: Sequence[tuple[str, str]]
    notes: Sequence[str]
    is_mine: bool
    why_not: str
    url: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A request that waits no more, in words."""

    asked: RuleRequest
    what: str
    notes: Sequence[str]
    url: str


def waiting_changes(user: User) -> list[Waiting]:
    """What waits everywhere, newest first. One query."""
    specs = SpecCache()
    rows = _told(RuleRequest.objects.filter(status=Status.PENDING))[:MOST]
    return [_waiting(asked, user, specs) for asked in rows]


def changes_of(rows: QuerySet[RuleRequest], user: User) -> dict[str, Any]:
    """Of these requests those that wait, newest first, and how the last others ended. One query."""
    specs, found = SpecCache(), list(_told(rows)[: MOST + DECIDED_SHOWN])
    ended = [asked for asked in found if not asked.is_pending]
    return {
        "waiting": [_waiting(asked, user, specs) for asked in found if asked.is_pending],
        "decided": [_decided(asked, specs) for asked in ended[:DECIDED_SHOWN]],
    }


def _told(rows: QuerySet[RuleRequest]) -> QuerySet[RuleRequest]:
    """With all that is told of them; first what waits, then what ended last."""
    return rows.order_by(
        F("decided_at").desc(nulls_first=True), "-requested_at", "-pk"
    ).select_related(
        *("detector", "rule", "version__rule", "version__author", "live"),
        *("requested_by", "decided_by"),
    )


def _decided(asked: RuleRequest, specs: SpecCache) -> Decided:
    return Decided(asked, what_of(asked), _notes(asked, specs), url_of(asked))


def _waiting(asked: RuleRequest, user: User, specs: SpecCache) -> Waiting:
    words: list[tuple[str, str]] = []
    notes: list[str] = []
    version, live = asked.version, asked.live
    if asked.kind == Kind.MOVE and asked.to == Stage.LIVE and version is not None:
        words = changed_words(live.when if live else "", version.when)
        notes = changed_notes(live, version)
    else:
        notes = _notes(asked, specs)
    return Waiting(
        asked=asked,
        what=what_of(asked),
        words=words,
        notes=notes,
        is_mine=asked.requested_by_id == user.pk,
        why_not=why_not(asked, user),
        url=url_of(asked),
    )


def _notes(asked: RuleRequest, specs: SpecCache) -> list[str]:
    """Which numbers it changes."""
    if asked.kind == Kind.THRESHOLDS:
        return parameter_notes(asked.before["parameters"], asked.asked["parameters"])
    return _setting_notes(asked, specs) if asked.kind == Kind.SETTINGS else []


def parameter_notes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`limit: 300 → 450` for each that differs."""
    return [
        parameter_note(name, before.get(name), value)
        for name, value in sorted(now.items())
        if before.get(name) != value
    ]


def _setting_notes(asked: RuleRequest, specs: SpecCache) -> list[str]:
    """Empty where the declaration, which says what stood before, cannot be read."""
    spec = specs.of(asked.detector)
    if spec is None:
        return []
    notes = []
    rate = asked.asked.get("audit_rate")
    if rate is not None:
        before = asked.before.get("audit_rate", spec.audit_rate)
        if rate != before:
            notes.append(f"Audit rate {before:.2%} → {rate:.2%}")
    wanted = asked.asked.get("screening") or {}
    stood = asked.before.get("screening", {})
    for name, value in sorted(wanted.items()):
        declared = getattr(spec.screening, name, None)
        old = stood.get(name, sorted(declared) if isinstance(declared, frozenset) else declared)
        if old != value:
            notes.append(f"{name.replace('_', ' ').capitalize()}: {_plain(old)} → {_plain(value)}")
    return notes


def _plain(value: Any) -> str:
    return " ".join(value) or "none" if isinstance(value, list) else str(value)
