"""Is there time for a verdict on live traffic? How often versions come, and how long labels take.

A challenger is in shadow until as many newer ones came as are in shadow at once. What it scored can
be judged once labels of enough days of it have matured.
"""

from datetime import timedelta

from django.conf import settings

from models_registry.core.live import LEAST_DAYS
from models_registry.retraining_models import RetrainingPolicy
from models_registry.timetable import Timetable
from scoring.models import Detector

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def label_delay(detector: Detector) -> timedelta:
    """How long labels take, as declared. Raises SpecError."""
    return timedelta(seconds=detector.spec().training.label_delay)


def verdict_takes(detector: Detector) -> timedelta:
    """How long a challenger has to be in shadow for a verdict to be possible while it is there:
    the days that a verdict asks for, and until their labels have matured. Raises SpecError."""
    return LEAST_DAYS * DAY + label_delay(detector)


def trains_every(policy: RetrainingPolicy, timetable: Timetable) -> timedelta | None:
    """The longest time between two trainings that the clock and the age allow; None where neither
    is on. Labels and drift may ask for more; a timetable of the admin's own is not read."""
    periods = [max(policy.age, policy.quiet)] if policy.on_age else []
    if timetable.on and (every := timetable.every) is not None:
        periods.append(every)
    return min(periods, default=None)


def too_little_time(detector: Detector, policy: RetrainingPolicy, timetable: Timetable) -> str:
    """Why automatic training leaves a challenger too little time in shadow for a verdict, in words;
    empty where it does not. Raises SpecError."""
    every, most = trains_every(policy, timetable), settings.SHADOW_MOST
    if every is None or not most or every * most >= verdict_takes(detector):
        return ""
    said = (
        f"A challenger is in shadow for {_span(every * most)}: a training every {_span(every)},"
        f" {most} in shadow at once."
    )
    if every * most < LEAST_DAYS * DAY:
        return f"{said} A verdict on live traffic needs {LEAST_DAYS} days: there may be none."
    return (
        f"{said} Its labels take {_span(label_delay(detector))} and a verdict on live traffic needs"
        f" {LEAST_DAYS} days of them: it comes about {_span(verdict_takes(detector))} after the"
        " start, when newer versions have taken its place."
    )


def _span(span: timedelta) -> str:
    days = span / DAY
    count, unit = (days, "day") if days >= 2 or days == 1 else (span / HOUR, "hour")
    return f"{count:.4g} {unit}{'' if count == 1 else 's'}"
