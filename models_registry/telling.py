"""What of models is told to people and other systems. Words only; who is told, and how, is for
`notifications`."""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from django.urls import reverse

from accounts.models import User
from models_registry.drift_models import DriftCheck
from models_registry.evidence import Evidence
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion_models import PromotionGuard, PromotionRequest
from notifications.services import notify
from scoring.core.bundle import fault_at
from scoring.deployment import bundle_root


def tell_installed(
    version: ModelVersion,
    *,
    previous: ModelVersion | None,
    action: str,
    actor: User | None,
    reason: str,
) -> None:
    """A version began to serve: by promotion, or because another was taken out again."""
    back = action == PromotionDecision.Action.ROLL_BACK
    name = version.detector.name
    notify(
        "model.rolled_back" if back else "model.promoted",
        # A version may serve again later, which is news again.
        key=f"model.{action}:{version.pk}:{uuid4()}",
        subject=f"{name}: {version.label} {'is back' if back else 'serves now'}",
        text=" ".join(
            part
            for part in (
                f"In place of {previous.label}." if previous else "It is the first one.",
                f"By {actor.name}." if actor else "By the platform.",
                reason,
            )
            if part
        ),
        url=version.get_absolute_url(),
        about=version.detector.slug,
        actor=actor,
        data={
            "version": version.label,
            "previous": previous.label if previous else None,
            "by_platform": actor is None,
        },
    )


def tell_trained(version: ModelVersion, evidence: Evidence, *, reason: str) -> None:
    """A training made a challenger: whoever asked for it is told, else, or where they may hear of
    models no more, who owns models. `reason`: why, where nobody asked."""
    asked = version.trained_by
    hears = asked is not None and asked.has_perm("models_registry.view_modelversion")
    because = f"Trained because {reason}." if reason else ""
    way_on = "Ask for its promotion, or watch it in shadow first." if evidence.passed else ""
    notify(
        "model.trained",
        key=f"model.trained:{version.pk}",
        subject=f"{version.detector.name}: {version.label} is trained",
        text=" ".join(part for part in (because, evidence.text, way_on) if part),
        url=version.get_absolute_url(),
        about=version.detector.slug,
        users=[asked] if hears else None,
        data={"version": version.label, "evidence": evidence.kind, "backed": evidence.passed},
    )


def tell_live_verdict(version: ModelVersion, found: Mapping[str, Any]) -> None:
    """Live traffic says that a challenger is better or worse than the champion: once for each."""
    verdict, champion = found["verdict"], found["champion"]
    notify(
        "model.live_verdict",
        key=f"model.live_verdict:{version.pk}:{found['champion_digest']}:{verdict}",
        subject=f"{version.detector.name}: on live traffic {version.label} is {verdict} than"
        f" {champion}",
        text=found["reason"],
        url=version.get_absolute_url(),
        about=version.detector.slug,
        data={"version": version.label, "champion": champion, "verdict": verdict},
    )


def tell_promotion_asked(asked: PromotionRequest, *, to: Collection[User]) -> None:
    """A promotion waits for a second person: whoever may be that one is told."""
    former = asked.champion.label if asked.champion else "the rules alone"
    why = f" “{asked.reason}”" if asked.reason else ""
    unbacked = " No comparison backs it." if asked.override else ""
    notify(
        "model.promotion_asked",
        key=f"model.promotion_asked:{asked.pk}",
        subject=f"Waits for a second person: {_what_of(asked)}",
        text=f"{asked.requested_by.name} asks for it, in place of {former}.{unbacked}{why}",
        url=f"{asked.version.get_absolute_url()}#promotion-{asked.pk}",
        about=asked.detector.slug,
        users=to,
        actor=asked.requested_by,
        data={"request": asked.pk, "version": asked.version.label, "override": asked.override},
    )


