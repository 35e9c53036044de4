"""The world of the `cards` detector: customers, terminals and amounts on a map.

Five fields only (the layout of the Fraud Detection Handbook's data), so behaviour shows in the
history of the customer and of the terminal.  Ids start at 100,000: they never meet those of the
public data set, which may live in the same database.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.campaigns import LabelDelay, Scenario, in_bursts, spread_over
from scoring.simulation.draws import Columns, Floats, concat, pick
from scoring.simulation.geography import EPOCH, MINUTE_MS, ZONES
from scoring.simulation.merchants import rows
from scoring.simulation.rhythm import ARCHETYPE_SHARES, Crowd

ID_BASE: Final = 100_000
EXPLORE_SHARE: Final = 0.06  # of purchases at a terminal anywhere on the map
SPLURGE_SHARE: Final = 0.008


@dataclass(frozen=True, slots=True)
class CardHolders:
    """Customers and terminals on a square of 100 x 100 km."""

    crowd: Crowd
    place: Floats  # (customers, 2)
    terminal_place: Floats  # (terminals, 2)
    usual: NDArray[np.int64]  # (customers, 12) terminals nearby, nearest first
    log_amount: Floats
    spread: Floats
    popularity: Floats  # running sum over terminals

    def ordinary(self, who: Any, rng: np.random.Generator) -> Floats:
        """Amounts these customers ordinarily spend."""
        return np.asarray(
            np.exp(self.log_amount[who] + self.spread[who] * rng.normal(0.0, 1.0, np.size(who)))
        )

    def victim(self, rng: np.random.Generator) -> int:
        """A customer, the active ones more often."""
        return int(self.crowd.draw_any(1, rng)[0])


def build_card_holders(seed: int, customers: int = 3_000, terminals: int = 900) -> CardHolders:
    """The same people and terminals for the same seed; both crowd around eight towns."""
    rng = np.random.default_rng([seed, 14])
    towns = rng.uniform(12, 88, (8, 2))
    weights = np.cumsum(rng.uniform(0.4, 1.6, 8))

    def scatter(size: int, width: float) -> Floats:
        centre = towns[pick(weights, rng.random(size))]
        return np.asarray(np.clip(centre + rng.normal(0.0, width, (size, 2)), 0, 100))

    terminal_place = scatter(terminals, 6.0)
    place = scatter(customers, 8.0)
    archetype = pick(np.cumsum(ARCHETYPE_SHARES), rng.random(customers))
    order = np.argsort(archetype, kind="stable")
    gap = ((place[:, None, :] - terminal_place[None, :, :]) ** 2).sum(axis=2)
    zone = np.full(customers, ZONES.index("Europe/Brussels"))
    activity = np.clip(0.8 * np.exp(rng.normal(0.0, 0.8, customers)), 0.05, 6.0)
    return CardHolders(
        crowd=Crowd.build(activity, archetype[order], zone),
        place=place,
        terminal_place=terminal_place,
        usual=np.argsort(gap, axis=1, kind="stable")[:, :12],
        log_amount=rng.normal(np.log(38.0), 0.55, customers),
        spread=rng.uniform(0.35, 0.8, customers),
        popularity=np.cumsum(rng.pareto(1.5, terminals) + 0.3),
    )


class CardsWorld:
    """Card holders and six scenarios."""

    code: Final = 3
    detector: Final = "cards"
    resolution_ms: Final = 1000

    def __init__(self, seed: int) -> None:
        self.scene = build_card_holders(seed)
        self.crowd: Crowd = self.scene.crowd
        self.scenarios = SCENARIOS

    def forget(self, start_ms: int, tempo: float, rng: np.random.Generator) -> None:
        """Nothing to forget: the platform keeps the histories of this detector."""

    def legitimate(
        self, t: NDArray[np.int64], who: NDArray[np.int64], rng: np.random.Generator
    ) -> Columns:
        """One ordinary purchase for each (time in ms, customer)."""
        n = t.size
        usual = self.scene.usual[who, (rng.random(n) ** 1.8 * 12).astype(np.int64)]
        anywhere = pick(self.scene.popularity, rng.random(n))
        amount = self.scene.ordinary(who, rng)
        splurge = rng.random(n) < SPLURGE_SHARE
        return {
            "t": t,
            "who": who,
            "terminal": np.where(rng.random(n) < EXPLORE_SHARE, anywhere, usual),
            "amount": np.where(splurge, amount * rng.uniform(3.0, 9.0, n), amount),
            "fraud": np.zeros(n, dtype=bool),
        }

    def finish(self, table: Columns) -> Columns:
        """Round the amounts to cents."""
        table["amount"] = np.maximum(np.round(table["amount"], 2), 0.5)
        return table

    def payloads(self, table: Columns, ids: list[int]) -> list[dict[str, object]]:
        """JSON bodies of the events, in row order."""
        columns = [table[name].tolist() for name in ("t", "who", "terminal", "amount")]
        return [
            {
                "TRANSACTION_ID": number,
                "TX_DATETIME": (EPOCH + timedelta(milliseconds=t)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "CUSTOMER_ID": ID_BASE + who,
                "TERMINAL_ID": ID_BASE + terminal,
                "TX_AMOUNT": amount,
            }
            for number, t, who, terminal, amount in zip(ids, *columns, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class CardTesting:
    """Tiny charges one after another at one terminal."""

    tries: tuple[int, int] = (5, 12)
    seconds_apart: float = 20.0
    amount: tuple[float, float] = (0.5, 3.0)
    cash_out: tuple[float, float] = (120.0, 600.0)


def card_testing(
    scene: CardHolders, t: int, rng: np.random.Generator, p: CardTesting | None = None
) -> Columns:
    """Signature: many tiny amounts of one customer at one terminal within minutes."""
    p = p or CardTesting()
    who, n = scene.victim(rng), int(rng.integers(p.tries[0], p.tries[1] + 1))
    times = in_bursts(t, p.seconds_apart, n, rng)
    amount = rng.uniform(*p.amount, n)
    if rng.random() < 0.6:
        amount[-1] = rng.uniform(*p.cash_out)
        times[-1] += int(rng.integers(3, 20)) * MINUTE_MS
    terminal = pick(scene.popularity, rng.random(1))
    return rows(t=times, who=who, terminal=terminal, amount=amount, fraud=True)


@dataclass(frozen=True, slots=True)
class StolenCard:
    """A stolen card in shops near its owner."""

    purchases: tuple[int, int] = (3, 8)
    hours: tuple[float, float] = (1.0, 20.0)
    multiple: tuple[float, float] = (1.3, 6.0)


def stolen_card(
    scene: CardHolders, t: int, rng: np.random.Generator, p: StolenCard | None = None
) -> Columns:
    """Signature: several times the usual amount, several times within a day."""
    p = p or StolenCard()
    who, n = scene.victim(rng), int(rng.integers(p.purchases[0], p.purchases[1] + 1))
    amount = scene.ordinary(np.full(n, who), rng) * rng.uniform(*p.multiple, n)
    times = spread_over(t, rng.uniform(*p.hours), n, rng)
    terminal = scene.usual[who, rng.integers(0, 12, n)]
    return rows(t=times, who=who, terminal=terminal, amount=amount, fraud=True)


@dataclass(frozen=True, slots=True)
class CompromisedTerminal:
    """A terminal whose cards are copied, and used there, for days."""

    payments: tuple[int, int] = (10, 30)
    days: tuple[float, float] = (3.0, 14.0)
    multiple: tuple[float, float] = (0.7, 1.8)


def compromised_terminal(
    scene: CardHolders, t: int, rng: np.random.Generator, p: CompromisedTerminal | None = None
) -> Columns:
    """Signature: nothing but the terminal; customers and amounts are ordinary."""
    p = p or CompromisedTerminal()
    terminal = int(scene.usual[scene.victim(rng), int(rng.integers(0, 5))])
    near = np.flatnonzero((scene.usual == terminal).any(axis=1))
    who = rng.choice(near, int(rng.integers(p.payments[0], p.payments[1] + 1)))
    amount = scene.ordinary(who, rng) * rng.uniform(*p.multiple, who.size)
    times = spread_over(t, 24.0 * rng.uniform(*p.days), who.size, rng)
    return rows(t=times, who=who, terminal=terminal, amount=amount, fraud=True)


@dataclass(frozen=True, slots=True)
class AccountTakeover:
    """Leaked credentials used for a week, now and then, for much more than usual."""

    purchases: tuple[int, int] = (4, 10)
    days: tuple[float, float] = (2.0, 8.0)
    multiple: tuple[float, float] = (2.0, 7.0)


def account_takeover(
    scene: CardHolders, t: int, rng: np.random.Generator, p: AccountTakeover | None = None
) -> Columns:
    """Signature: amounts that grow against the customer's own past, at unusual terminals."""
    p = p or AccountTakeover()
    who, n = scene.victim(rng), int(rng.integers(p.purchases[0], p.purchases[1] + 1))
    amount = scene.ordinary(np.full(n, who), rng) * rng.uniform(*p.multiple, n)
    times = spread_over(t, 24.0 * rng.uniform(*p.days), n, rng)
    terminal = pick(scene.popularity, rng.random(n))
    return rows(t=times, who=who, terminal=terminal, amount=amount, fraud=True)


