"""Celery doors to the services. Each may run twice."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from cases.selectors import predictions_without_alert
from cases.services import open_alerts
from cases.tallying import tally_changed, tally_maturing


@shared_task(name="cases.open_alerts")
def open_alerts_task(prediction_ids: list[str]) -> None:
    """Group flagged predictions into alerts."""
    open_alerts([UUID(pk) for pk in prediction_ids])


@shared_task(name="cases.open_missed_alerts")
def open_missed_alerts() -> None:
    """Find flagged predictions that a lost message left without an alert."""
    open_alerts(predictions_without_alert(timezone.now()))


@shared_task(name="cases.tally_changed")
def tally_changed_task() -> None:
    """Count the days that changed, for the dashboards."""
    tally_changed()


@shared_task(name="cases.tally_maturing")
def tally_maturing_task() -> None:
    """Count the days again whose labels may still come."""
    tally_maturing()
