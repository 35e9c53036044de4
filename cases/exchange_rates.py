"""The rates in force: read, and set by somebody, with an entry in the audit trail."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import AuditHead, User
from accounts.services import record_audit
from cases.exchange import Rates, plain
from cases.rate_models import ExchangeRate


def rates_in_force() -> QuerySet[ExchangeRate]:
    """The newest rate of each currency, by currency."""
    return ExchangeRate.objects.filter(replaced_at=None)


def current_rates() -> Rates | None:
    """What is converted by now; None while nobody has declared a rate. One query.

    Rates to another common currency than the setting's do not count: it was changed since.
    """
    return rates_of(rates_in_force())


def rates_of(rows: Iterable[ExchangeRate]) -> Rates | None:
    """The same of rows that were read: all that are in force."""
    found = list(rows)
    if not found:
        return None
    common: str = settings.COMMON_CURRENCY
    counting = [row for row in found if row.to == common]
    return Rates(
        common=common,
        by_currency={row.currency: row.rate for row in counting},
        version=max(row.pk for row in found),
        setters={row.currency: row.set_by_id for row in counting},
    )


@transaction.atomic
def set_rates(
    rates: Mapping[str, Decimal], *, actor: User | None, source: str
) -> list[ExchangeRate]:
    """Put these rates in the place of the former ones of their currencies; others stay.

    `rates` were checked (exchange.check_rate); `source` says where they come from. What stands
    like this already is left alone. Returns the new rows.
    """
    # Whoever comes second waits here, where both write at last: ids rise in the order in which
    # rates come into force, also when there is no row yet to wait for.
    AuditHead.objects.select_for_update().filter(pk=1).first()
    held = {row.currency: row for row in rates_in_force()}
    common, now = settings.COMMON_CURRENCY, timezone.now()
    new = [
        ExchangeRate(currency=currency, rate=rate, to=common, set_by=actor, set_at=now)
        for currency, rate in sorted(rates.items())
        if currency not in held or (held[currency].rate, held[currency].to) != (rate, common)
    ]
    if not new:
        return []
    former = [held[row.currency].pk for row in new if row.currency in held]
    rates_in_force().filter(pk__in=former).update(replaced_at=now)
    for row in new:
        row.save(force_insert=True)
    record_audit(
        actor=actor,
        action="exchange_rates.set",
        subject=new[-1],
        detail={
            "to": common,
            "source": source,
            "version": new[-1].pk,
            "rates": {
                row.currency: {
                    "before": plain(held[row.currency].rate) if row.currency in held else None,
                    "after": plain(row.rate),
                }
                for row in new
            },
        },
    )
    return new
