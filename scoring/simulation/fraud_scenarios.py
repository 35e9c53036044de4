"""The fraud scenarios of the `fraud` detector, told in its five fields."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scoring.simulation.accounts import (
    COUNTRIES,
    KIND_NAMES,
    LOG_MEDIAN_USD,
    SPREAD_USD,
    Accounts,
)
from scoring.simulation.campaigns import LabelDelay, Scenario, in_bursts, spread_over
from scoring.simulation.draws import Columns, concat
from scoring.simulation.geography import MINUTE_MS
from scoring.simulation.merchants import rows

HAVENS: Final = ("NG", "RO", "BR", "TR", "MX", "IN", "US", "GB")
_HAVEN_WEIGHTS: Final = np.array([0.24, 0.15, 0.12, 0.10, 0.08, 0.08, 0.14, 0.09])
MOBILE: Final = 0


def _kinds(names: tuple[str, ...], rng: np.random.Generator, size: int) -> Any:
    return rng.choice([KIND_NAMES.index(name) for name in names], size)


def _haven(rng: np.random.Generator) -> int:
    return COUNTRIES.index(str(rng.choice(HAVENS, p=_HAVEN_WEIGHTS)))


def _ordinary(accounts: Accounts, who: Any, kind: Any, rng: np.random.Generator) -> Any:
    noise = rng.normal(0.0, 1.0, kind.size) * SPREAD_USD[kind]
    return np.exp(LOG_MEDIAN_USD[kind] + accounts.wealth[who] + noise)


def _victim(accounts: Accounts, rng: np.random.Generator) -> int:
    return int(accounts.crowd.draw_any(1, rng)[0])


@dataclass(frozen=True, slots=True)
class CardTesting:
    """Many small online charges seconds apart, then one that is worth it."""

    tries: tuple[int, int] = (5, 12)
    seconds_apart: float = 16.0
    amount: tuple[float, float] = (0.5, 6.0)
    cash_out_probability: float = 0.6
    cash_out_median: float = 900.0


def card_testing(
    accounts: Accounts, t: int, rng: np.random.Generator, p: CardTesting | None = None
) -> Columns:
    """Signature: tiny amounts of digital goods or gaming, a time delta of seconds."""
    p = p or CardTesting()
    who, n = _victim(accounts, rng), int(rng.integers(p.tries[0], p.tries[1] + 1))
    at_home = rng.random() < 0.4
    country = int(accounts.country[who]) if at_home else _haven(rng)
    device = int(rng.choice(3, p=[0.6, 0.35, 0.05]))
    base = {"who": who, "country": country, "device": device, "fraud": True}
    times = in_bursts(t, p.seconds_apart, n, rng)
    kind = np.repeat(_kinds(("digital_goods", "gaming"), rng, 1), n)
    parts = [rows(t=times, kind=kind, amount=rng.uniform(*p.amount, n), **base)]
    if rng.random() < p.cash_out_probability:
        late = times[-1:] + rng.integers(2, 25, 1) * MINUTE_MS
        loot = p.cash_out_median * np.exp(rng.normal(0.0, 0.9, 1))
        kind = _kinds(("gaming", "electronics", "crypto"), rng, 1)
        parts.append(rows(t=late, kind=kind, amount=loot, **base))
    return concat(parts)


@dataclass(frozen=True, slots=True)
class StolenCard:
    """Shopping with a stolen card in the victim's own country."""

    purchases: tuple[int, int] = (3, 7)
    hours: tuple[float, float] = (1.5, 24.0)
    multiple: tuple[float, float] = (1.2, 6.0)


def stolen_card(
    accounts: Accounts, t: int, rng: np.random.Generator, p: StolenCard | None = None
) -> Columns:
    """Signature: goods that sell well, dearer than usual, within a day."""
    p = p or StolenCard()
    who, n = _victim(accounts, rng), int(rng.integers(p.purchases[0], p.purchases[1] + 1))
    kind = _kinds(("electronics", "jewelry", "retail", "atm", "fuel"), rng, n)
    amount = _ordinary(accounts, who, kind, rng) * rng.uniform(*p.multiple, n)
    times = spread_over(t, rng.uniform(*p.hours), n, rng)
    country, device = accounts.country[who], accounts.device[who]
    return rows(
        t=times, who=who, kind=kind, amount=amount, country=country, device=device, fraud=True
    )


@dataclass(frozen=True, slots=True)
class CompromisedTerminal:
    """Cards skimmed at one pump are cloned and used for cash abroad, one or two times each."""

    cards: tuple[int, int] = (4, 10)
    days: tuple[float, float] = (0.5, 4.0)
    multiple: tuple[float, float] = (1.0, 3.5)


