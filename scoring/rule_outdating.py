"""A change of rules that waits for a second person ends where what it would change is changed."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from accounts.selectors import still_may
from accounts.services import record_audit
from scoring.core.types import Stage
from scoring.models import Detector
from scoring.policy_models import Rule, RuleVersion
from scoring.rule_request_models import RuleRequest
from scoring.rule_telling import tell_decided

MAY_CHANGE = "scoring.change_rule"
Kind, Status = RuleRequest.Kind, RuleRequest.Status
ASKED_SETTINGS = ("audit_rate", "screening")


def live_of(rule: Rule) -> RuleVersion | None:
    """The version of a rule that decides."""
    return rule.versions.filter(stage=Stage.LIVE).first()


def outdated(asked: RuleRequest) -> str:
    """Why a request, with its rows as they are stored, no longer says what it said; empty when it
    does. Both people must hold the right when it is decided, so also who asked."""
    if not still_may(asked.requested_by, MAY_CHANGE):
        return f"{asked.requested_by.name}, who asked for it, may not change rules any more."
    if asked.kind == Kind.SETTINGS:
        same = _asked_of(asked.detector.policy_settings) == _asked_of(asked.before)
        return "" if same else "The settings were changed since."
    if asked.rule is None or asked.version is None:
        return "Its rule is gone."
    live = live_of(asked.rule)
    if (live.pk if live else None) != asked.live_id:
        now = f"version {live.number}" if live else "none"
        return f"Another version is live since: {now}."
    if asked.kind == Kind.MOVE and asked.version.stage != asked.before["stage"]:
        return f"Version {asked.version.number} is {asked.version.stage} by now."
    return ""


def _asked_of(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a request may change: a model's review has a term of its own."""
    return tuple(settings.get(name) for name in ASKED_SETTINGS)


def end_outdated(detector: Detector) -> list[RuleRequest]:
    """End what waits for a second person and no longer holds, so that it can be asked anew; those
    ended. The detector's turn is the caller's."""
    rows = RuleRequest.objects.filter(detector=detector, status=Status.PENDING)
    rows = rows.select_related("detector", "rule", "version", "requested_by")
    return [asked for asked in rows if end_if_outdated(asked)]


def end_if_outdated(asked: RuleRequest) -> str:
    """End a request that waits, if it no longer holds: why; empty where it holds. The detector's
    turn is the caller's."""
    note = outdated(asked)
    if note:
        asked.status, asked.note, asked.decided_at = Status.OUTDATED, note, timezone.now()
        asked.save(update_fields=["status", "note", "decided_at"])
        detail = {"request": asked.pk, "kind": asked.kind, "note": note}
        subject = asked.rule or asked.detector
        record_audit(actor=None, action="rule.request_outdated", subject=subject, detail=detail)
        tell_decided(asked)
    return note
