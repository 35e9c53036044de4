"""What beat runs for this app."""

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore

from accounts.lockout import forget_failed_logins


@shared_task(name="accounts.forget_old")
def forget_old_task() -> int:
    """Delete sessions that are over, and the names and addresses of failed log-ins that count for
    nothing any more; of how many log-ins."""
    SessionStore.clear_expired()
    return forget_failed_logins()
