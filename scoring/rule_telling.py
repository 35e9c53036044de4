"""What of requests about rules is told to people and other systems, and their words. Who is told,
and how, is for `notifications`."""

from collections.abc import Collection

from django.urls import reverse

from accounts.models import User
from notifications.services import notify
from scoring.core.types import Stage
from scoring.rule_request_models import RuleRequest

Kind = RuleRequest.Kind


def tell_asked(asked: RuleRequest, *, to: Collection[User]) -> None:
    """A change waits for a second person: whoever may be that one is told."""
    why = f" “{asked.reason}”" if asked.reason else ""
    notify(
        "rule.asked",
        key=f"rule.asked:{asked.pk}",
        subject=f"Waits for a second person: {what_of(asked)}",
        text=f"{asked.requested_by.name} asks for it.{why}",
        url=line_of(asked),
        about=asked.detector.slug,
        users=to,
        actor=asked.requested_by,
        data={"request": asked.pk, "kind": asked.kind},
    )


def tell_decided(asked: RuleRequest) -> None:
    """Whoever asked is told what became of it, by whom and why; what they ended themselves, they
    know."""
    by = f"By {asked.decided_by.name}." if asked.decided_by else ""
    notify(
        "rule.decided",
        key=f"rule.decided:{asked.pk}",
        subject=f"{asked.get_status_display()}: {what_of(asked)}",
        text=f"{by} {asked.note}".strip(),
        url=line_of(asked),
        about=asked.detector.slug,
        users=[asked.requested_by],
        actor=asked.decided_by,
        data={"request": asked.pk, "kind": asked.kind, "status": asked.status},
    )


def url_of(asked: RuleRequest) -> str:
    """The page on which it is decided."""
    if asked.rule is None:
        return reverse("policy", args=[asked.detector.slug])
    return reverse("rule_detail", args=[asked.detector.slug, asked.rule.code])


def line_of(asked: RuleRequest) -> str:
    """Where it stands on that page, waiting or decided."""
    return f"{url_of(asked)}#request-{asked.pk}"


def what_of(asked: RuleRequest) -> str:
    """What would happen, as a clause: `BIG_GIFT v2 goes live in place of v1`."""
    if asked.rule is None or asked.version is None:
        return f"Other settings for {asked.detector.name}"
    name = f"{asked.rule.code} v{asked.version.number}"
    if asked.kind == Kind.THRESHOLDS:
        return f"Other thresholds for {name}"
    if asked.to == Stage.LIVE:
        live = asked.live
        if live is None or live == asked.version:
            return f"{name} goes live"
        return f"{name} goes live in place of v{live.number}"
    if asked.to == Stage.SHADOW:
        return f"{name} stops deciding and goes into shadow"
    return f"{name} stops deciding and retires"
