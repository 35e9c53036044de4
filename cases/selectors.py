"""Reads of alerts and cases: what is waiting, what belongs together."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, DateTimeField, F, Prefetch, Q, QuerySet
from django.db.models.functions import Coalesce, Least

from accounts.models import User
from cases.currencies import word_of_unknown
from cases.exchange import Rates
from cases.exchange_rates import current_rates
from cases.models import Alert, AlertPrediction, Touch
from cases.workflow import AlertStatus
from scoring.core.types import SelectionReason
from scoring.models import Label, Prediction
from scoring.selectors import opens_alerts

SWEEP_GRACE = timedelta(seconds=60)
SWEEP_REACH = timedelta(days=7)
SWEEP_ROWS = 2000


def predictions_without_alert(now: datetime) -> list[UUID]:
    """Flagged predictions of the last days that no alert holds and nobody has labelled yet, but for
    history that was imported to open none.

    A minute old at least: younger ones are still on their way through the ordinary message.
    """
    rows = (
        Prediction.objects.exclude(selection_reason=SelectionReason.NONE)
        .filter(
            opens_alerts(),
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
    """Open alerts with what a queue row shows, the most saved by a minute's work first.

    Detectors, whose declarations are long, are read once each, not once a row.
    """
    return (
        Alert.objects.filter(status=AlertStatus.OPEN)
        .select_related("owner", "locked_by", "top_prediction")
        .prefetch_related("detector")
        .order_by("-loss_per_minute", "-id")
    )


def find_alert(pk: int) -> Alert | None:
    """The alert with what its page shows."""
    rows = Alert.objects.select_related(
        "detector", "owner", "case", "locked_by", "closed_by", "top_prediction__detector"
    )
    return rows.filter(pk=pk).first()


def handling_stays() -> QuerySet[Any]:
    """Stays on alerts that were not closed then, with `until`: when each ended, at the latest when
    the alert was closed; None while it lasts.

    Who opens a closed alert reads it: that is no part of what handling it took.
    """
    ended = Coalesce("closed_at", "alert__closed_at")
    at_most = Coalesce("alert__closed_at", "closed_at")
    return (
        Touch.objects.filter(alert__isnull=False)
        .filter(Q(alert__closed_at=None) | Q(opened_at__lt=F("alert__closed_at")))
        .annotate(until=Least(ended, at_most, output_field=DateTimeField()))
    )


def assignable_users() -> list[User]:
    """Active users who may triage alerts, by name."""
    may = Q(groups__permissions__codename="triage_alert") | Q(is_superuser=True)
    return list(User.objects.filter(may, is_active=True).distinct().order_by("username"))


def entity_history(
    detector_id: int, entity: str, *, limit: int, before: datetime | None = None
) -> list[Prediction]:
    """The entity's newest predictions, newest first, with labels: those given `before` then."""
    rows = (
        Prediction.objects.filter(entity=entity, detector_id=detector_id)
        .prefetch_related(_labels(before))
        .order_by("-event_time", "-id")
    )
    return list(rows[:limit])


def _labels(before: datetime | None) -> "Prefetch[str]":
    found = Label.objects.all()
    return Prefetch("labels", found if before is None else found.filter(label_time__lt=before))


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


# --- What one alert's page asks about its entity -------------------------------------------------

TIMELINE_COLUMNS = (
    *("detector_id", "external_id", "event_time", "event", "entity", "score", "probability"),
    *("risk_level", "decision", "exposure", "currency"),
)


def newest_event_at(detector_id: int, entity: str) -> datetime | None:
    """When the entity's newest event was; None when it has none."""
    rows = Prediction.objects.filter(entity=entity, detector_id=detector_id)
    return rows.order_by("-event_time").values_list("event_time", flat=True).first()


def newest_of_entity(detector_id: int, entity: str) -> Prediction | None:
    """The entity's newest prediction."""
    rows = Prediction.objects.filter(entity=entity, detector_id=detector_id)
    return rows.order_by("-event_time", "-id").only(*TIMELINE_COLUMNS).first()


def entity_between(
    detector_id: int,
    entity: str,
    begin: datetime,
    end: datetime,
    *,
    limit: int,
    before: datetime | None = None,
) -> list[Prediction]:
    """The entity's predictions of a span, newest first, with labels: those given `before` then."""
    rows = Prediction.objects.filter(
        entity=entity, detector_id=detector_id, event_time__gte=begin, event_time__lte=end
    ).prefetch_related(_labels(before))
    return list(rows.order_by("-event_time", "-id").only(*TIMELINE_COLUMNS)[:limit])


def alerts_between(
    detector_id: int, entity: str, begin: datetime, end: datetime, *, limit: int
) -> list[Alert]:
    """The entity's alerts whose first event lies in a span, newest first."""
    rows = Alert.objects.filter(
        entity=entity, detector_id=detector_id, first_event_at__gte=begin, first_event_at__lte=end
    )
    return list(rows.order_by("-opened_at")[:limit])


def ids_of_alert(alert: Alert, *, limit: int) -> list[UUID]:
    """The ids of the predictions in an alert, the newest `limit` of them."""
    links = AlertPrediction.objects.filter(alert=alert).order_by("-pk")
    return list(links.values_list("prediction_id", flat=True)[:limit])


def other_predictions(alert: Alert, *, limit: int) -> list[Prediction]:
    """The events of an alert besides the top one, the newest `limit` of them, without what was
    found in them. One query, none where there is no other."""
    if alert.predictions_count < 2:
        return []
    links = AlertPrediction.objects.filter(alert=alert).exclude(prediction=alert.top_prediction_id)
    # Links are narrow: of the wide rows beside them no more than `limit` are read.
    newest = links.order_by("-pk").values("prediction")[:limit]
    rows = Prediction.objects.filter(pk__in=newest).order_by()
    return list(rows.only("detector", "entity", "event", "received_at"))


def currencies_without_rate(rates: Rates | None) -> dict[str, int]:
    """Currency -> how many alerts that are not closed are in it and cannot be converted. One query.

    While no rate is declared, all of them, where there are two currencies at least.
    """
    rows = (
        Alert.objects.exclude(Q(status=AlertStatus.CLOSED) | Q(exposure=None))
        .order_by("currency")
        .values_list("currency")
        .annotate(alerts=Count("pk"))
    )
    found = dict(rows)
    if rates is None:
        return found if len(found) > 1 else {}
    return {code: alerts for code, alerts in found.items() if rates.of(code) is None}


def lack_of_rates() -> str:
    """What cannot be compared among the alerts that wait, and what that means; empty where all can.
    Two queries."""
    rates = current_rates()
    lacking = currencies_without_rate(rates)
    if not lacking:
        return ""
    codes = ", ".join(f"{code or 'unnamed'} ({n:,} alerts)" for code, n in sorted(lacking.items()))
    have = "1 currency has" if len(lacking) == 1 else f"{len(lacking)} currencies have"
    told = f"{have} no rate: {codes}. They are ordered as they stand, and take two people to close."
    if rates is None:
        told = f"No rate is declared: amounts in {codes} are ordered and limited as they stand."
    return f"{told} {word_of_unknown(lacking)}".rstrip()
