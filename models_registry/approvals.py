"""Four eyes: one person asks for a promotion, another approves it, and a comparison backs it.

`promotion.promote` is the bare act, for the platform itself (setup) and for what was decided here.
People come through here: pages and API call nothing else. Decided in docs/adr/0015.
"""

from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.selectors import holders_of, people_behind, still_may
from accounts.services import record_audit
from models_registry.evidence import Evidence, evidence_for
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion import PromotionRefused, end_outdated, promote
from models_registry.promotion_models import PromotionRequest
from models_registry.selectors import champion_of
from models_registry.telling import tell_promotion_asked, tell_promotion_decided
from scoring.core.bundle import load_bundle
from scoring.deployment import bundle_root
from scoring.models import Detector

LEAST_REASON = 10
LEAST_LETTERS = 3
"""Of a written reason: digits and signs alone say nothing."""
PROMOTE: Final = "models_registry.promote_model"
REQUESTED: Final = "model.promotion_requested"
Stage = ModelVersion.Stage
Status = PromotionRequest.Status


class SelfApproval(Exception):
    """Whoever asked for it or trained it wants to decide it, themselves or by an API key that they
    made, or somebody who may promote nothing; the message says who may."""


class ReasonNeeded(ValueError):
    """What is asked for needs a written reason; the message says why."""


def request_promotion(
    version: ModelVersion, *, actor: User, reason: str = "", override: bool = False
) -> PromotionRequest:
    """Ask for a promotion; where the installation asks for one person only, carry it out at once.

    Raises PromotionRefused when the version may not serve, is asked for already, or has no passing
    comparison and `override` is not said; ReasonNeeded when an override, or a decision alone, has
    no reason; BundleError when its bundle does not load.
    """
    reason = reason.strip()
    alone = not settings.FOUR_EYES
    # Nobody is asked to approve what could not serve.
    load_bundle(bundle_root(), version.digest)
    with transaction.atomic():
        _lock(version.detector)
        version.refresh_from_db(fields=["stage", "digest"])
        _check_stage(version)
        champion = champion_of(version.detector)
        evidence = evidence_for(version, champion)
        overrides = override and not evidence.passed
        _check_evidence(evidence, overrides=overrides)
        _check_reason(reason, overrides=overrides, alone=alone)
        _check_not_asked(version)
        asked = PromotionRequest.objects.create(
            detector=version.detector,
            version=version,
            champion=champion,
            digest=version.digest,
            requested_by=actor,
            requested_at=timezone.now(),
            reason=reason,
            evidence=evidence.to_dict(),
            override=overrides,
            alone=alone,
        )
        if alone:
            _carry_out(asked, actor=actor, note="")
        else:
            _audit_request(asked)
            tell_promotion_asked(asked, to=_who_may_decide(asked))
    return asked


def _check_evidence(evidence: Evidence, *, overrides: bool) -> None:
    if not (evidence.passed or overrides):
        raise PromotionRefused(
            f"{evidence.text} Without a passing comparison a promotion has to be asked for as "
            "an override, with a written reason."
        )


def _audit_request(asked: PromotionRequest) -> None:
    record_audit(
        actor=asked.requested_by,
        action=REQUESTED,
        subject=asked.version,
        detail={
            "request": asked.pk,
            "reason": asked.reason,
            "override": asked.override,
            "evidence": asked.evidence["kind"],
        },
    )


def approve_promotion(asked: PromotionRequest, *, actor: User, note: str = "") -> PromotionDecision:
    """Approve as the second person; the version serves from the next event on.

    Raises SelfApproval for whoever asked for it or trained it, made the API key by which it was
    asked for or comes by one that they made, or may not promote; PromotionRefused when it was
    decided meanwhile or no longer holds (it is outdated then), BundleError when the bundle does not
    load (it goes on waiting).
    """
    with transaction.atomic():
        _claim(asked)
        _check_second_person(asked, actor)
        problem = _outdated(asked)
        if not problem:
            return _carry_out(asked, actor=actor, note=note.strip())
        end_outdated(asked, problem)
    raise PromotionRefused(f"{problem} The request is outdated: ask again.")