def compromised_terminal(
    accounts: Accounts, t: int, rng: np.random.Generator, p: CompromisedTerminal | None = None
) -> Columns:
    """Signature: many accounts of one country, the same foreign country, cash and fuel."""
    p = p or CompromisedTerminal()
    home = accounts.country[_victim(accounts, rng)]
    n = int(rng.integers(p.cards[0], p.cards[1] + 1))
    who = rng.choice(np.flatnonzero(accounts.country == home), n)
    kind = _kinds(("atm", "fuel", "retail"), rng, n)
    amount = _ordinary(accounts, who, kind, rng) * rng.uniform(*p.multiple, n)
    times = spread_over(t, 24.0 * rng.uniform(*p.days), n, rng)
    country, device = _haven(rng), accounts.device[who]
    return rows(
        t=times, who=who, kind=kind, amount=amount, country=country, device=device, fraud=True
    )


@dataclass(frozen=True, slots=True)
class AccountTakeover:
    """A hijacked login empties the account from the thief's phone."""

    drains: tuple[int, int] = (3, 7)
    minutes_apart: float = 9.0
    amount_median: float = 2_400.0
    amount_spread: float = 0.9
    at_home_probability: float = 0.3


def account_takeover(
    accounts: Accounts, t: int, rng: np.random.Generator, p: AccountTakeover | None = None
) -> Columns:
    """Signature: large transfers, crypto or gaming credit minutes apart, mostly on mobile."""
    p = p or AccountTakeover()
    who, n = _victim(accounts, rng), int(rng.integers(p.drains[0], p.drains[1] + 1))
    kind = _kinds(("money_transfer", "crypto", "gaming", "gaming"), rng, n)
    amount = np.exp(rng.normal(np.log(p.amount_median), p.amount_spread, n))
    at_home = rng.random() < p.at_home_probability
    country = int(accounts.country[who]) if at_home else _haven(rng)
    device = MOBILE if rng.random() < 0.8 else 1
    return rows(
        t=in_bursts(t, p.minutes_apart * 60.0, n, rng), who=who, kind=kind,
        amount=np.minimum(amount, 25_000.0), country=country, device=device, fraud=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImpossibleTravel:
    """A purchase at home and, before any plane could land, some in another country."""

    clones: tuple[int, int] = (2, 4)
    minutes: tuple[float, float] = (5.0, 60.0)
    multiple: tuple[float, float] = (1.0, 4.0)


def impossible_travel(
    accounts: Accounts, t: int, rng: np.random.Generator, p: ImpossibleTravel | None = None
) -> Columns:
    """Signature: a short time delta across a border.  The owner's own purchase is legitimate."""
    p = p or ImpossibleTravel()
    who, n = _victim(accounts, rng), int(rng.integers(p.clones[0], p.clones[1] + 1))
    home, device = int(accounts.country[who]), accounts.device[who]
    others = [index for index in range(len(COUNTRIES)) if index != home]
    far = int(rng.choice(others))
    own = _kinds(("grocery", "restaurant"), rng, 1)
    own_amount = _ordinary(accounts, who, own, rng)
    begin = t + int(rng.uniform(*p.minutes) * MINUTE_MS)
    kind = _kinds(("electronics", "jewelry", "atm", "gambling"), rng, n)
    amount = _ordinary(accounts, who, kind, rng) * rng.uniform(*p.multiple, n)
    times = in_bursts(begin, 8 * 60.0, n, rng)
    base = {"who": who, "device": device}
    return concat(
        [
            rows(t=t, kind=own, amount=own_amount, country=home, fraud=False, **base),
            rows(t=times, kind=kind, amount=amount, country=far, fraud=True, **base),
        ]
    )


@dataclass(frozen=True, slots=True)
class Structuring:
    """A sum split so that each transfer stays below the 10,000 USD report."""

    transfers: tuple[int, int] = (3, 6)
    hours: tuple[float, float] = (3.0, 72.0)
    threshold: float = 10_000.0
    below: tuple[float, float] = (0.0001, 0.08)


def structuring(
    accounts: Accounts, t: int, rng: np.random.Generator, p: Structuring | None = None
) -> Columns:
    """Signature: money transfers or cash just under the threshold, home country, own device."""
    p = p or Structuring()
    who, n = _victim(accounts, rng), int(rng.integers(p.transfers[0], p.transfers[1] + 1))
    kind = _kinds(("money_transfer", "money_transfer", "atm"), rng, n)
    amount = p.threshold * (1.0 - rng.uniform(*p.below, n))
    times = spread_over(t, rng.uniform(*p.hours), n, rng)
    country, device = accounts.country[who], accounts.device[who]
    return rows(
        t=times, who=who, kind=kind, amount=amount, country=country, device=device, fraud=True
    )


SCENARIOS: Final = (
    Scenario("card_testing", 0.24, 9.1, LabelDelay(30.0, 0.8), card_testing),
    Scenario("stolen_card", 0.18, 5.0, LabelDelay(48.0, 0.8), stolen_card),
    Scenario("compromised_terminal", 0.16, 7.0, LabelDelay(9 * 24.0, 0.5), compromised_terminal),
    Scenario("account_takeover", 0.22, 5.0, LabelDelay(3 * 24.0, 0.9), account_takeover),
    Scenario("impossible_travel", 0.10, 3.0, LabelDelay(36.0, 0.8), impossible_travel),
    Scenario("structuring", 0.10, 4.5, LabelDelay(14 * 24.0, 0.5), structuring),
)
