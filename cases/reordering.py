"""New rates order anew what waits: at once, a few alerts at a time, so that no lock lasts."""

from django.db import transaction
from django.db.models import Q, QuerySet

from cases.exchange import Rates
from cases.exchange_rates import current_rates
from cases.expected_loss import VALUED, value_alerts
from cases.handling_time import loss_per_minute
from cases.models import Alert
from cases.workflow import AlertStatus
from scoring.core.reader import SpecError
from scoring.models import Detector

AT_ONCE = 200


def reorder_alerts() -> int:
    """Value the alerts that are not closed by the rates in force; how many were valued by others.

    May run twice. One that somebody holds at this moment is left to the next sweep.
    """
    rates = current_rates()
    saved, done, last = _recoverable(), 0, 0
    while found := list(_stale(rates).filter(pk__gt=last).values_list("pk", flat=True)[:AT_ONCE]):
        done += _reorder(found, rates, saved)
        last = found[-1]
    return done


def _stale(rates: Rates | None) -> QuerySet[Alert]:
    rows = Alert.objects.exclude(status=AlertStatus.CLOSED).order_by("pk")
    if rates is None:
        return rows.exclude(rates_version=None)
    return rows.filter(Q(rates_version=None) | Q(rates_version__lt=rates.version))


@transaction.atomic
def _reorder(pks: list[int], rates: Rates | None, saved: dict[int, float]) -> int:
    rows = _stale(rates).select_for_update(skip_locked=True).filter(pk__in=pks)
    alerts = list(rows)
    value_alerts(alerts, rates)
    for alert in alerts:
        alert.loss_per_minute = loss_per_minute(
            alert.expected_loss, saved.get(alert.detector_id, 1.0), alert.handling_minutes
        )
    Alert.objects.bulk_update(alerts, [*VALUED, "loss_per_minute"])
    return len(alerts)


def _recoverable() -> dict[int, float]:
    """The share of a loss that can be saved, by detector, of those that can be read."""
    found = {}
    for detector in Detector.objects.all():
        try:
            found[detector.pk] = detector.spec().costs.recoverability
        except SpecError:
            continue
    return found
