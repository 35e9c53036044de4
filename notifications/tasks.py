"""Celery doors to the services. Each may run twice."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from notifications.dispatch import SEND
from notifications.expiring_keys import tell_expiring_keys
from notifications.failed_jobs import tell_failed_jobs
from notifications.sending import send_due, send_notification
from notifications.services import forget_old

_AT_ONCE = 200


@shared_task(name=SEND)
def send_task(notification_id: int) -> int:
    """Send one notification where it is due."""
    return send_notification(notification_id)


@shared_task(name="notifications.send_due")
def send_due_task() -> int:
    """Send what waits: retries, what quiet hours held back, what a lost message left."""
    return send_due(most=_AT_ONCE)


@shared_task(name="notifications.tell_failed_jobs")
def tell_failed_jobs_task() -> int:
    """Tell of background jobs that failed."""
    return tell_failed_jobs(now=timezone.now())


@shared_task(name="notifications.tell_expiring_keys")
def tell_expiring_keys_task() -> int:
    """Tell of API keys that expire."""
    return tell_expiring_keys(now=timezone.now())


@shared_task(name="notifications.forget_old")
def forget_old_task() -> int:
    """Delete what is past the time for which it is kept."""
    return forget_old(timezone.now() - timedelta(days=settings.NOTIFICATIONS_KEPT_DAYS))
