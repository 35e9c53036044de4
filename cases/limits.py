"""What is at risk in alerts and cases, and how much of it one person may close.

Amounts are summed by currency from the predictions themselves: an alert may hold several. Where
rates are declared, limits are in the common currency and held against all of them together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum

from accounts.models import User
from cases import workflow
from cases.exchange import CENT, Part, Rates, approximation, common_total, parts_of, without_rate
from cases.exchange_rates import current_rates
from cases.models import Alert, Case
from cases.work_queue_models import WorkQueue
from cases.workflow import MoveRefused
from scoring.models import Prediction

MORE = "More is at risk than one person may close"
REMEDY = "An admin may add the rate under Team queues, Exchange rates."


@dataclass(frozen=True, slots=True)
class Stake:
    """What is at risk, by currency, and how much one person may close.

    `rates`: None while none is declared. Then each currency is held against the limit's number.
    """

    totals: Mapping[str, Decimal]
    limit: Decimal | None
    events: int
    rates: Rates | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Each currency's total with the rate it counts by; empty while no rate is declared."""
        return () if self.rates is None else parts_of(self.totals, self.rates)

    @property
    def above(self) -> bool:
        """Whether closing takes a second person: also where what has no rate cannot be compared."""
        return self.known_above or bool(self.limit is not None and self.lacking)

    @property
    def known_above(self) -> bool:
        """Whether what can be compared is above the limit already."""
        weighed = self.totals.values() if self.rates is None else (common_total(self.parts),)
        return workflow.above_limit(weighed, self.limit)

    @property
    def lacking(self) -> tuple[str, ...]:
        """The currencies with something at risk that has no rate."""
        return without_rate(self.parts)

    @property
    def reason(self) -> str:
        """Why one person may not close it, as the beginning of a sentence."""
        if self.known_above or self.rates is None or not self.lacking:
            return MORE
        codes = " and ".join(code or "an unnamed currency" for code in self.lacking)
        return f"No rate from {codes} to {self.rates.common} is declared"

    @property
    def remedy(self) -> str:
        """What else than a second person would do, as a sentence behind others."""
        return "" if self.reason == MORE else f" {REMEDY}"

    @property
    def weighed(self) -> tuple[str, Decimal]:
        """What is held against the limit, with its currency."""
        if self.rates is None:
            return self.largest
        return self.rates.common, common_total(self.parts).quantize(CENT, ROUND_HALF_UP)

    def note_of(self, currency: str) -> str:
        """How the total of a currency counts against the limit, where that is not the total."""
        if self.rates is None or currency.upper() == self.rates.common:
            return ""
        rate = self.rates.of(currency)
        if rate is None:
            return f"no rate to {self.rates.common}"
        return approximation(self.totals[currency], rate, self.rates.common)

    def is_set_by(self, user_id: int, part: Part) -> bool:
        """Whether this person set the rate that something at risk counts by."""
        setters = {} if self.rates is None else self.rates.setters
        return part.total > 0 and setters.get(part.currency.upper()) == user_id

    def kept(self) -> dict[str, Any]:
        """For the trail: each currency's total and the rate used, where a rate mattered."""
        if self.limit is None or all(part.rate == 1 for part in self.parts):
            return {}
        return {"at_risk": [part.as_kept() for part in self.parts]}

    @property
    def largest(self) -> tuple[str, Decimal]:
        """The currency with the largest amount; empty and 0 where there is none."""
        found = max(self.totals.items(), key=lambda item: item[1], default=None)
        return found or ("", Decimal(0))


def stake_of(item: Alert | Case) -> Stake:
    """What is at risk in it now: one query; one more where its queue is not loaded yet, and one for
    rates where they could matter."""
    name = "alert_link__alert" if isinstance(item, Alert) else "alert_link__alert__case"
    rows = (
        Prediction.objects.filter(**{name: item})
        .order_by()
        .values_list("currency")
        .annotate(total=Sum("exposure"), events=Count("pk"))
    )
    found = list(rows)
    totals = {currency: total for currency, total, _ in found if total is not None}
    # What is in the common currency alone is the same with rates and without.
    matters = totals.keys() - {settings.COMMON_CURRENCY}
    return Stake(
        totals=totals,
        limit=limit_of(item),
        events=sum(events for _, _, events in found),
        rates=current_rates() if matters else None,
    )


def limit_of(item: Alert | Case) -> Decimal | None:
    """How much of it one person may close; None: all.

    That of its queue now, and never more than what it kept: raising a queue's limit frees nothing
    that is open.
    """
    return lowest((item.approval_limit, limit_of_queue(item.work_queue)))


def lowest(limits: Iterable[Decimal | None]) -> Decimal | None:
    """The strictest of some limits; None where none of them limits anything."""
    return min((limit for limit in limits if limit is not None), default=None)


def check_alone(alert: Alert, actor: User) -> Stake:
    """What is at risk in it. Raises MoveRefused where closing this alert by itself would go around
    a second person."""
    if alert.taken_out_by_id == actor.pk:
        raise MoveRefused(
            "You took this alert out of a case above its limit: somebody else closes it."
        )
    stake = stake_of(alert)
    if stake.above:
        reason = stake.reason[:1].lower() + stake.reason[1:]
        raise MoveRefused(f"Open a case: {reason}.{stake.remedy}")
    check_setter(stake, actor)
    return stake


def check_setter(stake: Stake, actor: User) -> None:
    """Raises MoveRefused where a rate that the actor set lets them close this alone."""
    own = [part.currency for part in stake.parts if stake.is_set_by(actor.pk, part)]
    if stake.limit is not None and own:
        codes = " and ".join(own)
        raise MoveRefused(f"You set the rate from {codes}: somebody else closes this.")


def limit_of_queue(queue: WorkQueue | None) -> Decimal | None:
    """The limit of a queue as it is now, else the installation's."""
    if queue is not None and queue.approval_limit is not None:
        return queue.approval_limit
    limit: Decimal | None = settings.CASE_APPROVAL_LIMIT
    return limit
