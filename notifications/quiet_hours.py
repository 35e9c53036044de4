"""Quiet hours: local times of the day between which nothing is sent to a person."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def is_quiet(now: datetime, *, zone: str, start: time, end: time) -> bool:
    """Whether `now` (aware) lies in [start, end) by the wall clock of `zone`; may span midnight."""
    local = now.astimezone(ZoneInfo(zone)).time()
    if start <= end:
        return start <= local < end
    return local >= start or local < end


def quiet_until(
    now: datetime, *, zone: str, start: time | None, end: time | None
) -> datetime | None:
    """When the quiet hours end in which `now` lies, in UTC and after `now`; None outside of them.

    Where clocks are set, an end that does not exist is taken as if they had not been set yet, and
    of an end that comes twice the next one counts.
    """
    if start is None or end is None or not is_quiet(now, zone=zone, start=start, end=end):
        return None
    local = now.astimezone(ZoneInfo(zone))
    for days in (0, 1, 2):
        for fold in (0, 1):
            day = local.date() + timedelta(days=days)
            ends = datetime.combine(day, end, tzinfo=local.tzinfo).replace(fold=fold)
            if ends.astimezone(UTC) > now:
                return ends.astimezone(UTC)
    raise AssertionError("An end of the day after tomorrow lies ahead.")
