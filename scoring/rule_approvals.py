"""Four eyes on rules: one person asks for a change of what is in force, another approves it.

`rule_editing` and `policies` hold the bare acts, for the platform itself and for what was decided
here. People come through here wherever a change would count: a version that goes live, a live one
that leaves, other thresholds, other settings. Until it is decided, what stands goes on deciding.
Drafts and shadow versions decide nothing and need nobody.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.selectors import holders_of, still_may
from accounts.services import record_audit
from scoring.core.types import Stage
from scoring.models import Detector
from scoring.policies import (
    PolicyRefused,
    audit_rate_of,
    check_settings,
    lock,
    screening_of,
    set_policy,
)
from scoring.policy_models import Rule, RuleVersion
from scoring.rule_editing import (
    LONGEST_TEXT,
    check_move,
    check_tuning,
    move_version,
    next_base,
    tune_rule,
)
from scoring.rule_outdating import MAY_CHANGE, end_if_outdated, live_of
from scoring.rule_request_models import RuleRequest
from scoring.rule_telling import tell_asked, tell_decided

LEAST_REASON = 10
ASK_AGAIN = "The request is outdated: ask again."
Kind, Status = RuleRequest.Kind, RuleRequest.Status


class SelfApproval(Exception):
    """Whoever asked for it or wrote it wants to decide it, or somebody who may change no rules; the
    message says who may."""


def needs_second(version: RuleVersion, to: str) -> bool:
    """Whether the move changes what decides."""
    return to == Stage.LIVE or version.stage == Stage.LIVE


def request_move(
    version: RuleVersion, *, to: str, seen: str, actor: User, reason: str = ""
) -> RuleRequest:
    """Ask for a version to go live, or for a live one to leave. Carried out at once where one
    person decides alone. Raises PolicyRefused."""
    with transaction.atomic():
        row = lock(version.rule.detector_id)
        version = RuleVersion.objects.select_related("rule").get(pk=version.pk)
        check_move(row, version, to=to, seen=seen)
        if not needs_second(version, to):
            raise PolicyRefused(("", "This move decides nothing; it needs nobody's approval."))
        asked = _new(
            row,
            Kind.MOVE,
            actor=actor,
            reason=reason,
            rule=version.rule,
            version=version,
            live=live_of(version.rule),
            to=to,
            before={"stage": version.stage},
        )
        return _begin(asked)


def move_freely(
    version: RuleVersion, *, to: str, seen: str, actor: User, note: str = ""
) -> RuleVersion:
    """A move that decides nothing, by one person. Raises PolicyRefused, also where the version
    decides by now."""
    with transaction.atomic():
        lock(version.rule.detector_id)
        version = RuleVersion.objects.select_related("rule").get(pk=version.pk)
        if needs_second(version, to):
            raise PolicyRefused(("", "This changes what decides: a second person has to approve."))
        return move_version(version, to=to, seen=seen, author=actor, note=note)


def request_thresholds(
    rule: Rule, *, parameters: Mapping[str, Any], base: int, actor: User, reason: str = ""
) -> RuleRequest:
    """Ask for other thresholds of the live version. Raises PolicyRefused."""
    with transaction.atomic():
        row = lock(rule.detector_id)
        live = check_tuning(row, rule, changed={"parameters": parameters}, base=base)
        if all(live.parameters[name] == value for name, value in parameters.items()):
            raise PolicyRefused(("parameters", "These are the thresholds that it has already."))
        asked = _new(
            row,
            Kind.THRESHOLDS,
            actor=actor,
            reason=reason,
            rule=rule,
            version=live,
            live=live,
            asked={"parameters": dict(parameters)},
            before={"parameters": live.parameters},
        )
        return _begin(asked)


def request_settings(
    detector: Detector,
    *,
    audit_rate: float | None = None,
    screening: Mapping[str, Any] | None = None,
    actor: User,
    reason: str = "",
) -> RuleRequest:
    """Ask for another share of audits or other screening. Raises PolicyRefused."""
    with transaction.atomic():
        row = lock(detector.pk)
        wanted = check_settings(row, audit_rate=audit_rate, screening=screening)
        if _effective(row, wanted) == _effective(row, row.policy_settings):
            raise PolicyRefused(("", "These are the settings that it has already."))
        asked = _new(
            row,
            Kind.SETTINGS,
            actor=actor,
            reason=reason,
            asked={"audit_rate": audit_rate, "screening": wanted.get("screening")},
            before=row.policy_settings,
        )
        return _begin(asked)


def _effective(detector: Detector, given: dict[str, Any]) -> tuple[Any, ...]:
    """What settings come to, beside what is declared."""
    row = Detector(config=detector.config, policy_settings=given)
    spec = row.spec()
    return audit_rate_of(row, spec), screening_of(row, spec)


def approve_request(asked: RuleRequest, *, actor: User, note: str = "") -> RuleRequest:
    """Approve as the second person; it counts from the next event on.

    Raises SelfApproval for whoever asked for it, wrote what would go live or may change no rules,
    PolicyRefused when it was decided meanwhile or no longer holds (it is outdated then).
    """
    with transaction.atomic():
        _claim(asked)
        if not still_may(actor, MAY_CHANGE):
            raise SelfApproval("Your roles do not allow you to decide changes of rules.")
        problem = why_not(asked, actor)
        if problem:
            raise SelfApproval(problem)
        problem = end_if_outdated(asked)
        if not problem:
            return _carry_out(asked, actor=actor, note=note)
    raise PolicyRefused(("", f"{problem} {ASK_AGAIN}"))


def refuse_request(asked: RuleRequest, *, actor: User, note: str) -> RuleRequest:
    """Refuse as the second person, with a note. Raises SelfApproval, PolicyRefused."""
    note = _text(note)
    if not note:
        raise PolicyRefused(("note", "Say why: whoever asked reads it."))
    with transaction.atomic():
        _claim(asked)
        if actor.pk == asked.requested_by_id:
            raise SelfApproval("You asked for this yourself: withdraw it instead.")
        _decide(asked, Status.REFUSED, actor=actor, note=note)
        _record(actor, "rule.request_refused", asked, {"note": note})
    return asked


def withdraw_request(asked: RuleRequest, *, actor: User) -> RuleRequest:
    """Take one's own request back. Raises SelfApproval, PolicyRefused."""
    with transaction.atomic():
        _claim(asked)
        if actor.pk != asked.requested_by_id:
            raise SelfApproval("Only who asked for it can withdraw it.")
        _decide(asked, Status.WITHDRAWN, actor=actor, note="")
        _record(actor, "rule.request_withdrawn", asked, {})
    return asked