@dataclass(frozen=True, slots=True)
class ImpossibleTravel:
    """The owner pays near home, a clone minutes later on the other side of the map."""

    clones: tuple[int, int] = (2, 5)
    minutes: tuple[float, float] = (3.0, 15.0)
    least_km: float = 40.0
    multiple: tuple[float, float] = (0.8, 3.0)


def impossible_travel(
    scene: CardHolders, t: int, rng: np.random.Generator, p: ImpossibleTravel | None = None
) -> Columns:
    """Signature: distant terminals within minutes.  The owner's payment is legitimate."""
    p = p or ImpossibleTravel()
    who, n = scene.victim(rng), int(rng.integers(p.clones[0], p.clones[1] + 1))
    here = scene.terminal_place[scene.usual[who, 0]]
    gap = np.sqrt(((scene.terminal_place - here) ** 2).sum(axis=1))
    far = np.flatnonzero(gap >= min(p.least_km, float(gap.max())))
    spot = scene.terminal_place[rng.choice(far)]
    there = np.argsort(((scene.terminal_place - spot) ** 2).sum(axis=1), kind="stable")[:6]
    own = rows(
        t=t, who=who, terminal=scene.usual[who, 0], fraud=False,
        amount=scene.ordinary(np.array([who]), rng),
    )  # fmt: skip
    times = in_bursts(t + int(rng.uniform(*p.minutes) * MINUTE_MS), 240.0, n, rng)
    amount = scene.ordinary(np.full(n, who), rng) * rng.uniform(*p.multiple, n)
    clones = rows(t=times, who=who, terminal=rng.choice(there, n), amount=amount, fraud=True)
    return concat([own, clones])