def tell_promotion_decided(asked: PromotionRequest) -> None:
    """Whoever asked is told that it was refused, or is outdated, and why. That a version serves is
    news of its own (`tell_installed`)."""
    by = f"By {asked.decided_by.name}. " if asked.decided_by else ""
    notify(
        "model.promotion_decided",
        key=f"model.promotion_decided:{asked.pk}",
        subject=f"{asked.get_status_display()}: {_what_of(asked)}",
        text=f"{by}{asked.note}",
        url=f"{asked.version.get_absolute_url()}#promotion-last",
        about=asked.detector.slug,
        users=[asked.requested_by],
        actor=asked.decided_by,
        data={"request": asked.pk, "version": asked.version.label, "status": asked.status},
    )


def _what_of(asked: PromotionRequest) -> str:
    return f"{asked.version.label} to serve {asked.detector.name}"


def tell_not_rolled_back(guard: PromotionGuard, *, day: date) -> None:
    """A champion broke its guard and goes on serving, as the guard's `fault` says; once a day."""
    version, former = guard.version, guard.former
    notify(
        "model.not_rolled_back",
        key=f"model.not_rolled_back:{guard.pk}:{day}",
        subject=f"{version.detector.name}: {version.label} broke its guard and still serves",
        text=f"{guard.fault} Put the bundle of {former.label} back, or promote another version.",
        url=version.get_absolute_url(),
        about=version.detector.slug,
        data={"version": version.label, "former": former.label},
    )


def tell_not_watched(guard: PromotionGuard, *, day: date) -> None:
    """A new champion's guard cannot measure it, as the guard's `fault` says; once a day, and when
    the guard ends so."""
    version = guard.version
    over = guard.state != PromotionGuard.State.WATCHING
    notify(
        "model.not_watched",
        key=f"model.not_watched:{guard.pk}:{'over' if over else day}",
        subject=f"{version.detector.name}: {version.label} serves and is not watched",
        text=f"{guard.fault} Look at its numbers, and {_way_out(guard)} if they are bad.",
        url=version.get_absolute_url(),
        about=version.detector.slug,
        data={"version": version.label, "former": guard.former.label},
    )


def _way_out(guard: PromotionGuard) -> str:
    """What people can do where nothing rolls back by itself: nobody can go back to a bundle that
    is gone."""
    former = guard.former
    if fault := fault_at(bundle_root() / former.digest, former.digest):
        return (
            f"promote another version, or put the bundle of {former.label} back before you roll "
            f"back to it ({fault.rstrip('.')}),"
        )
    return "roll it back by hand"


def tell_review(version: ModelVersion, *, due: datetime, now: datetime) -> None:
    """A champion's review date comes near, told once; or it is past, told once a day."""
    kind = "model.review_over" if due <= now else "model.review_due"
    once = f"{due:%Y-%m-%d}" + (f":{now:%Y-%m-%d}" if due <= now else "")
    when = f"{due:%Y-%m-%d at %H:%M} UTC"
    if due <= now:
        subject = f"{version.label} is past its review date, and rules decide alone"
        text = f"Its review was due on {when}: its score is not used, predictions are degraded."
    else:
        subject = f"{version.label} is to be reviewed by {due:%Y-%m-%d}"
        text = f"From {when} on its score is not used any more: rules decide alone."
    notify(
        kind,
        key=f"{kind}:{version.pk}:{once}",
        subject=f"{version.detector.name}: {subject}",
        text=f"{text} Promote a version, or extend the term on the retraining page.",
        url=reverse("retraining", args=[version.detector.slug]),
        about=version.detector.slug,
        data={"version": version.label, "due": due.isoformat()},
    )


def tell_drift(check: DriftCheck) -> None:
    """A drift alarm began or got worse."""
    notify(
        "drift.alarm",
        key=f"drift.alarm:{check.pk}",
        subject=f"{check.detector.name}: {check.status} drift",
        text=f"What arrives no longer looks like what {check.model_version} was trained on.",
        url=reverse("drift", args=[check.detector.slug]),
        about=check.detector.slug,
        data={"status": check.status, "version": check.model_version, "rows": check.rows},
    )
