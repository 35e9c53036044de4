"""Reads of alerts and cases: what is waiting, what belongs together."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Max, Prefetch, Q, QuerySet

from accounts.models import User
from cases.models import Alert, AlertPrediction
from cases.workflow import AlertStatus
from scoring.core.types import SelectionReason
from scoring.models import Label, Prediction

SWEEP_GRACE = timedelta(seconds=60)
SWEEP_REACH = timedelta(days=7)
SWEEP_ROWS = 2000


def predictions_without_alert(now: datetime) -> list[UUID]:
    """Flagged predictions of the last days that no alert holds and nobody has labelled yet.

    A minute old at least: younger ones are still on their way through the ordinary message.
    """
    rows = (
        Prediction.objects.exclude(selection_reason=SelectionReason.NONE)
        .filter(
            received_at__gte=now - SWEEP_REACH,
            received_at__lte=now - SWEEP_GRACE,
            alert_link__isnull=True,
            labels__isnull=True,
        )
        .order_by("received_at")
        .values_list("pk", flat=True)
    )
    return list(rows[:SWEEP_ROWS])


def alert_queue() -> QuerySet[Alert]:
    """Open alerts with what a queue row shows, the largest expected loss first."""
    return (
        Alert.objects.filter(status=AlertStatus.OPEN)
        .select_related("detector", "owner", "top_prediction")
        .order_by("-expected_loss", "-id")
    )


@dataclass(frozen=True, slots=True)
class AlertCount:
    """How many open alerts one detector, level and owner have."""

    slug: str
    name: str
    level: int
    owner_id: int | None
    count: int


def alert_counts() -> list[AlertCount]:
    """Open alerts counted by detector, level and owner: one query for every count of the queue."""
    rows = Alert.objects.filter(status=AlertStatus.OPEN).order_by()
    grouped = rows.values_list("detector__slug", "detector__name", "level", "owner_id")
    return [AlertCount(*row) for row in grouped.annotate(n=Count("pk"))]


def newest_alert_id() -> int:
    """The highest id of any alert; 0 when there is none."""
    return Alert.objects.aggregate(newest=Max("pk"))["newest"] or 0


def find_alert(pk: int) -> Alert | None:
    """The alert with what its page shows."""
    rows = Alert.objects.select_related("detector", "owner", "case", "top_prediction__detector")
    return rows.filter(pk=pk).first()


def assignable_users() -> list[User]:
    """Active users who may triage alerts, by name."""
    may = Q(groups__permissions__codename="triage_alert") | Q(is_superuser=True)
    return list(User.objects.filter(may, is_active=True).distinct().order_by("username"))


def predictions_of_alert(alert: Alert) -> QuerySet[Prediction]:
    """The alert's predictions with their labels, newest event first."""
    return (
        Prediction.objects.filter(alert_link__alert=alert)
        .select_related("detector")
        .prefetch_related(Prefetch("labels", Label.objects.select_related("author")))
        .order_by("-event_time", "-id")
    )


def entity_history(detector_id: int, entity: str, *, limit: int) -> list[Prediction]:
    """The entity's newest predictions, with labels, newest first."""
    rows = (
        Prediction.objects.filter(entity=entity, detector_id=detector_id)
        .prefetch_related("labels")
        .order_by("-event_time", "-id")
    )
    return list(rows[:limit])


def past_alerts_of_entity(alert: Alert, *, limit: int) -> list[Alert]:
    """Earlier alerts of the same entity, any detector, newest first."""
    rows = (
        Alert.objects.filter(entity=alert.entity)
        .exclude(pk=alert.pk)
        .select_related("detector", "case")
        .order_by("-opened_at")
    )
    return list(rows[:limit])


def alerts_of_entity(detector_id: int, entity: str, *, limit: int) -> list[Alert]:
    """Alerts of an entity, newest first."""
    rows = Alert.objects.filter(detector_id=detector_id, entity=entity)
    return list(rows.select_related("detector", "case", "owner").order_by("-opened_at")[:limit])


def linked(prediction_ids: list[UUID]) -> set[UUID]:
    """Which of these predictions an alert holds already."""
    rows = AlertPrediction.objects.filter(prediction_id__in=prediction_ids)
    return set(rows.values_list("prediction_id", flat=True))
