"""Rates declared for tests, and alerts of other currencies."""

from decimal import Decimal

from cases.exchange_rates import set_rates
from cases.models import Alert
from cases.services import open_alerts
from tests.cases.alerts import flagged


def declared(**rates: str) -> None:
    """What one unit of each currency is worth in the common one: `JPY="0.0067"`."""
    set_rates({code: Decimal(rate) for code, rate in rates.items()}, actor=None, source="tests")


def alert_in(user: str, currency: str, amount: int = 20_000) -> Alert:
    """The user's live alert with one more payment of that amount."""
    (prediction,) = flagged(user, currency=currency, amount=float(amount))
    open_alerts([prediction.pk])
    return Alert.objects.get(links__prediction=prediction)
