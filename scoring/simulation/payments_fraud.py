"""The six fraud scenarios of payments.  Each is a function of parameters, people and chance.

A scenario hides where a real one would: some thieves shop at the victim's own favourites, clones
are used for ordinary amounts, mules use their own phone.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scoring.simulation.campaigns import LabelDelay, Scenario, in_bursts, night_ms, spread_over
from scoring.simulation.draws import Columns, concat, mix
from scoring.simulation.geography import CITY_ZONE, DISTANCE_KM, MINUTE_MS, offset_minutes
from scoring.simulation.merchants import ONLINE, Merchants, kinds, purchase_amounts, rows
from scoring.simulation.people import People


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the scenarios play."""

    people: People
    merchants: Merchants

    def victim(self, rng: np.random.Generator) -> int:
        """A customer, the active ones more often."""
        return int(self.people.crowd.draw_any(1, rng)[0])

    def shops(self, names: tuple[str, ...], place: int, rng: np.random.Generator, n: int) -> Any:
        """`n` merchants of some types at a place."""
        return rng.choice(self.merchants.of_kind(kinds(*names), place), n)

    def amounts(self, merchant: Any, who: Any, rng: np.random.Generator) -> Any:
        """What these customers would ordinarily pay there."""
        wealth = self.people.wealth[np.broadcast_to(who, merchant.shape)]
        return purchase_amounts(self.merchants, merchant, wealth, rng)


def _foreign_device(rng: np.random.Generator) -> Any:
    return mix(int(rng.integers(1 << 62)))[0]


@dataclass(frozen=True, slots=True)
class CardTesting:
    """A bot tries stolen numbers with tiny amounts at one online shop; some work."""

    cards: tuple[int, int] = (1, 3)
    tries: tuple[int, int] = (5, 10)
    seconds_apart: float = 14.0
    amount: tuple[float, float] = (0.5, 4.99)
    cash_out_probability: float = 0.5
    at_home_probability: float = 0.35  # the proxy stands in the victim's own city


def card_testing(
    scene: Scene, t: int, rng: np.random.Generator, p: CardTesting | None = None
) -> Columns:
    """Signature: many tiny online payments within minutes, one device, one merchant."""
    p = p or CardTesting()
    shop = scene.shops(("digital_goods", "gaming"), ONLINE, rng, 1)
    device, city = _foreign_device(rng), int(rng.integers(len(DISTANCE_KM)))
    parts = []
    for _ in range(rng.integers(p.cards[0], p.cards[1] + 1)):
        who, n = scene.victim(rng), int(rng.integers(p.tries[0], p.tries[1] + 1))
        times = in_bursts(t, p.seconds_apart, n, rng)
        place = scene.people.home[who] if rng.random() < p.at_home_probability else city
        amount = rng.uniform(*p.amount, n)
        base = {"who": who, "channel": 1, "city": place, "device": device, "fraud": True}
        parts.append(rows(t=times, merchant=shop, amount=amount, **base))
        if rng.random() < p.cash_out_probability:
            late = times[-1:] + rng.integers(8, 45, 1) * MINUTE_MS
            store = scene.shops(("electronics", "gaming", "clothing"), ONLINE, rng, 1)
            loot = 2.0 * scene.amounts(store, who, rng) + 60.0
            parts.append(rows(t=late, merchant=store, amount=loot, **base))
        t = int(times[-1])
    return concat(parts)


@dataclass(frozen=True, slots=True)
class StolenCard:
    """A wallet is stolen; the card is used in shops nearby until it is blocked."""

    purchases: tuple[int, int] = (3, 8)
    hours: tuple[float, float] = (2.0, 30.0)
    multiple: tuple[float, float] = (1.1, 4.0)
    mimic_probability: float = 0.3  # a purchase at one of the victim's favourites


