"""Changes of rules that wait for a second person, as pages tell them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from accounts.models import User
from scoring.core.types import Stage
from scoring.models import Detector
from scoring.policy_models import Rule
from scoring.rule_approvals import why_not
from scoring.rule_reports import changed_notes, changed_words, parameter_note
from scoring.rule_request_models import RuleRequest

MOST = 50
DECIDED_SHOWN = 5
Kind, Status = RuleRequest.Kind, RuleRequest.Status
PENDING = RuleRequest.objects.filter(status=Status.PENDING).select_related(
    "detector", "rule", "version__rule", "version__author", "live", "requested_by", "decided_by"
)


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


def waiting_changes(
    user: User, *, detector: Detector | None = None, rule: Rule | None = None
) -> list[Waiting]:
    """What waits, newest first: everywhere, of a detector's settings, or of a rule. One query."""
    rows = PENDING.all()
    if detector is not None:
        rows = rows.filter(detector=detector, kind=Kind.SETTINGS)
    if rule is not None:
        rows = rows.filter(rule=rule)
    return [_waiting(asked, user) for asked in rows[:MOST]]


def _waiting(asked: RuleRequest, user: User) -> Waiting:
    words: list[tuple[str, str]] = []
    notes: list[str] = []
    version, live = asked.version, asked.live
    if asked.kind == Kind.MOVE and asked.to == Stage.LIVE and version is not None:
        words = changed_words(live.when if live else "", version.when)
        notes = changed_notes(live, version)
    elif asked.kind == Kind.THRESHOLDS:
        notes = parameter_notes(asked.before["parameters"], asked.asked["parameters"])
    elif asked.kind == Kind.SETTINGS:
        notes = _setting_notes(asked)
    return Waiting(
        asked=asked,
        what=what_of(asked),
        words=words,
        notes=notes,
        is_mine=asked.requested_by_id == user.pk,
        why_not=why_not(asked, user),
        url=url_of(asked),
    )


def url_of(asked: RuleRequest) -> str:
    """The page on which it is decided."""
    if asked.rule is None:
        return reverse("policy", args=[asked.detector.slug])
    return reverse("rule_detail", args=[asked.detector.slug, asked.rule.code])


def what_of(asked: RuleRequest) -> str:
    """What would happen, as a clause: `BIG_GIFT v2 goes live in place of v1`."""
    if asked.rule is None or asked.version is None:
        return f"Other settings for {asked.detector.name}"
    name = f"{asked.rule.code} v{asked.version.number}"
    if asked.kind == Kind.THRESHOLDS:
        return f"Other thresholds for {name}"
    if asked.to == Stage.LIVE:
        instead = asked.live is not None and asked.live != asked.version
        return f"{name} goes live" + (f" in place of v{asked.live.number}" if instead else "")  # type: ignore[union-attr]
    if asked.to == Stage.SHADOW:
        return f"{name} stops deciding and goes into shadow"
    return f"{name} stops deciding and retires"


def parameter_notes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`limit: 300 → 450` for each that differs."""
    return [
        parameter_note(name, before.get(name), value)
        for name, value in sorted(now.items())
        if before.get(name) != value
    ]


def _setting_notes(asked: RuleRequest) -> list[str]:
    notes = []
    rate = asked.asked.get("audit_rate")
    spec = asked.detector.spec()
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


def decided_changes(rule: Rule) -> list[tuple[RuleRequest, str]]:
    """The last requests of a rule that were decided, with what they were about. One query."""
    rows = rule.requests.exclude(status=Status.PENDING).select_related(
        "detector", "rule", "version", "live", "requested_by", "decided_by"
    )
    return [(asked, what_of(asked)) for asked in rows[:DECIDED_SHOWN]]
