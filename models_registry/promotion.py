"""Put a version into service, or take it out again. Each act leaves a PromotionDecision.

These are the bare acts. The platform itself (setup, roll-back by a guard) has no actor and gives a
reason; what people decide comes through models_registry.approvals, which knows who may.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.monitoring import check_new_champion
from models_registry.promotion_models import PromotionGuard, PromotionRequest
from models_registry.selectors import champion_of, earlier_champions
from models_registry.shadow_models import Shadow
from models_registry.telling import tell_installed, tell_promotion_decided
from models_registry.tracked import note_promotion
from scoring import deployment
from scoring.core.reader import SpecError
from scoring.models import Deployment, Detector
from scoring.rebuilding import rebuild_if_changed, serving_before

Stage = ModelVersion.Stage
Action = PromotionDecision.Action
WEEK = 7 * 86400.0


class PromotionRefused(ValueError):
    """The version may not serve; the message says why."""


@transaction.atomic
def promote(
    version: ModelVersion,
    *,
    actor: User | None,
    reason: str = "",
    detail: Mapping[str, Any] | None = None,
    asked: PromotionRequest | None = None,
) -> PromotionDecision:
    """Make a version the champion; the very next event is scored by it, in every process.

    `asked` is the request that this carries out, `detail` what the audit trail says of it besides.
    Raises PromotionRefused when it serves already or was rejected, BundleError when its bundle
    does not load; nothing changes then.
    """
    _lock(version)
    if version.stage == Stage.CHAMPION:
        raise PromotionRefused("This version is the champion already.")
    if version.stage == Stage.REJECTED:
        raise PromotionRefused("This version was rejected.")
    decision = _install(
        version, action=Action.PROMOTE, actor=actor, reason=reason, detail=detail, asked=asked
    )
    _watch(decision)
    return decision


@transaction.atomic
def roll_back(
    detector: Detector, *, actor: User | None, reason: str = "", expected: int | None = None
) -> PromotionDecision:
    """Bring back the version that served before the champion was promoted.

    A second roll-back goes a step further back, never forward to what was taken out, and only for
    who says with `expected` (its id) which version is to leave: without, it is the first one sent
    again. Its review term goes on from its last promotion: nobody has reviewed it since. Raises
    PromotionRefused when another one serves by now, when it was rolled back to what serves and
    nothing is expected, when there is none before, or when its guard took that one out and nobody
    promoted it since: that takes a promotion with a written reason.
    """
    Detector.objects.select_for_update(no_key=True).get(pk=detector.pk)
    if expected is not None:
        _check_serves(detector, expected)
    earlier = earlier_champions([detector]).get(detector.pk)
    if earlier is None:
        raise PromotionRefused("There is no earlier champion to go back to.")
    if _was_taken_out(earlier):
        raise PromotionRefused(
            f"{earlier.label} was rolled back by its guard. Ask for its promotion instead."
        )
    if expected is None:
        _check_is_first(detector)
    decision = _install(
        earlier,
        action=Action.ROLL_BACK,
        actor=actor,
        reason=reason,
        reviewed_at=earlier.promoted_at,
        warning=review_over(earlier, detector),
    )
    _end_guard(detector)
    return decision


def review_over(earlier: ModelVersion | None, detector: Detector) -> str:
    """That a version which a roll-back brings back (`selectors.earlier_champions`) is past its
    review date, and what that means; empty where it is not."""
    if earlier is None or earlier.promoted_at is None:
        return ""
    try:
        term = detector.review_after()
    except SpecError:
        return ""
    due = earlier.promoted_at + timedelta(seconds=term)
    if not term or due > timezone.now():
        return ""
    return (
        f"The review of {earlier.label} was due on {due:%Y-%m-%d}: rules decide alone until a "
        "version is promoted or its term is extended."
    )


def _check_serves(detector: Detector, expected: int) -> None:
    """A double click, a request sent again, a guard that was faster: they go back no further."""
    serves = champion_of(detector)
    if serves is None or serves.pk != expected:
        now = serves.label if serves else "rules alone"
        raise PromotionRefused(f"What serves has changed since you looked: it is {now} now.")


def _check_is_first(detector: Detector) -> None:
    """A request that names no champion may be one that was sent again: it goes back no further."""
    newest = PromotionDecision.objects.filter(detector=detector).select_related(
        "version", "previous"
    )
    last = newest.first()
    if last is not None and last.action == Action.ROLL_BACK:
        left = last.previous.label if last.previous else "what served"
        raise PromotionRefused(
            f"{left} was rolled back to {last.version.label} already. To go back further, name the "
            "champion that is to leave."
        )


def _was_taken_out(version: ModelVersion) -> bool:
    """Whether the guard of its newest promotion broke. People who promoted it again since knew."""
    newest = PromotionDecision.objects.filter(version=version, action=Action.PROMOTE)
    return PromotionGuard.objects.filter(
        decision=newest.order_by("-at", "-id").values("pk")[:1], state=PromotionGuard.State.BROKEN
    ).exists()


def _lock(version: ModelVersion) -> None:
    """One act at a time for a detector, judged by what is stored: a double click finds it done.

    `no_key`: scoring, which only refers to the detector, need not wait.
    """
    Detector.objects.select_for_update(no_key=True).get(pk=version.detector_id)
    version.refresh_from_db(fields=["stage"])


def _install(
    version: ModelVersion,
    *,
    action: str,
    actor: User | None,
    reason: str,
    detail: Mapping[str, Any] | None = None,
    asked: PromotionRequest | None = None,
    reviewed_at: datetime | None = None,
    warning: str = "",
) -> PromotionDecision:
    detector = version.detector
    # Requests that were made beside the former champion say nothing now.
    now_serves = f"What serves has changed since: it is {version.label} now."
    _end_waiting(now_serves, other_than=asked, detector=detector)
    _end_shadow(version)
    previous = _succeed(version)
    before = serving_before(detector)
    deployment.install(
        detector,
        slot=Deployment.Slot.CHAMPION,
        digest=version.digest,
        version=version.label,
        reviewed_at=reviewed_at,
    )
    rebuild_if_changed(detector, before)
    check_new_champion(detector)
    note_promotion(version)
    told = " ".join(part for part in (reason, warning) if part)
    tell_installed(version, previous=previous, action=action, actor=actor, reason=told)
    record_audit(
        actor=actor,
        action=f"model.{action}",
        subject=version,
        detail={
            "previous": previous.label if previous else None,
            "reason": reason,
            **(detail or {}),
        },
    )
    return PromotionDecision.objects.create(
        detector=detector,
        action=action,
        version=version,
        previous=previous,
        actor=actor,
        reason=reason,
    )


def _succeed(version: ModelVersion) -> ModelVersion | None:
    """Make it the champion; returns the former one, retired, if there was one."""
    previous = ModelVersion.objects.filter(
        detector=version.detector_id, stage=Stage.CHAMPION
    ).first()
    if previous is not None:
        previous.stage = Stage.RETIRED
        previous.save(update_fields=["stage"])
    version.stage = Stage.CHAMPION
    version.save(update_fields=["stage"])
    return previous


def end_outdated(asked: PromotionRequest, note: str) -> None:
    """End a request that no longer says what it said; whoever asked is told why. The detector's
    turn is the caller's."""
    asked.status, asked.note = PromotionRequest.Status.OUTDATED, note
    asked.decided_at = timezone.now()
    asked.save(update_fields=["status", "note", "decided_at"])
    record_audit(
        actor=None,
        action="model.promotion_outdated",
        subject=asked.version,
        detail={"request": asked.pk, "note": note},
    )
    tell_promotion_decided(asked)