def refuse_promotion(asked: PromotionRequest, *, actor: User, note: str) -> PromotionRequest:
    """Refuse, with a note: anybody but who asked, for nothing comes into service by it. Raises
    SelfApproval for them, PromotionRefused when it was decided meanwhile, ReasonNeeded without a
    note."""
    note = note.strip()
    if not note:
        raise ReasonNeeded("Say why: whoever asked reads it.")
    with transaction.atomic():
        _claim(asked)
        if actor.pk == asked.requested_by_id:
            raise SelfApproval("You asked for this promotion yourself: withdraw it instead.")
        _decide(asked, Status.REFUSED, actor=actor, note=note)
        record_audit(
            actor=actor,
            action="model.promotion_refused",
            subject=asked.version,
            detail={"request": asked.pk, "note": note},
        )
        tell_promotion_decided(asked)
    return asked


def withdraw_promotion(asked: PromotionRequest, *, actor: User) -> PromotionRequest:
    """Take one's own request back. Raises SelfApproval for anybody else, PromotionRefused when it
    was decided meanwhile."""
    with transaction.atomic():
        _claim(asked)
        if actor.pk != asked.requested_by_id:
            raise SelfApproval("Only who asked for it can withdraw it.")
        _decide(asked, Status.WITHDRAWN, actor=actor, note="")
        record_audit(
            actor=actor,
            action="model.promotion_withdrawn",
            subject=asked.version,
            detail={"request": asked.pk},
        )
    return asked


def may_decide(asked: PromotionRequest, user: User) -> bool:
    """Whether this person would be the second one."""
    return user.pk not in _first_people(asked)


def _who_may_decide(asked: PromotionRequest) -> list[User]:
    first = _first_people(asked)
    return [one for one in holders_of(PROMOTE) if one.pk not in first]


def _check_stage(version: ModelVersion) -> None:
    if version.stage == Stage.CHAMPION:
        raise PromotionRefused("This version is the champion already.")
    if version.stage == Stage.REJECTED:
        raise PromotionRefused("This version was rejected.")


def is_written(reason: str) -> bool:
    """Whether it is long enough to say something, and has letters."""
    said = reason.strip()
    return len(said) >= LEAST_REASON and sum(map(str.isalpha, said)) >= LEAST_LETTERS


def _check_reason(reason: str, *, overrides: bool, alone: bool) -> None:
    if (overrides or alone) and not is_written(reason):
        why = "Promoting without a passing comparison" if overrides else "Deciding alone"
        raise ReasonNeeded(f"{why} needs a written reason of {LEAST_REASON} letters or more.")


def _check_not_asked(version: ModelVersion) -> None:
    waiting = PromotionRequest.objects.filter(version=version, status=Status.PENDING).first()
    if waiting is not None:
        raise PromotionRefused(
            f"The promotion of {version.label} was asked for by {waiting.requested_by.name} "
            "already and waits for a second person."
        )


def _check_second_person(asked: PromotionRequest, actor: User) -> None:
    if not still_may(actor, PROMOTE):
        raise SelfApproval("Your roles do not allow you to decide promotions.")
    if actor.pk == asked.requested_by_id:
        raise SelfApproval("You asked for this promotion: a second person has to approve it.")
    if actor.pk == asked.version.trained_by_id:
        raise SelfApproval(
            f"You trained {asked.version.label}: somebody else has to approve its promotion."
        )
    key = actor.came_by
    behind = people_behind(actor.pk, key.prefix if key else "")
    if not behind & _first_people(asked):
        return
    if key is None:
        raise SelfApproval(
            "You made the API key by which this was asked for or the version was made: a second "
            "person has to approve it."
        )
    raise SelfApproval(
        "This API key was made by who asked for this promotion or trained the version: a second "
        "person has to approve it, logged in or by a key that somebody else made."
    )