def why_not(asked: RuleRequest, user: User) -> str:
    """Why this person cannot be the second one; empty when they can."""
    if user.pk == asked.requested_by_id:
        return "You asked for this: a second person has to approve it."
    goes_live = asked.kind == Kind.MOVE and asked.to == Stage.LIVE
    if goes_live and asked.version and asked.version.author_id == user.pk:
        return f"You wrote version {asked.version.number}: somebody else has to approve it."
    return ""


def _new(
    detector: Detector, kind: RuleRequest.Kind, *, actor: User, reason: str, **columns: Any
) -> RuleRequest:
    reason, alone = _text(reason), not settings.FOUR_EYES
    if alone and len(reason) < LEAST_REASON:
        said = f"Deciding alone needs a written reason of {LEAST_REASON} letters or more."
        raise PolicyRefused(("reason", said))
    _check_not_asked(detector, columns.get("rule"))
    return RuleRequest.objects.create(
        detector=detector,
        kind=kind,
        requested_by=actor,
        requested_at=timezone.now(),
        reason=reason,
        alone=alone,
        **columns,
    )


def _text(given: str) -> str:
    return given.replace("\0", "").strip()[:LONGEST_TEXT]


def _check_not_asked(detector: Detector, rule: Rule | None) -> None:
    waiting = RuleRequest.objects.filter(detector=detector, status=Status.PENDING)
    waiting = waiting.filter(rule=rule) if rule else waiting.filter(kind=Kind.SETTINGS)
    other = waiting.select_related("requested_by").first()
    if other is not None:
        what = rule.code if rule else "These settings"
        raise PolicyRefused(
            (
                "",
                f"{what}: a change by {other.requested_by.name} waits for a second person already.",
            )
        )


def _begin(asked: RuleRequest) -> RuleRequest:
    """Let it wait, or carry it out where one person decides."""
    if asked.alone:
        return _carry_out(asked, actor=asked.requested_by, note="")
    _record(asked.requested_by, "rule.change_requested", asked, {"reason": asked.reason})
    tell_asked(asked, to=[one for one in holders_of(MAY_CHANGE) if not why_not(asked, one)])
    return asked


def _claim(asked: RuleRequest) -> None:
    """The detector's turn is ours; what is stored counts. Raises PolicyRefused when decided."""
    lock(asked.detector_id)
    asked.refresh_from_db()
    if asked.status == Status.OUTDATED:
        raise PolicyRefused(("", f"{asked.note} {ASK_AGAIN}"))
    if asked.status != Status.PENDING:
        by = f" by {asked.decided_by.name}" if asked.decided_by else ""
        raise PolicyRefused(("", f"This request is no longer open: {asked.status}{by}."))


def _carry_out(asked: RuleRequest, *, actor: User, note: str) -> RuleRequest:
    """Do what was asked, in the name of who asked; both stand in the audit trail.

    It is decided first: what is done outdates what still waits.
    """
    author = asked.requested_by
    _decide(asked, Status.APPROVED, actor=actor, note=_text(note))
    if asked.kind == Kind.SETTINGS:
        set_policy(asked.detector, **asked.asked, author=author)
    elif asked.kind == Kind.THRESHOLDS and asked.rule is not None:
        tune_rule(
            asked.rule,
            changed=asked.asked,
            base=next_base(asked.rule),
            author=author,
            note=asked.reason,
        )
    elif asked.version is not None:
        move_version(
            asked.version,
            to=asked.to,
            seen=asked.before["stage"],
            author=author,
            note=asked.reason,
        )
    detail = {
        "requested_by": author.username,
        "approved_by": actor.username,
        "four_eyes": not asked.alone,
        "reason": asked.reason,
        "note": asked.note,
    }
    _record(actor, "rule.change_approved", asked, detail)
    return asked


def _decide(asked: RuleRequest, status: RuleRequest.Status, *, actor: User, note: str) -> None:
    asked.status, asked.note = status, note[:LONGEST_TEXT]
    asked.decided_at, asked.decided_by = timezone.now(), actor
    asked.save(update_fields=["status", "note", "decided_at", "decided_by"])
    tell_decided(asked)


def _record(actor: User, action: str, asked: RuleRequest, detail: Mapping[str, Any]) -> None:
    what = {"request": asked.pk, "kind": asked.kind}
    if asked.version is not None:
        what |= {"version": asked.version.number}
    if asked.to:
        what |= {"to": asked.to}
    record_audit(
        actor=actor, action=action, subject=asked.rule or asked.detector, detail=what | dict(detail)
    )