def _end_waiting(note: str, *, other_than: PromotionRequest | None = None, **of: Model) -> None:
    """End the requests that wait, of a detector or of a version."""
    waiting = PromotionRequest.objects.filter(status=PromotionRequest.Status.PENDING, **of)
    if other_than is not None:
        waiting = waiting.exclude(pk=other_than.pk)
    for asked in waiting.select_related("detector", "version", "requested_by"):
        end_outdated(asked, note)


def _end_shadow(version: ModelVersion) -> None:
    """What serves, or is put aside, is no challenger in shadow any more."""
    Shadow.objects.filter(
        version=version, state__in=(Shadow.State.RUNNING, Shadow.State.BLOCKED)
    ).update(state=Shadow.State.ENDED, stopped_at=timezone.now())


def _end_guard(detector: Detector) -> None:
    """Nothing watches what no longer serves."""
    PromotionGuard.objects.filter(detector=detector, state=PromotionGuard.State.WATCHING).update(
        state=PromotionGuard.State.ENDED, ended_at=timezone.now()
    )


def _watch(decision: PromotionDecision) -> None:
    """A guard watches the new champion against the former one, if there was one."""
    now = timezone.now()
    _end_guard(decision.detector)
    try:
        training = decision.detector.spec().training
    except SpecError as error:
        raise PromotionRefused(f"Nothing could watch it then. {error}") from error
    if decision.previous is None or not training.guard.enabled:
        return
    watch = training.guard.watch or training.label_delay + WEEK
    PromotionGuard.objects.create(
        decision=decision,
        detector=decision.detector,
        version=decision.version,
        former=decision.previous,
        since=now,
        until=now + timedelta(seconds=watch),
    )


@transaction.atomic
def reject(version: ModelVersion, *, actor: User | None, reason: str = "") -> ModelVersion:
    """Put a challenger aside for good. Raises PromotionRefused for any other stage."""
    _lock(version)
    if version.stage != Stage.CHALLENGER:
        raise PromotionRefused("Only a challenger can be rejected.")
    version.stage = Stage.REJECTED
    version.save(update_fields=["stage"])
    _end_shadow(version)
    _end_waiting(f"{version.label} was rejected.", version=version)
    record_audit(actor=actor, action="model.reject", subject=version, detail={"reason": reason})
    return version
