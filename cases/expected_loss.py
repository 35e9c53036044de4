"""What an alert is expected to cost: what the queue's order comes from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Count, Q, Sum

from cases.exchange import Rates, common_total, parts_of
from cases.models import Alert
from scoring.core.types import SelectionReason
from scoring.models import Prediction

VALUED = ("expected_loss", "rate", "rates_version")


@dataclass(slots=True)
class _Held:
    """What counts of an alert's predictions: how many, how many flagged, amounts by currency."""

    rows: int = 0
    flagged: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)


def value_alerts(alerts: Sequence[Alert], rates: Rates | None) -> None:
    """Set the expected loss of alerts that have their predictions, and by which rates (not saved).

    It is the chance of the riskiest prediction times the amounts at stake (1 where it has none), in
    the common currency. Without a rate an amount in the alert's own currency counts as it stands,
    and one in another currency is left out.

    Rules may flag what no model scored: such an alert counts as an even chance. What was only drawn
    for audit, and was not scored either, has nothing against it and adds nothing. One query.
    """
    held = _held([alert.pk for alert in alerts])
    for alert in alerts:
        own = rates.of(alert.currency) if rates is not None else None
        common = rates is not None and alert.currency.upper() == rates.common
        alert.rate = None if common else own
        alert.rates_version = None if rates is None else rates.version
        alert.expected_loss = _expected_loss(alert, held[alert.pk], rates)


def _held(pks: Sequence[int]) -> Mapping[int, _Held]:
    drawn = Q(selection_reason=SelectionReason.RANDOM_AUDIT)
    rows = (
        Prediction.objects.filter(alert_link__alert__in=pks)
        .exclude(drawn, score=None, probability=None)
        .order_by()
        .values_list("alert_link__alert", "currency")
        .annotate(rows=Count("pk"), flagged=Count("pk", filter=~drawn), stake=Sum("exposure"))
    )
    found: dict[int, _Held] = defaultdict(_Held)
    for pk, currency, count, flagged, stake in rows:
        held = found[pk]
        held.rows += count
        held.flagged += flagged
        if stake is not None:
            held.totals[currency] = stake
    return found


def _expected_loss(alert: Alert, held: _Held, rates: Rates | None) -> float:
    if not held.rows:
        return 0.0
    chance = alert.risk
    if chance is None:
        chance = 0.5 if held.flagged else 0.0
    return chance * float(_stake(alert.currency, held.totals, rates))


def _stake(currency: str, totals: Mapping[str, Decimal], rates: Rates | None) -> Decimal:
    own = totals.get(currency)
    if rates is None:
        return Decimal(1) if own is None else own
    parts = parts_of(totals, rates)
    known = [part for part in parts if part.rate is not None]
    as_it_stands = own if own is not None and rates.of(currency) is None else None
    if not known:
        return Decimal(1) if as_it_stands is None else as_it_stands
    return common_total(known) + (as_it_stands or Decimal(0))
