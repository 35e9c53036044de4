"""Celery doors to the services. Each may run twice."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from cases.assigning import assign_waiting
from cases.escalating import escalate_overdue
from cases.selectors import predictions_without_alert
from cases.services import open_alerts
from cases.team_queues import place_unplaced


@shared_task(name="cases.open_alerts")
def open_alerts_task(prediction_ids: list[str]) -> None:
    """Group flagged predictions into alerts."""
    open_alerts([UUID(pk) for pk in prediction_ids])


@shared_task(name="cases.open_missed_alerts")
def open_missed_alerts() -> None:
    """Find flagged predictions that a lost message left without an alert."""
    open_alerts(predictions_without_alert(timezone.now()))


@shared_task(name="cases.escalate_overdue")
def escalate_overdue_task() -> None:
    """Escalate what is not done by its time."""
    escalate_overdue(timezone.now())


@shared_task(name="cases.assign_waiting")
def assign_waiting_task() -> None:
    """Give out what waits in team queues that assign."""
    place_unplaced(timezone.now())
    assign_waiting(timezone.now())
