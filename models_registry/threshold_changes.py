"""What other thresholds would have changed on the events that a version was judged by, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.quantities import MINUS, per_day, signed
from models_registry.core.threshold_curve import AtThresholds
from models_registry.verdicts import EVENTS, per_thousand, points, share


@dataclass(frozen=True, slots=True)
class Change:
    """One number at the thresholds as they stand and at others, and the difference."""

    name: str
    now: str
    then: str
    change: str


def changes_of(now: AtThresholds, then: AtThresholds, *, currency: str) -> Sequence[Change]:
    """Counts first, for they say what the rest leans on; costs where amounts are known."""
    counts = (
        ("Labelled events flagged", now.flagged, then.flagged),
        ("Bad ones among them", now.hits, then.hits),
    )
    a_day = (
        ("Alerts a day", now.alerts_a_day, then.alerts_a_day),
        ("Blocked a day", now.blocked_a_day, then.blocked_a_day),
    )
    shares = (
        ("Precision", now.precision, then.precision),
        ("Recall", now.recall, then.recall),
    )
    found = [Change(name, f"{a:,}", f"{b:,}", signed(b - a, 0)) for name, a, b in counts]
    found += [Change(name, per_day(a), per_day(b), _a_day(b - a)) for name, a, b in a_day]
    found += [Change(name, share(a), share(b), points(_less(b, a))) for name, a, b in shares]
    if now.cost is not None and then.cost is not None:
        told = [per_thousand(cost, currency) for cost in (now.cost, then.cost)]
        more = _money(then.cost - now.cost, currency)
        found.append(Change(f"Cost per {EVENTS:,} events", told[0], told[1], more))
    return found


def _less(then: float | None, now: float | None) -> float | None:
    return None if then is None or now is None else then - now


def _a_day(more: float) -> str:
    """As `per_day`, with its sign."""
    return f"{_sign(more)}{per_day(abs(more))}"


def _money(more: float, currency: str) -> str:
    text = per_thousand(abs(more), currency)
    return text if text == per_thousand(0.0, currency) else f"{_sign(more)}{text}"


def _sign(more: float) -> str:
    return "+" if more > 0 else MINUS if more < 0 else ""
