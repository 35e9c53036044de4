"""Who gets which report of the dashboards by e-mail: subscribe, change, pause, leave, stop."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.report_models import ReportRun, ReportSubscription
from cases.workflow import MoveRefused
from notifications.models import Delivery
from notifications.selectors import people_for

MOST = 20
"""Reports that one person may have."""
MOST_RECIPIENTS = 50
KIND = "report.scheduled"
SHARE = "cases.share_report"


def subscriptions_of(user: User) -> QuerySet[ReportSubscription]:
    """A person's own, the oldest first."""
    return ReportSubscription.objects.filter(owner=user).select_related("detector", "owner")


def sent_by_others(user: User) -> QuerySet[ReportSubscription]:
    """What others have sent to a person."""
    rows = ReportSubscription.objects.filter(recipients=user).exclude(owner=user)
    return rows.select_related("detector", "owner").order_by("pk")


def people_named(names: Sequence[str]) -> tuple[list[User], list[str]]:
    """(users of these names who may get reports, names for which there is none)."""
    users = list(User.objects.filter(username__in=names))
    may = people_for(KIND, users)
    known = {user.username for user in may}
    return may, [name for name in names if name not in known]


def readers_of(subscription: ReportSubscription) -> list[User]:
    """Who gets it now: its owner, and others while its owner may send it to them; nobody once the
    owner may not see dashboards any more."""
    owner = subscription.owner
    others = list(subscription.recipients.all()) if owner.has_perm(SHARE) else []
    found = people_for(KIND, [owner, *others])
    return found if owner in found else []


@transaction.atomic
def save_subscription(
    subscription: ReportSubscription, *, recipients: Sequence[User] | None, actor: User
) -> None:
    """Subscribe or change; `recipients` None leaves them. What was due before now is not made up
    for. Raises MoveRefused above the most that one person may have."""
    new = subscription.pk is None
    if new:
        User.objects.select_for_update().get(pk=subscription.owner_id)
        if subscriptions_of(subscription.owner).count() >= MOST:
            raise MoveRefused(f"You have {MOST} reports already. Delete one first.")
    subscription.handled_until = timezone.now()
    subscription.save()
    if recipients is not None:
        subscription.recipients.set([one for one in recipients if one != subscription.owner])
    action = "report.subscribed" if new else "report.changed"
    to = sorted(subscription.recipients.values_list("pk", flat=True))
    record_audit(actor=actor, action=action, subject=subscription, detail={"to": to})


@transaction.atomic
def pause_subscription(subscription: ReportSubscription, *, pause: bool, actor: User) -> bool:
    """Pause it, or go on with what is due from now on; False where it is so already."""
    rows = ReportSubscription.objects.filter(pk=subscription.pk, is_paused=not pause)
    changed = rows.update(is_paused=pause, handled_until=timezone.now())
    if changed:
        action = "report.paused" if pause else "report.resumed"
        record_audit(actor=actor, action=action, subject=subscription)
    return bool(changed)


@transaction.atomic
def end_subscription(subscription: ReportSubscription, *, actor: User) -> None:
    """Delete it; nobody gets it any more."""
    record_audit(actor=actor, action="report.ended", subject=subscription)
    subscription.delete()


@transaction.atomic
def leave_subscription(subscription: ReportSubscription, *, user: User) -> None:
    """`user` does not want any more what somebody else has sent to them."""
    subscription.recipients.remove(user)
    record_audit(actor=user, action="report.left", subject=subscription)


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest report of a subscription, and how many of its e-mails stand how."""

    run: ReportRun
    sent: int = 0
    waiting: int = 0
    failed: int = 0


def last_runs(subscriptions: Sequence[ReportSubscription]) -> dict[int, LastRun]:
    """By subscription, its newest report. Two queries."""
    newest = ReportRun.objects.filter(subscription=OuterRef("pk")).order_by("-made_at", "-pk")
    rows = ReportSubscription.objects.filter(pk__in=[one.pk for one in subscriptions])
    picked = rows.order_by().annotate(run=Subquery(newest.values("pk")[:1])).values("run")
    runs = list(ReportRun.objects.filter(pk__in=picked))
    stand: dict[int, Counter[str]] = defaultdict(Counter)
    sent = Delivery.objects.filter(notification__in=[run.notification_id for run in runs])
    for news, status, n in (
        sent.order_by().values_list("notification", "status").annotate(n=Count("pk"))
    ):
        stand[news][status] += n
    found = {}
    for run in runs:
        counts = stand[run.notification_id] if run.notification_id else Counter()
        live = counts[Delivery.Status.WAITING] + counts[Delivery.Status.SENDING]
        found[run.subscription_id] = LastRun(
            run, counts[Delivery.Status.SENT], live, counts[Delivery.Status.FAILED]
        )
    return found
