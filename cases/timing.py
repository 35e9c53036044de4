"""Handling times: measured from finished stays, kept, and applied to the alerts that wait."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from cases.handling_time import SIZES, Cell, Estimate, Handled, estimate, predict, seconds_spent
from cases.models import Alert
from cases.queue_models import HandlingTime
from cases.selectors import handling_stays
from cases.workflow import AlertStatus
from scoring.core.reader import SpecError
from scoring.core.types import RISK_LEVELS
from scoring.models import Detector

REACH = timedelta(days=90)
MOST_TOUCHES = 200_000
SAME = 0.01
"""An estimate that moved by less than this share leaves the alerts as they are."""


def measure_handling_times(now: datetime) -> dict[Cell, Estimate]:
    """Estimates from the alerts that were closed in the last 90 days; may run twice."""
    rows = (
        handling_stays()
        .filter(
            alert__status=AlertStatus.CLOSED,
            alert__closed_at__gte=now - REACH,
            alert__case=None,
        )
        .order_by("-pk")
        .values_list(
            "alert_id", "alert__detector_id", "alert__level", "alert__predictions_count",
            "opened_at", "until",
        )
    )  # fmt: skip
    stays: dict[tuple[int, int, int, int], list[float]] = defaultdict(list)
    for alert, detector, level, events, opened, until in rows[:MOST_TOUCHES].iterator():
        stays[alert, detector, level, events].append((until - opened).total_seconds())
    return estimate(
        Handled(detector, level, events, seconds_spent(times))
        for (_, detector, level, events), times in stays.items()
    )


@transaction.atomic
def keep_handling_times(found: dict[Cell, Estimate], now: datetime) -> None:
    """Put these estimates in the place of the former ones."""
    HandlingTime.objects.all().delete()
    HandlingTime.objects.bulk_create(
        HandlingTime(
            detector_id=cell[0], level=cell[1], size=cell[2],
            minutes=one.minutes, alerts=one.alerts, measured_at=now,
        )
        for cell, one in found.items()
    )  # fmt: skip


def apply_handling_times(minutes: dict[Cell, float]) -> int:
    """Order the waiting alerts by these minutes, one short statement a kind of alert.

    Returns how many alerts moved.
    """
    moved = 0
    for detector in Detector.objects.all():
        try:
            saved = detector.spec().costs.recoverability
        except SpecError:
            saved = 1.0
        for level in range(len(RISK_LEVELS)):
            for events in _sizes():
                taken = predict(minutes, detector.pk, level, events["least"])
                moved += _apply(detector, level, events, taken, saved)
    return moved


def _sizes() -> list[dict[str, int]]:
    """The least and the most number of events of each size."""
    least = [1, *SIZES]
    return [
        {"least": first, "most": after - 1}
        for first, after in zip(least, [*least[1:], 2**31], strict=True)
    ]


def _apply(
    detector: Detector, level: int, events: dict[str, Any], minutes: float, saved: float
) -> int:
    right = F("expected_loss") * (saved / minutes)
    same = Q(loss_per_minute__gte=right * (1 - SAME), loss_per_minute__lte=right * (1 + SAME))
    rows = Alert.objects.filter(
        status=AlertStatus.OPEN,
        detector=detector,
        level=level,
        predictions_count__gte=events["least"],
        predictions_count__lte=events["most"],
    )
    return rows.exclude(same).update(handling_minutes=minutes, loss_per_minute=right)
