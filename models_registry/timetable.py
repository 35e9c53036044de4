"""When a detector is trained by the clock: one PeriodicTask of django-celery-beat per detector.

The row is the truth, wherever it was edited: on our page or in Django's admin.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django_celery_beat.models import CrontabSchedule, PeriodicTask

from scoring.models import Detector

RETRAIN_ON_TIME: Final = "models_registry.retrain_on_time"
DAILY: Final = "*"
DAYS: Final = {
    DAILY: "every day",
    "1": "every Monday",
    "2": "every Tuesday",
    "3": "every Wednesday",
    "4": "every Thursday",
    "5": "every Friday",
    "6": "every Saturday",
    "0": "every Sunday",
}
"""Celery's days of the week; the first is the default."""
OTHER: Final = "other"
"""A schedule that our page cannot express: it stands as it was set in the admin."""
DEFAULT_DAY, DEFAULT_HOUR = "0", 3


@dataclass(frozen=True, slots=True)
class Timetable:
    """`day` is a key of DAYS, or OTHER; `hour` in UTC; `words` say when."""

    on: bool = False
    day: str = DEFAULT_DAY
    hour: int = DEFAULT_HOUR
    words: str = ""

    @property
    def every(self) -> timedelta | None:
        """The time from one training to the next; None where only the admin knows."""
        return None if self.day == OTHER else timedelta(days=1 if self.day == DAILY else 7)


def task_name(detector: Detector) -> str:
    """The name of its PeriodicTask."""
    return f"Retrain {detector.slug} by the clock"


def timetable_of(detector: Detector) -> Timetable:
    """What the detector's row says; off where there is none yet."""
    return timetables([detector])[detector.pk]


def timetables(detectors: Iterable[Detector]) -> dict[int, Timetable]:
    """What the rows of several say, by the id of the detector. One query."""
    named = {task_name(detector): detector.pk for detector in detectors}
    rows = PeriodicTask.objects.select_related("crontab", "interval", "solar", "clocked")
    found = {row.name: row for row in rows.filter(name__in=named)}
    return {pk: _read(found.get(name)) for name, pk in named.items()}


def _read(row: PeriodicTask | None) -> Timetable:
    if row is None:
        return Timetable(words=words_of(DEFAULT_DAY, DEFAULT_HOUR))
    tab = row.crontab
    plain = (
        tab is not None
        and (tab.day_of_month, tab.month_of_year, str(tab.timezone)) == ("*", "*", "UTC")
        and tab.minute == "0"
        and tab.day_of_week in DAYS
        and tab.hour.isdigit()
    )
    if not plain:
        return Timetable(row.enabled, OTHER, DEFAULT_HOUR, f"as set in the admin: {row.scheduler}")
    hour = int(tab.hour)
    return Timetable(row.enabled, tab.day_of_week, hour, words_of(tab.day_of_week, hour))


def set_timetable(detector: Detector, *, on: bool, day: str, hour: int) -> Timetable:
    """Keep when to train; OTHER leaves the times as they are. Beat reads it within seconds."""
    row = PeriodicTask.objects.filter(name=task_name(detector)).first()
    if row is None:
        row = PeriodicTask(
            name=task_name(detector),
            task=RETRAIN_ON_TIME,
            args=json.dumps([detector.slug]),
            description="Edited on the detector's retraining page too.",
        )
    if day != OTHER:
        row.crontab = _crontab(day, hour)
        row.interval = row.solar = row.clocked = None
    row.enabled = on
    row.save()  # Not update(): its signal tells beat.
    return timetable_of(detector)


def make_missing_timetables() -> None:
    """A row for every detector, switched off, so that the admin has something to edit."""
    known = set(PeriodicTask.objects.filter(task=RETRAIN_ON_TIME).values_list("name", flat=True))
    for detector in Detector.objects.defer("config"):
        if task_name(detector) not in known:
            set_timetable(detector, on=False, day=DEFAULT_DAY, hour=DEFAULT_HOUR)


def _crontab(day: str, hour: int) -> CrontabSchedule:
    # Not get_or_create: the admin may have made the same one twice.
    wanted = {
        "minute": "0", "hour": str(hour), "day_of_week": day,
        "day_of_month": "*", "month_of_year": "*", "timezone": "UTC",
    }  # fmt: skip
    return CrontabSchedule.objects.filter(**wanted).first() or CrontabSchedule.objects.create(
        **wanted
    )


def words_of(day: str, hour: int) -> str:
    """`every Monday at 03:00 UTC`."""
    return f"{DAYS[day]} at {hour:02d}:00 UTC"