@dataclass(frozen=True, slots=True)
class Structuring:
    """Payments kept just below the amount that asks for the PIN."""

    payments: tuple[int, int] = (4, 9)
    hours: tuple[float, float] = (1.0, 12.0)
    threshold: float = 50.0
    below: tuple[float, float] = (0.0, 0.08)


def structuring(
    scene: CardHolders, t: int, rng: np.random.Generator, p: Structuring | None = None
) -> Columns:
    """Signature: a run of amounts just under the contactless limit."""
    p = p or Structuring()
    who, n = scene.victim(rng), int(rng.integers(p.payments[0], p.payments[1] + 1))
    amount = p.threshold * (1.0 - rng.uniform(*p.below, n)) - 0.01
    times = spread_over(t, rng.uniform(*p.hours), n, rng)
    terminal = scene.usual[who, rng.integers(0, 12, n)]
    return rows(t=times, who=who, terminal=terminal, amount=amount, fraud=True)


SCENARIOS: Final = (
    Scenario("card_testing", 0.18, 8.5, LabelDelay(30.0, 0.8), card_testing),
    Scenario("stolen_card", 0.20, 5.5, LabelDelay(48.0, 0.8), stolen_card),
    Scenario("compromised_terminal", 0.26, 20.0, LabelDelay(9 * 24.0, 0.5), compromised_terminal),
    Scenario("account_takeover", 0.18, 7.0, LabelDelay(3 * 24.0, 0.9), account_takeover),
    Scenario("impossible_travel", 0.08, 3.5, LabelDelay(36.0, 0.8), impossible_travel),
    Scenario("structuring", 0.10, 6.5, LabelDelay(5 * 24.0, 0.6), structuring),
)
