"""Reports of the dashboards that are due: made once each, and given to `notifications` to send.

The row of a run names its period and is written together with the e-mail, so two workers, or a
tick that comes twice, make it once. After a pause of the workers only the newest period is made.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import User
from cases.dashboards import counted_until
from cases.report_mail import Period, period_until, write_report
from cases.report_models import ReportRun, ReportSubscription
from cases.report_subscribing import KIND, readers_of
from cases.tallying import day_bounds
from cases.workflow import MoveRefused
from notifications.models import Delivery
from notifications.services import send_letter

logger = logging.getLogger(__name__)
PATIENCE = timedelta(hours=1)
"""So long a report waits until its last day is counted to the end."""


def make_due_reports(now: datetime) -> int:
    """Make what is due and was not made; how many. What fails is tried again with the next tick,
    until the next period takes its place."""
    made, counted = 0, counted_until()
    rows = ReportSubscription.objects.filter(is_paused=False).select_related("owner", "detector")
    for subscription in rows.order_by("pk"):
        try:
            made += _make_if_due(subscription, counted, now)
        except Exception:
            # One that cannot be made (a declaration, a template) must not keep back the others.
            logger.exception("Report %s could not be made.", subscription.pk)
    return made


def _make_if_due(subscription: ReportSubscription, counted: datetime | None, now: datetime) -> bool:
    due = subscription.timetable.latest(now)
    if due.at <= subscription.handled_until:
        return False
    period = period_until(due.at, subscription.days)
    if not _is_counted(period, counted) and now < due.at + PATIENCE:
        return False
    made = _make(subscription, key=f"{due.at:%Y-%m-%dT%H:%M}", period=period, now=now)
    # Only forward: its owner may have changed it meanwhile.
    rows = ReportSubscription.objects.filter(pk=subscription.pk, handled_until__lt=due.at)
    rows.update(handled_until=due.at)
    return made


def make_report_now(subscription: ReportSubscription, *, actor: User, now: datetime) -> int:
    """Make one for the days until yesterday, beside those that are due; how many e-mails it is.

    Raises MoveRefused within a minute of the last one, and where nobody would get it.
    """
    period = period_until(now, subscription.days)
    key = f"now {now:%Y-%m-%dT%H:%M}"
    if not readers_of(subscription):
        raise MoveRefused("Nobody who may see dashboards would get it.")
    if not _make(subscription, key=key, period=period, now=now):
        raise MoveRefused("It was sent a moment ago. Wait a minute.")
    logger.info("Report %s was sent by user %s.", subscription.pk, actor.pk)
    run = subscription.runs.get(key=key)
    return Delivery.objects.filter(notification=run.notification_id).count()


def _is_counted(period: Period, counted: datetime | None) -> bool:
    return counted is not None and counted >= day_bounds(period.last)[1]


def _make(subscription: ReportSubscription, *, key: str, period: Period, now: datetime) -> bool:
    """Make one, unless it was made; whether it was made here."""
    if subscription.runs.filter(key=key).exists():
        return False
    people = readers_of(subscription)
    written = write_report(subscription, period, now) if people else None
    with transaction.atomic():
        run, new = ReportRun.objects.get_or_create(
            subscription=subscription,
            key=key,
            defaults={"first": period.first, "last": period.last, "made_at": now},
        )
        if not new:
            return False
        if written is not None:
            key = f"report:{subscription.pk}:{key}"
            run.notification = send_letter(KIND, written, key=key, users=people)
            run.save(update_fields=["notification"])
    return written is not None
