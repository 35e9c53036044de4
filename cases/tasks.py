"""Celery doors to the services. Each may run twice."""

from uuid import UUID

from celery import current_app, shared_task
from django.db import transaction
from django.utils import timezone

from cases.assigning import assign_waiting
from cases.erasure import ERASE, run_erasure
from cases.escalating import escalate_overdue
from cases.linking import index_links
from cases.reordering import reorder_alerts
from cases.retention import RETAIN, request_retention, run_retention
from cases.scheduled_reports import make_due_reports
from cases.selectors import predictions_without_alert
from cases.services import open_alerts
from cases.signing import sign_closed_alerts
from cases.summing_up import sum_up_all
from cases.tallying import tally_changed, tally_maturing
from cases.team_queues import place_unplaced
from cases.timing import apply_handling_times, keep_handling_times, measure_handling_times
from jobs.dispatch import announce_job, send_soon
from jobs.services import run_job

SECONDS = 20.0
"""So long the sweep sums up at most; it comes every thirty."""


@shared_task(name="cases.open_alerts")
def open_alerts_task(prediction_ids: list[str]) -> None:
    """Group flagged predictions into alerts."""
    open_alerts([UUID(pk) for pk in prediction_ids])


@shared_task(name="cases.open_missed_alerts")
def open_missed_alerts() -> None:
    """Find flagged predictions that a lost message left without an alert, and alerts that the
    queue cannot count yet."""
    open_alerts(predictions_without_alert(timezone.now()))
    sum_up_all(SECONDS)


@shared_task(name="cases.index_links")
def index_links_task() -> None:
    """Take new predictions and labels into the index of links."""
    index_links()


@shared_task(name="cases.sign_closed_alerts")
def sign_closed_alerts_task() -> None:
    """Remember what alerts that were closed looked like."""
    sign_closed_alerts()


@shared_task(name="cases.refresh_handling_times")
def refresh_handling_times() -> None:
    """Learn how long alerts take, and order those that wait by it."""
    now = timezone.now()
    found = measure_handling_times(now)
    keep_handling_times(found, now)
    apply_handling_times({cell: one.minutes for cell, one in found.items()})


@shared_task(name="cases.reorder_alerts")
def reorder_alerts_task() -> None:
    """Order what waits by the rates in force."""
    reorder_alerts()


def reorder_soon() -> None:
    """After the commit, ask a worker to. Nobody waits long for a broker that is silent: a sweep
    orders later."""

    def ask() -> None:
        send_soon(current_app.send_task, reorder_alerts_task.name, args=[])

    transaction.on_commit(ask, robust=True)


@shared_task(name="cases.escalate_overdue")
def escalate_overdue_task() -> None:
    """Escalate what is not done by its time."""
    escalate_overdue(timezone.now())


@shared_task(name="cases.assign_waiting")
def assign_waiting_task() -> None:
    """Give out what waits in team queues that assign."""
    place_unplaced(timezone.now())
    assign_waiting(timezone.now())


@shared_task(name="cases.tally_changed")
def tally_changed_task() -> None:
    """Count the days that changed, for the dashboards."""
    tally_changed()


@shared_task(name="cases.tally_maturing")
def tally_maturing_task() -> None:
    """Count the days again whose labels may still come."""
    tally_maturing()


@shared_task(name="cases.make_reports")
def make_reports_task() -> int:
    """Make the reports of the dashboards that are due by e-mail."""
    return make_due_reports(timezone.now())


@shared_task(name=ERASE)
def erase_person_task(job_id: int) -> None:
    """Erase a person's data."""
    run_job(job_id, run_erasure)


@shared_task(name="cases.retention_due")
def retention_due() -> None:
    """Begin to erase personal data that is kept no longer, where a time is set for it."""
    if job := request_retention():
        announce_job(job)


@shared_task(name=RETAIN)
def apply_retention_task(job_id: int) -> None:
    """Erase personal data that is kept no longer."""
    run_job(job_id, run_retention)