def stolen_card(
    scene: Scene, t: int, rng: np.random.Generator, p: StolenCard | None = None
) -> Columns:
    """Signature: several goods that sell well, dearer than usual, in the city of the victim."""
    p = p or StolenCard()
    who, n = scene.victim(rng), int(rng.integers(p.purchases[0], p.purchases[1] + 1))
    times = spread_over(t, rng.uniform(*p.hours), n, rng)
    city = int(scene.people.whereabouts(np.array([who]), np.array([t]))[0])
    shops = scene.shops(("electronics", "jewelry", "atm", "clothing", "fuel"), city, rng, n)
    mimic = (rng.random(n) < p.mimic_probability) & (city == scene.people.home[who])
    shops = np.where(mimic, scene.people.favourites[who, rng.integers(0, 5, n)], shops)
    amount = scene.amounts(shops, who, rng) * np.where(mimic, 1.2, rng.uniform(*p.multiple, n))
    card = scene.people.card(np.array([who]))[0]
    return rows(
        t=times, who=who, merchant=shops, channel=0, city=city, amount=amount, device=card,
        fraud=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CompromisedTerminal:
    """A skimmer sits in one terminal; for days clones of local cards are run through it."""

    clones: tuple[int, int] = (6, 16)
    days: tuple[float, float] = (1.0, 5.0)
    multiple: tuple[float, float] = (0.8, 2.2)


def compromised_terminal(
    scene: Scene, t: int, rng: np.random.Generator, p: CompromisedTerminal | None = None
) -> Columns:
    """Signature: one merchant, many customers who do live there, nearly ordinary amounts."""
    p = p or CompromisedTerminal()
    city = int(scene.people.home[scene.victim(rng)])
    shop = scene.shops(("fuel", "atm", "grocery", "restaurant"), city, rng, 1)
    n = int(rng.integers(p.clones[0], p.clones[1] + 1))
    near = np.flatnonzero(scene.people.home == city)
    weight = scene.people.crowd.activity[near]
    who = rng.choice(near, n, p=weight / weight.sum())
    times = spread_over(t, 24.0 * rng.uniform(*p.days), n, rng)
    shops = np.repeat(shop, n)
    amount = scene.amounts(shops, who, rng) * rng.uniform(*p.multiple, n)
    return rows(
        t=times, who=who, merchant=shops, channel=0, city=city, amount=amount,
        device=scene.people.card(who), fraud=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountTakeover:
    """A phished login: a probe, then the account is emptied, often while the owner sleeps."""

    drains: tuple[int, int] = (2, 6)
    hours: tuple[float, float] = (0.4, 5.0)
    amount_median: float = 780.0
    amount_spread: float = 0.7
    night_probability: float = 0.5
    same_city_probability: float = 0.4


def account_takeover(
    scene: Scene, t: int, rng: np.random.Generator, p: AccountTakeover | None = None
) -> Columns:
    """Signature: a device never seen before, large amounts to crypto, remittance or a payee."""
    p = p or AccountTakeover()
    who, n = scene.victim(rng), int(rng.integers(p.drains[0], p.drains[1] + 1))
    home = int(scene.people.home[who])
    if rng.random() < p.night_probability:
        zone = np.array([CITY_ZONE[home]])
        t = night_ms(t, int(offset_minutes(zone, np.array([t]))[0]), rng)
    near = rng.random() < p.same_city_probability
    city = home if near else int(rng.integers(len(DISTANCE_KM)))
    times = spread_over(t, rng.uniform(*p.hours), n + 1, rng)
    shops = scene.shops(("crypto", "money_transfer"), ONLINE, rng, n + 1)
    wire = rng.random(n + 1) < 0.45
    payees = np.flatnonzero(scene.merchants.place == ONLINE + 1)
    shops = np.where(wire, rng.choice(payees, n + 1), shops)
    amount = p.amount_median * np.exp(rng.normal(scene.people.wealth[who], p.amount_spread, n + 1))
    amount[0] = rng.uniform(1.0, 20.0)
    return rows(
        t=times, who=who, merchant=shops, channel=scene.merchants.channel(shops), city=city,
        amount=amount, device=_foreign_device(rng), fraud=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImpossibleTravel:
    """The owner pays at home; a clone pays a continent away before a plane could land."""

    clones: tuple[int, int] = (2, 4)
    minutes: tuple[float, float] = (15.0, 90.0)
    least_km: float = 3_000.0
    multiple: tuple[float, float] = (0.8, 3.0)


def impossible_travel(
    scene: Scene, t: int, rng: np.random.Generator, p: ImpossibleTravel | None = None
) -> Columns:
    """Signature: card-present payments too far apart for the time between them.

    The owner's own payments around it are part of the campaign and are legitimate.
    """
    p = p or ImpossibleTravel()
    who, n = scene.victim(rng), int(rng.integers(p.clones[0], p.clones[1] + 1))
    city = int(scene.people.whereabouts(np.array([who]), np.array([t]))[0])
    far = int(rng.choice(np.flatnonzero(DISTANCE_KM[city] > p.least_km)))
    card = scene.people.card(np.array([who]))[0]
    own = scene.shops(("grocery", "fuel"), city, rng, 2)
    gap = int(rng.uniform(*p.minutes) * MINUTE_MS)
    times = in_bursts(t + gap, 12 * 60.0, n, rng)
    shops = scene.shops(("electronics", "jewelry", "atm", "grocery"), far, rng, n)
    amount = scene.amounts(shops, who, rng) * rng.uniform(*p.multiple, n)
    owner_times = np.array([t, int(times[-1]) + 40 * MINUTE_MS])
    base = {"who": who, "channel": 0, "device": card}
    own_amount = scene.amounts(own, who, rng)
    return concat(
        [
            rows(t=owner_times, merchant=own, city=city, amount=own_amount, fraud=False, **base),
            rows(t=times, merchant=shops, city=far, amount=amount, fraud=True, **base),
        ]
    )


@dataclass(frozen=True, slots=True)
class Structuring:
    """A mule splits a sum so that every transfer stays under the reporting threshold."""

    transfers: tuple[int, int] = (3, 7)
    hours: tuple[float, float] = (6.0, 96.0)
    thresholds: tuple[float, ...] = (10_000.0, 10_000.0, 3_000.0)
    below: tuple[float, float] = (0.005, 0.09)
    payees: int = 2


def structuring(
    scene: Scene, t: int, rng: np.random.Generator, p: Structuring | None = None
) -> Columns:
    """Signature: transfers just below a threshold, to few payees, from the usual device."""
    p = p or Structuring()
    who, n = scene.victim(rng), int(rng.integers(p.transfers[0], p.transfers[1] + 1))
    times = spread_over(t, rng.uniform(*p.hours), n, rng)
    accounts = np.flatnonzero(scene.merchants.place == ONLINE + 1)
    payees = rng.choice(rng.choice(accounts, p.payees), n)
    amount = float(rng.choice(p.thresholds)) * (1.0 - rng.uniform(*p.below, n))
    amount = np.where(rng.random(n) < 0.6, np.floor(amount / 10) * 10, amount)
    whos = np.full(n, who)
    return rows(
        t=times, who=who, merchant=payees, channel=2, city=scene.people.whereabouts(whos, times),
        amount=amount, device=scene.people.device(whos, times, np.zeros(n, bool)), fraud=True,
    )  # fmt: skip


SCENARIOS: Final = (
    Scenario("card_testing", 0.24, 16.0, LabelDelay(30.0, 0.8), card_testing),
    Scenario("stolen_card", 0.22, 5.5, LabelDelay(48.0, 0.8), stolen_card),
    Scenario("compromised_terminal", 0.16, 11.0, LabelDelay(9 * 24.0, 0.5), compromised_terminal),
    Scenario("account_takeover", 0.16, 5.0, LabelDelay(3 * 24.0, 0.9), account_takeover),
    Scenario("impossible_travel", 0.10, 3.0, LabelDelay(36.0, 0.8), impossible_travel),
    Scenario("structuring", 0.12, 5.0, LabelDelay(14 * 24.0, 0.5), structuring),
)
