"""Which team queue has an alert or a case, and by when it is due there."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cases.limits import limit_of_queue, lowest
from cases.models import Alert, Case
from cases.work_queue_models import WorkQueue, taken_by
from cases.working_hours import ALWAYS, HoursError, WorkingHours, add_working_time

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """A queue with what it takes."""

    queue: WorkQueue
    detectors: frozenset[int]
    hours: WorkingHours


@dataclass
class Routes:
    """The active queues in their order, read once (two queries) when first asked for."""

    _rows: list[Route] | None = field(default=None)

    def all(self) -> Sequence[Route]:
        if self._rows is None:
            queues = WorkQueue.objects.filter(is_active=True).prefetch_related("detectors")
            self._rows = [_route(queue) for queue in queues]
        return self._rows

    def find(self, *, detector_id: int, level: int) -> Route | None:
        """The first queue that takes it."""
        for route in self.all():
            if taken_by(route.queue, route.detectors, detector_id=detector_id, level=level):
                return route
        return None


def _route(queue: WorkQueue) -> Route:
    try:
        hours = queue.hours()
    except HoursError:
        # Late is worse than early: what nobody can read counts as around the clock.
        logger.exception("The working hours of queue %s cannot be read.", queue.pk)
        hours = ALWAYS
    return Route(queue, frozenset(row.pk for row in queue.detectors.all()), hours)


def place_alert(alert: Alert, *, routes: Routes, now: datetime) -> None:
    """Put an alert into its queue; it is not saved here.

    An alert that has become riskier may go to another queue while nobody owns it. Its due time
    then only comes closer: nobody gains time by a move. It keeps the lowest limit of the queues
    that it was in, the installation's while it is in none.
    """
    if alert.work_queue_id is not None and alert.owner_id is not None:
        return
    route = routes.find(detector_id=alert.detector_id, level=alert.level)
    if route is None and alert.work_queue_id is None:
        alert.approval_limit = lowest((alert.approval_limit, limit_of_queue(None)))
    if route is None or route.queue.pk == alert.work_queue_id:
        return
    alert.work_queue = route.queue
    alert.approval_limit = lowest((alert.approval_limit, limit_of_queue(route.queue)))
    _set_times(alert, route, now)


def renew_times(item: Alert | Case, now: datetime) -> None:
    """Give what comes back into a queue fresh times in place of those that have passed, and save
    them: its team gets the time that it gives to any. Without a queue nothing is due.

    It may be escalated again.
    """
    queue = item.work_queue
    due, escalate = (None, None) if queue is None else due_times(_route(queue), now)
    if item.due_at is None or item.due_at <= now:
        item.due_at = due
    if item.escalate_at is None or item.escalate_at <= now:
        item.escalate_at = escalate
    item.escalated_at = None
    item.save(update_fields=["due_at", "escalate_at", "escalated_at"])


def place_case(case: Case, alerts: Sequence[Alert], *, routes: Routes, now: datetime) -> None:
    """Put a new case into the queue of its riskiest alert; it is not saved here."""
    top = max(alerts, key=lambda alert: (alert.level, alert.expected_loss))
    route = routes.find(detector_id=top.detector_id, level=top.level)
    if route is not None:
        case.work_queue = route.queue
        _set_times(case, route, now)


def _set_times(item: Alert | Case, route: Route, now: datetime) -> None:
    due, escalate = due_times(route, now)
    item.due_at = min(filter(None, (item.due_at, due)))
    item.escalate_at = min(filter(None, (item.escalate_at, escalate)))


def due_times(route: Route, now: datetime) -> tuple[datetime, datetime]:
    """When what opens now is due, and when it is escalated."""

    def after(minutes: int) -> datetime:
        try:
            return add_working_time(now, timedelta(minutes=minutes), route.hours)
        except HoursError:
            logger.exception("Queue %s has no working time left.", route.queue.pk)
            return now + timedelta(minutes=minutes)

    return after(route.queue.due_after), after(route.queue.escalate_after)
