"""What beat runs for this app."""

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore

from accounts.lockout import forget_failed_logins
from accounts.token_families import forget_token_families


@shared_task(name="accounts.forget_old")
def forget_old_task() -> int:
    """Delete sessions and API log-ins that are over, and the names and addresses of failed log-ins
    that count for nothing any more; of how many failed log-ins."""
    SessionStore.clear_expired()
    forget_token_families()
    return forget_failed_logins()