def _first_people(asked: PromotionRequest) -> frozenset[int]:
    """Who asked, who trained, imported or changed the version, and who made the API keys by which
    they did: the trail has them all."""
    return _who_asked(asked) | _who_made(asked.version)


def _who_asked(asked: PromotionRequest) -> frozenset[int]:
    told = _told_of(asked.version, action=REQUESTED)
    mine = next((detail for detail in told if detail["request"] == asked.pk), {})
    return people_behind(asked.requested_by_id, mine.get("api_key", ""))


def _who_made(version: ModelVersion) -> frozenset[int]:
    maker = version.trained_by_id
    if maker is None:
        return frozenset()
    # A training was asked for; what was imported or moved tells of itself.
    first = next(_told_of(version.job or version, actor=maker), {})
    return people_behind(maker, first.get("api_key", ""))


def _told_of(subject: Model, **narrowed: Any) -> Iterator[dict[str, Any]]:
    """Details of what the audit trail says of it, oldest first."""
    label, pk = subject._meta.label_lower, str(subject.pk)
    entries = AuditEntry.objects.filter(object_type=label, object_id=pk, **narrowed)
    return (entry.detail for entry in entries.order_by("number"))


def _claim(asked: PromotionRequest) -> None:
    """The detector's turn is ours; what is stored counts. Raises PromotionRefused when decided."""
    _lock(asked.detector)
    asked.refresh_from_db()
    if asked.status != Status.PENDING:
        by = f" by {asked.decided_by.name}" if asked.decided_by else ""
        why = f" {asked.note}" if asked.status == Status.OUTDATED else ""
        raise PromotionRefused(f"This request is no longer open: {asked.status}{by}.{why}")


def _outdated(asked: PromotionRequest) -> str:
    """Why the request no longer says what it said; empty when it does. Both people must hold the
    right when it is decided, so also who asked."""
    if not still_may(asked.requested_by, PROMOTE):
        return f"{asked.requested_by.name}, who asked for it, may not promote any more."
    version = asked.version
    version.refresh_from_db(fields=["stage", "digest"])
    try:
        _check_stage(version)
    except PromotionRefused as problem:
        return str(problem)
    if version.digest != asked.digest:
        return f"{version.label} has another bundle than the one that was asked for."
    champion = champion_of(asked.detector)
    if (champion.pk if champion else None) != asked.champion_id:
        now = champion.label if champion else "rules alone"
        return f"What serves has changed since: it is {now} now."
    evidence = evidence_for(version, champion)
    if not evidence.passed and not asked.override:
        return f"No comparison backs it any more. {evidence.text}"
    return ""


def _carry_out(asked: PromotionRequest, *, actor: User, note: str) -> PromotionDecision:
    decision = promote(
        asked.version,
        actor=actor,
        reason=asked.reason or note,
        detail={
            "request": asked.pk,
            "requested_by": asked.requested_by.username,
            "approved_by": actor.username,
            "override": asked.override,
            "four_eyes": not asked.alone,
            "evidence": asked.evidence,
            "note": note,
        },
        asked=asked,
    )
    _decide(asked, Status.APPROVED, actor=actor, note=note, decision=decision)
    return decision


def _decide(
    asked: PromotionRequest,
    status: PromotionRequest.Status,
    *,
    actor: User | None,
    note: str,
    decision: PromotionDecision | None = None,
) -> None:
    asked.status, asked.note, asked.decided_at = status, note, timezone.now()
    asked.decided_by, asked.decision = actor, decision
    asked.save(update_fields=["status", "note", "decided_at", "decided_by", "decision"])


def _lock(detector: Detector) -> None:
    Detector.objects.select_for_update(no_key=True).get(pk=detector.pk)
