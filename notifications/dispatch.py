"""Telling the workers that something waits to be sent. A lost message is healed by the sweep."""

from celery import current_app
from django.db import transaction

from jobs.dispatch import send_soon

SEND = "notifications.send"


def announce(notification_id: int) -> None:
    """After the commit, send the Celery task that delivers a notification."""

    def send() -> None:
        send_soon(current_app.send_task, SEND, args=[notification_id])

    # Robust: with the broker gone the request still succeeds; the sweep sends later.
    transaction.on_commit(send, robust=True)
