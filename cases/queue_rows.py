"""The rows of the queue: what a line about an alert shows, and what became of it meanwhile."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from cases.locking import held_by
from cases.models import Alert
from cases.rows import AlertRow, alert_row
from cases.workflow import AlertStatus
from scoring.presenting import SpecCache


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of an alert: an icon, what it says on hover and to a screen reader.

    `kind` is the class of its looks: `is-gone` once it is decided, `is-locked` while it is in
    somebody else's hands.
    """

    icon: str
    words: str
    title: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class RowState:
    """The parts of a row that change in place. `key` is the alert's number as markup has it."""

    key: str
    mark: Mark | None
    owner: str


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of the queue; `line` is what any list of alerts shows, `seen` how many events it
    holds, as markup has it."""

    alert: Alert
    line: AlertRow
    live: RowState
    url: str
    seen: str


def queue_rows(
    alerts: Iterable[Alert],
    specs: SpecCache,
    purposes: Mapping[int, str],
    *,
    user_id: int,
    now: datetime,
) -> list[QueueRow]:
    """Lines for alerts that come with `detector`, `top_prediction`, `owner` and `locked_by`."""
    return [
        QueueRow(
            alert,
            alert_row(alert, specs, purposes.get(alert.pk, "")),
            state_of_row(alert, user_id=user_id, now=now),
            reverse("alert_detail", args=[alert.pk]),
            str(alert.predictions_count),
        )
        for alert in alerts
    ]


def state_of_row(alert: Alert, *, user_id: int, now: datetime) -> RowState:
    """What a row shows of an alert that came with `owner` and `locked_by`."""
    owner = alert.owner.get_username() if alert.owner else ""
    return RowState(str(alert.pk), _mark(alert, user_id, now), owner)


def _mark(alert: Alert, user_id: int, now: datetime) -> Mark | None:
    if alert.status == AlertStatus.CLOSED:
        # Nothing is said of the outcome where it was hidden from who holds a second look.
        outcome = f": {alert.get_disposition_display().lower()}" if alert.disposition else ""
        return Mark("check", "Closed", f"Closed{outcome}", "is-gone")
    if alert.status != AlertStatus.OPEN:
        return Mark("briefcase", "In a case", f"In case {alert.case_id}", "is-gone")
    holder = held_by(alert, now)
    if holder == user_id:
        return Mark("lock-open", "Locked by you", "Locked by you")
    if holder is not None and alert.locked_by is not None:
        words = f"Locked by {alert.locked_by.name}"
        return Mark("lock", words, words, "is-locked")
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        return Mark(
            "alarm-snooze", "Snoozed", f"Snoozed until {alert.snoozed_until:%Y-%m-%d %H:%M} UTC"
        )
    return None
